"""Support: the stretch of a passage that says what a claim says, by its words and figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.grounding.support import SUPPORT, content_words, figures, find_support
from rag.pruning.render import readable
from rag.spans import Span, SpanSet
from rag.types import Chunk, Passage

START = 30
SALES = (
    "Weather was mild all year. Net sales rose 4.2% to 1.3 billion dollars. "
    "Operating costs fell in Norway. The board met nine times."
)
DRUG = "Tamrezumab lowered asthma attacks by a third. Headache was common."


def passage(text: str, *kept: str, doc: str = "d") -> Passage:
    chunk = Chunk(doc, "r", 0, Span(START, START + len(text)), text)
    spans = [Span(at := START + text.index(each), at + len(each)) for each in kept]
    return Passage(chunk, SpanSet(spans or [chunk.span]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The sales of the year rose.", {"sales", "year", "rose"}),
        ("NET Sales", {"net", "sales"}),
        ("4.2% of 1,300, not 1300.", {"4.2", "1,300", "1300"}),
        ("two-day battery; user's 3-5 days", {"two-day", "battery", "user's", "3-5", "days"}),
        ("user’s", {"user’s"}),  # noqa: RUF001
        ("Größe, ÄSCHEN, день", {"größe", "äschen", "день"}),
        ("**bold** `code` # head", {"bold", "code", "head"}),
        ("it is as it was", set()),
        ("", set()),
        ("... --- 🦦", set()),
    ],
)
def test_content_words_carry_meaning_and_figures_stay_whole(text: str, words: set[str]) -> None:
    assert content_words(text) == words


def test_underscores_of_emphasis_are_no_part_of_a_word() -> None:
    assert content_words("The screen is _very bright_.") == {"screen", "very", "bright"}


def test_figures_are_the_words_with_a_digit() -> None:
    words = content_words("In Q3 sales of 1,300 units rose 4.2% over the CVE-2024-1 year ３")  # noqa: RUF001
    assert figures(words) == {"q3", "1,300", "4.2", "cve-2024-1", "３"}  # noqa: RUF001
    assert figures(set()) == set()


def test_the_sentence_that_says_it_is_found_in_the_documents_coordinates() -> None:
    given_to = [passage(DRUG, doc="drug"), passage(SALES)]
    found = find_support("Net sales rose 4.2%.", given_to)
    assert found is not None
    assert found.passage is given_to[1]
    assert found.passage.chunk.slice(found.span) == "Net sales rose 4.2% to 1.3 billion dollars."
    assert (found.share, found.verified) == (1.0, True)


@pytest.mark.parametrize("claim", ["", "  ", "it is so", "penguins", "🦦"])
def test_what_shares_no_word_has_no_support(claim: str) -> None:
    assert find_support(claim, [passage(SALES), passage(DRUG)]) is None


def test_without_passages_there_is_no_support() -> None:
    assert find_support("Net sales rose.", []) is None


def test_what_was_not_kept_supports_nothing() -> None:
    assert find_support("Net sales rose.", [passage(SALES, "The board met nine times.")]) is None
    nothing = Passage(passage(SALES).chunk, SpanSet())
    assert find_support("Net sales rose.", [nothing]) is None


def test_words_that_pruning_took_out_of_a_sentence_are_there_again() -> None:
    found = find_support("sales rose 4.2%", [passage(SALES, "Net sales", "4.2%")])
    assert found is not None
    assert found.passage.chunk.slice(found.span) == "Net sales rose 4.2%"


@pytest.mark.parametrize(
    ("claim", "verified"),
    [
        ("Net sales rose 4.3% to 1.3 billion dollars.", False),  # another figure
        ("Net sales rose to 1.30 billion dollars.", False),
        ("Net sales rose 4.2% to 1.3 billion euros.", True),  # one word in seven
        ("Net sales fell because penguins moved south.", False),  # under a half
    ],
)
def test_it_is_verified_with_half_the_words_and_every_figure(claim: str, verified: bool) -> None:
    found = find_support(claim, [passage(SALES)])
    assert found is not None
    assert found.verified is verified


def test_of_equal_passages_the_first_supports() -> None:
    given_to = [passage(DRUG), passage(SALES, doc="one"), passage(SALES, doc="other")]
    found = find_support("The board met nine times.", given_to)
    assert found is not None
    assert found.passage.chunk.doc_id == "one"


WORDS = st.sampled_from([*SALES.split(), *DRUG.split(), "4.3%", "13", "penguins"])


@given(
    st.lists(WORDS, max_size=8).map(" ".join) | st.text(max_size=20),
    st.lists(st.tuples(st.sampled_from([SALES, DRUG]), st.integers(0, 99), st.integers(0, 99))),
)
def test_support_lies_in_what_is_kept_and_its_share_is_true(
    claim: str, cut: list[tuple[str, int, int]]
) -> None:
    given_to = [
        Passage(
            passage(text).chunk, SpanSet([Span(START + min(a, b) % 60, START + max(a, b) % 60)])
        )
        if min(a, b) % 60 < max(a, b) % 60
        else passage(text)
        for text, a, b in cut
    ]
    found = find_support(claim, given_to)
    if found is None:
        return
    words = content_words(claim)
    held = content_words(found.passage.chunk.slice(found.span))
    assert found.span
    assert any(kept.covers(found.span) for kept in readable(found.passage))
    assert found.share == len(words & held) / len(words) > 0
    assert found.verified == (found.share >= SUPPORT and figures(words) <= held)
