from __future__ import annotations

import pytest
from harbour import HARBOUR, window_of
from hypothesis import given
from hypothesis import strategies as st

from pipelines.synthesize.locate import locate, merged, shown
from rag.sentences import sentence_spans
from rag.spans import Span, SpanSet

SENTENCES = tuple(sentence_spans(HARBOUR))


def found(*quotes: str) -> SpanSet | None:
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
    "quote",
    [
        "The harbour office recorded 413 arrivals in all weathers.",
        "Whales were seen off the northern coast in May.",
        "To enter the basin at night, switch off nothing and call channel 13.",
        "",
        "May",
    ],
)
def test_a_quote_that_does_not_stand_there_rejects_the_question(quote: str) -> None:
    assert found(SENTENCES[0].text_in(HARBOUR), quote) is None


@given(st.sampled_from([span for span in SENTENCES if len(span) > 60]), st.data())
def test_a_quote_with_an_edit_is_found_at_what_the_document_says(
    span: Span, data: st.DataObject
) -> None:
    words = span.text_in(HARBOUR).split()
    plain = [at for at, word in enumerate(words) if word.isalpha() and word.islower()]
    at = data.draw(st.sampled_from([each for each in plain if 0 < each < len(words) - 1]))
    located = found(" ".join([*words[:at], "verily", *words[at + 1 :]]))
    if located is None:  # more of a short quote than an alignment may change
        assert len(words) < 14
    else:
        (stands,) = located
        assert span.covers(stands)
        assert len(stands) >= 0.8 * len(span)


def test_quotes_are_looked_for_only_in_what_was_shown() -> None:
    window = window_of(HARBOUR)
    first = SENTENCES[0]
    passages = shown(window, SpanSet([first]))
    assert locate([SENTENCES[3].text_in(HARBOUR)], window, passages) is None
    assert locate([first.text_in(HARBOUR)], window, passages) is not None


def test_no_quote_is_no_question() -> None:
    assert found() is None
