from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.grounding.anchor import find_quote, holds
from rag.spans import Span, SpanSet
from rag.types import Chunk, Passage

TEXT = (
    "Net sales rose 4.2% to $1,200 million in 2023. The “Board” did not declare a dividend – "  # noqa: RUF001
    "shares were repur-\nchased instead. Café  sales in Zürich were flat. "
    "The harbour office recorded 412 arrivals in May, 38 more than in April of the same year."
)
BEGINS = 100


def passage(text: str = TEXT, *kept: tuple[int, int], start: int = BEGINS) -> Passage:
    span = Span(start, start + len(text))
    spans = SpanSet(Span(start + low, start + high) for low, high in kept) if kept else None
    return Passage(Chunk("d", "r", 0, span, text), spans or SpanSet([span]), score=1.0)


def found(quote: str, *passages: Passage) -> tuple[str, str] | None:
    anchor = find_quote(quote, passages or (passage(),))
    return anchor and (anchor.how, anchor.passage.chunk.slice(anchor.span))


@pytest.mark.parametrize(
    ("quote", "how", "said"),
    [
        ("Net sales rose 4.2%", "verbatim", "Net sales rose 4.2%"),
        ("recorded 412 arrivals in May", "verbatim", "recorded 412 arrivals in May"),
        ("“recorded 412 arrivals” [S1]", "verbatim", "recorded 412 arrivals"),
        ("sales in Zürich were flat.", "verbatim", "sales in Zürich were flat"),
        ("rose 4.2% to $1,200 million.", "verbatim", "rose 4.2% to $1,200 million"),
        ("net SALES rose", "normalised", "Net sales rose"),
        ('the "Board" did not declare', "normalised", "The “Board” did not declare"),
        ("a dividend - shares", "normalised", "a dividend – shares"),  # noqa: RUF001
        ("shares were repurchased", "normalised", "shares were repur-\nchased"),
        ("Cafe\u0301 sales in Zu\u0308rich", "normalised", "Café  sales in Zürich"),
        ("Net sales rose ... in 2023", "verbatim", TEXT[: TEXT.index(" The “")].rstrip(".")),
        (
            "The harbour office registered 412 arrivals in May",
            "aligned",
            "The harbour office recorded 412 arrivals in May",
        ),
        (
            "The harbour office recorded 412 arrivals May, 38 more than in April",
            "aligned",
            "The harbour office recorded 412 arrivals in May, 38 more than in April",
        ),
    ],
)
def test_a_quote_is_found_where_it_stands(quote: str, how: str, said: str) -> None:
    assert found(quote) == (how, said)


@pytest.mark.parametrize(
    "quote",
    [
        "",
        "...",
        "[S1]",
        "rose 4",
        "rose 4.2% to $1",
        "2% to $1,200 million",
        "et sales rose",
        "to $1,200 million in 202",
        "The harbour office recorded 413 arrivals in May",
        "The harbour office recorded arrivals in May",
        "The Board did declare a dividend, and shares were repurchased instead",
        "The “Board” ... repurchased instead",
        "The minister opened a new harbour in the north of the country",
    ],
    ids=repr,
)
def test_what_does_not_stand_there_is_not_found(quote: str) -> None:
    assert found(quote) is None


def test_a_better_way_in_a_later_passage_counts_more() -> None:
    near = passage("The harbour office registered 412 arrivals in May.", start=0)
    assert found("The harbour office recorded 412 arrivals in May", near, passage()) == (
        "verbatim",
        "The harbour office recorded 412 arrivals in May",
    )


def test_of_two_passages_that_say_it_alike_the_first_counts() -> None:
    first, second = passage(start=0), passage(start=5000)
    anchor = find_quote("412 arrivals", (first, second))
    assert anchor is not None
    assert anchor.passage is first


def test_what_was_left_out_is_not_quoted() -> None:
    cut = TEXT.index(" The “")
    kept = passage(TEXT, (0, cut), (TEXT.index("Café"), len(TEXT)))
    assert found("did not declare a dividend", kept) is None
    assert found("in 2023. The “Board”", kept) is None
    assert found("sales rose 4.2%", kept) == ("verbatim", "sales rose 4.2%")


def test_words_left_out_of_a_sentence_are_read() -> None:
    kept = passage(TEXT, (0, 9), (TEXT.index("4.2%"), TEXT.index(" to $")))
    assert found("sales rose 4.2%", kept) == ("verbatim", "sales rose 4.2%")


def test_of_a_written_passage_the_sources_are_what_is_quoted() -> None:
    assert found("zzz yyy xxx", *passage().sources) is None


@given(st.text(max_size=60), st.text(max_size=12), st.text(max_size=60))
def test_a_span_never_leaves_the_passage(before: str, quote: str, after: str) -> None:
    text = f"{before}{quote}{after}" or "x"
    anchor = find_quote(quote, (passage(text),))
    if anchor is not None:
        assert anchor.passage.chunk.span.covers(anchor.span)
        assert len(anchor.span)


@given(
    st.lists(st.sampled_from("alpha beta Gamma 4.2% 1,200 ‘delta’ é ﬁ".split()), min_size=1),  # noqa: RUF001
    st.data(),
)
def test_whole_words_of_a_passage_are_found_whatever_their_case(
    words: list[str], data: st.DataObject
) -> None:
    low = data.draw(st.integers(0, len(words) - 1))
    high = data.draw(st.integers(low + 1, len(words)))
    quote = " ".join(words[low:high])
    anchor = find_quote(quote.upper(), (passage("  ".join(words)),))
    assert anchor is not None
    assert anchor.how in ("verbatim", "normalised")


@pytest.mark.parametrize(
    ("fact", "evidence", "held"),
    [
        ("Sales rose 4%.", "Net sales rose 4%.", True),
        ("Sales rose 5%.", "Net sales rose 4%.", False),
        ("Sales did not rise.", "Sales did rise.", False),
        ("Sales did rise.", "Sales didn't rise.", False),
        ("Sales did not rise.", "Sales didn't rise.", True),
        ("Three ships sank in May.", "Two ships sank in May.", False),
        ("Three ships sank in May.", "Three ships sank in June.", False),
        ("The office in Zu\u0308rich closed.", "THE OFFICE IN ZÜRICH CLOSED", True),
        ("Penguins swim fast in winter.", "Net sales rose 4%.", False),
        ("", "Net sales rose 4%.", False),
    ],
)
def test_evidence_holds_a_fact(fact: str, evidence: str, held: bool) -> None:
    assert holds(fact, evidence) is held
