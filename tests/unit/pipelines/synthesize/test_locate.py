from __future__ import annotations

import pytest
from harbour import HARBOUR, window_of
from hypothesis import given
from hypothesis import strategies as st

from pipelines.synthesize.locate import locate, merged, shown
from rag.sentences import sentence_spans
from rag.spans import Span, SpanSet

SENTENCES = tuple(sentence_spans(HARBOUR))


def found(*quotes: str) -> SpanSet | str:
    window = window_of(HARBOUR)
    return locate(quotes, window, shown(window, window.pieces(apart=False)))


@given(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=5, unique=True), st.data())
def test_every_quote_is_found_where_it_stands_whatever_their_order(
    chosen: list[Span], data: st.DataObject
) -> None:
    """The published code misplaces every reference but the first; ours has no running offset."""
    order = data.draw(st.permutations(chosen))
    located = found(*(span.text_in(HARBOUR) for span in order))
    assert located == merged(chosen, HARBOUR)
    assert isinstance(located, SpanSet)
    for span in chosen:
        assert any(each.covers(span) for each in located)
    covered = sum(len(span) for span in chosen)
    blanks = sum(map(str.isspace, "".join(located.texts_in(HARBOUR))))
    assert located.length - covered <= blanks


@pytest.mark.parametrize(
    ("quote", "stands"),
    [
        ("the harbour office recorded 412 arrivals", "the harbour office recorded 412 arrivals"),
        ("The harbour  master\u2019s\nassociation (HMA)", "The harbour master's association (HMA)"),
        ('"Dredging begins again in October."', "Dredging begins again in October."),
        (
            "To enter the basin at night, turn on the leading lights and call channel 12.",
            "To enter the basin at night, switch on the leading lights and call channel 12.",
        ),
    ],
)
def test_what_is_stored_is_what_stands_there_not_what_was_written(quote: str, stands: str) -> None:
    located = found(quote)
    assert isinstance(located, SpanSet)
    assert located.texts_in(HARBOUR) == [stands]


@pytest.mark.parametrize(
    ("quote", "cause"),
    [
        ("The harbour office recorded 413 arrivals in all weathers.", "quote not found"),
        ("Whales were seen off the northern coast in May.", "quote not found"),
        ("", "quote not found"),
        ("in May", "quote not found"),
        ("Kestrel bridge", "repeated text"),
    ],
)
def test_a_quote_that_does_not_stand_there_once_rejects_the_question(
    quote: str, cause: str
) -> None:
    assert found(SENTENCES[0].text_in(HARBOUR), quote) == cause


def test_quotes_are_looked_for_only_in_what_was_shown() -> None:
    window = window_of(HARBOUR)
    first = SENTENCES[0]
    passages = shown(window, SpanSet([first]))
    assert locate([SENTENCES[3].text_in(HARBOUR)], window, passages) == "quote not found"
    assert locate([first.text_in(HARBOUR)], window, passages) != "quote not found"


def test_no_quote_is_no_question() -> None:
    assert found() == "quote not found"
