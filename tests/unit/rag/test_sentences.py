from __future__ import annotations

from itertools import pairwise

import pytest

from rag.sentences import LONGEST_SENTENCE, sentence_spans
from rag.spans import Span

MEGABYTE = 1_000_000


def sentences(text: str) -> list[str]:
    return [span.text_in(text) for span in sentence_spans(text)]


@pytest.mark.parametrize(
    "sentence",
    [
        "Apple Inc. reported a gain of 4%.",
        "Sales in the U.S. rose sharply.",
        "The drug works, e.g. in mice.",
        "The drug fails, i.e. in men.",
        "The trend is shown in Fig. 3 and in Figs. 4 and 5.",
        "See No. 7 of the annex.",
        "J. Smith et al. found it.",
        "Dr. A. B. Jones agreed.",
        "Dec. 31, 2023 was a Sunday.",
        "Apple Inc. Chief Executive Tim Cook agreed.",
        "U.S. Treasury yields fell.",
        "The dose was approx. 40 mg vs. 50 mg (Vol. 2, pp. 3-4).",
        "It closed at 5 p.m. on Monday.",
        "Apple, Inc., Alphabet Corp., etc. are firms.",
    ],
)
def test_an_abbreviation_ends_no_sentence(sentence: str) -> None:
    assert sentences(f"{sentence} Then it ended.") == [sentence, "Then it ended."]


@pytest.mark.parametrize(
    "sentence",
    [
        "He works at Apple Inc.",
        "They moved to the U.S.",
        "It closed at 5 p.m.",
        "They sell phones, watches, etc.",
    ],
)
def test_an_abbreviation_before_a_word_that_opens_sentences_ends_one(sentence: str) -> None:
    assert sentences(f"{sentence} The firm is big.") == [sentence, "The firm is big."]


@pytest.mark.parametrize(
    "sentence",
    [
        "Net sales rose 4.2% to $1.3 bn.",
        "It cost $3.50.",
        "Version 2.0.1 is out.",
        "The effect was large (p < 0.05, n = 12).",
        "The Act of 1934.",
        "See www.example.com/a.b for more.",
    ],
)
def test_a_full_stop_inside_a_number_or_name_ends_no_sentence(sentence: str) -> None:
    assert sentences(f"{sentence} Costs fell.") == [sentence, "Costs fell."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Is it so? Yes! Good.", ["Is it so?", "Yes!", "Good."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("(It was.) Then he left.", ["(It was.)", "Then he left."]),
        ("Wait... what? Fine.", ["Wait... what?", "Fine."]),
        ("\u201cNo.\u201d We agreed.", ["\u201cNo.\u201d", "We agreed."]),
        ("Really?! Yes.", ["Really?!", "Yes."]),
    ],
)
def test_a_mark_ends_a_sentence_with_the_quotes_and_brackets_behind_it(
    text: str, expected: list[str]
) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "rows",
    [
        ["Revenue 1,204 1,150", "Costs 801 790", "Profit 403 360"],
        ["| Item | 2023 |", "| --- | --- |", "| Fees | 12 |"],
        ["Item | 2023", "Fees | 12"],
        ["Cash and cash equivalents at the end of the year $ 29,965 $ 23,646", "Total 1 2"],
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_table_row_is_a_sentence(rows: list[str], newline: str) -> None:
    assert sentences(newline.join(rows)) == rows


@pytest.mark.parametrize(
    "heading",
    [
        "# Results",
        "ITEM 7. MANAGEMENT'S DISCUSSION",
        "Item 1A. Risk Factors",
        "PART II",
        "Overview",
    ],
)
def test_a_heading_is_a_sentence_of_its_own(heading: str) -> None:
    prose = "The company makes devices and sells them around the world."
    assert sentences(f"{heading}\n{prose}") == [heading, prose]


@pytest.mark.parametrize(
    "items",
    [
        ["- one thing", "- another thing"],
        ["* one thing", "* another thing"],
        ["\u2022 alpha", "\u2022 beta"],
        ["1. First item", "2. Second item"],
        ["(a) first item", "(b) second item"],
        ["iv) fourth item", "v) fifth item"],
    ],
)
def test_every_list_item_is_a_sentence(items: list[str]) -> None:
    lead = "The company does a number of things in a number of places, among them these:"
    assert sentences("\n".join([lead, *items])) == [lead, *items]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_line_that_ran_into_the_margin_ends_no_sentence(newline: str) -> None:
    lines = [
        "The quick brown fox jumps over the lazy dog and then",
        "keeps running until the evening comes. Then it sleeps",
        "under a tree.",
    ]
    text = newline.join(lines)
    first = text[: text.index(" Then")]
    assert sentences(text) == [first, text[len(first) + 1 :]]


@pytest.mark.parametrize("blank", ["\n\n", "\r\n\r\n", "\n \n", "\f"])
def test_a_blank_line_or_a_page_ends_a_sentence(blank: str) -> None:
    one = "This paragraph has no full stop although it is long enough for one"
    two = "and this one goes on in lower case as if nothing had happened"
    assert sentences(f"{one}{blank}{two}") == [one, two]


def test_sentences_of_a_part_stay_inside_it() -> None:
    text = "One two three. Four five six. Seven."
    window = Span(4, 24)
    assert [span.text_in(text) for span in sentence_spans(text, window)] == [
        "two three.",
        "Four five",
    ]


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u3000\u2028"])
def test_a_text_without_a_word_has_no_sentence(text: str) -> None:
    assert sentences(text) == []


@pytest.mark.parametrize("text", ["x", ".", "7", "\U0001f44d", "\u0301"])
def test_a_single_character_is_a_sentence(text: str) -> None:
    assert sentences(text) == [text]


def bare(text: str) -> str:
    """`text` without its white space."""
    return "".join(text.split())


@pytest.mark.parametrize(
    ("unit", "at_spaces"), [("word ", True), ("word\n", True), ("word\u00a0", False), ("x", False)]
)
def test_a_stretch_without_an_end_is_cut_at_spaces_where_there_are_any(
    unit: str, at_spaces: bool
) -> None:
    text = "long" * 20 + (unit * LONGEST_SENTENCE)[: 3 * LONGEST_SENTENCE]
    pieces = sentences(text)
    assert max(map(len, pieces)) <= LONGEST_SENTENCE
    assert bare("".join(pieces)) == bare(text)
    if at_spaces:
        assert {piece[-4:] for piece in pieces} == {"word"}


@pytest.mark.parametrize(
    "unit",
    [".", "(", "1 2\n", "A. B. ", "U.S. Zed ", '."', "| a | b |\n", "a\r\n", "- a\n", "x", "x "],
)
def test_a_megabyte_of_anything_is_cut_in_one_pass(unit: str) -> None:
    text = (unit * (MEGABYTE // len(unit) + 1))[:MEGABYTE]
    spans = list(sentence_spans(text))
    assert all(before.end <= after.start for before, after in pairwise(spans))
    assert max(map(len, spans)) <= LONGEST_SENTENCE
    assert bare("".join(span.text_in(text) for span in spans)) == bare(text)
