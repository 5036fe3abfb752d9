"""Spans and sets of spans against plain sets of integers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rag.spans import Span, SpanSet

LENGTH = 40

offsets = st.integers(0, LENGTH)
spans = st.tuples(offsets, offsets).map(lambda pair: Span(min(pair), max(pair)))
span_lists = st.lists(spans, max_size=8)
span_sets = span_lists.map(SpanSet)


def ints(held: SpanSet | Span | None) -> set[int]:
    """The code points of a span or a set, one by one."""
    if held is None:
        return set()
    parts = [held] if isinstance(held, Span) else held.spans
    return {offset for span in parts for offset in range(span.start, span.end)}


@given(spans, spans)
def test_two_spans_relate_as_their_code_points_do(one: Span, other: Span) -> None:
    assert ints(one.intersect(other)) == ints(one) & ints(other)
    assert one.touches(other) == bool(ints(one) & ints(other))
    assert len(one) == len(ints(one))
    assert {offset for offset in range(-2, LENGTH + 2) if offset in one} == ints(one)
    if other:
        assert one.covers(other) == (ints(other) <= ints(one))


@given(spans, st.integers(0, LENGTH))
def test_shifting_back_undoes_shifting(span: Span, by: int) -> None:
    assert span.shift(by).shift(-by) == span
    assert ints(span.shift(by)) == {offset + by for offset in ints(span)}


@given(st.text(alphabet=" \n\u3000ab\u0301", max_size=LENGTH), spans)
def test_trimming_is_stripping(text: str, span: Span) -> None:
    inside = Span(min(span.start, len(text)), min(span.end, len(text)))
    trimmed = inside.trim_in(text)
    assert trimmed.text_in(text) == inside.text_in(text).strip()
    assert inside.covers(trimmed)


@given(span_lists)
def test_a_set_holds_the_code_points_it_was_made_of(given_spans: list[Span]) -> None:
    made = SpanSet(given_spans)
    wanted = set().union(*map(ints, given_spans))
    assert ints(made) == wanted
    assert made.length == len(wanted)
    assert bool(made) == bool(wanted)
    assert {offset for offset in range(-2, LENGTH + 2) if offset in made} == wanted
    assert ints(made.hull) == (set(range(min(wanted), max(wanted) + 1)) if wanted else set())


@given(span_lists)
def test_the_spans_of_a_set_are_sorted_with_a_gap_between_any_two(
    given_spans: list[Span],
) -> None:
    made = SpanSet(given_spans)
    assert all(made.spans)
    assert all(before.end < after.start for before, after in pairwise(made.spans))
    assert tuple(made) == made.spans


@given(span_lists, st.randoms())
def test_the_order_of_building_does_not_matter(given_spans: list[Span], random: object) -> None:
    shuffled = list(given_spans)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert SpanSet(shuffled) == SpanSet(given_spans)
    assert hash(SpanSet(shuffled)) == hash(SpanSet(given_spans))


@given(span_sets, span_sets)
def test_set_operations_are_those_of_the_code_points(one: SpanSet, other: SpanSet) -> None:
    assert ints(one | other) == ints(one) | ints(other)
    assert ints(one & other) == ints(one) & ints(other)
    assert ints(one - other) == ints(one) - ints(other)
    assert (one <= other) == (ints(one) <= ints(other))
    assert (one == other) == (ints(one) == ints(other))


@given(span_sets, span_sets)
def test_a_result_is_as_well_formed_as_a_set_built_from_scratch(
    one: SpanSet, other: SpanSet
) -> None:
    for result in (one | other, one & other, one - other):
        assert result.spans == SpanSet(Span(at, at + 1) for at in ints(result)).spans


@given(span_sets, offsets)
def test_the_complement_is_all_the_rest(held: SpanSet, length: int) -> None:
    assert ints(held.complement(length)) == set(range(length)) - ints(held)


@given(span_sets, spans)
def test_clipping_keeps_what_is_inside_the_window(held: SpanSet, window: Span) -> None:
    assert ints(held.clip(window)) == ints(held) & ints(window)


@given(span_sets, st.text(min_size=LENGTH, max_size=LENGTH))
def test_texts_are_the_kept_characters_in_order(held: SpanSet, text: str) -> None:
    assert "".join(held.texts_in(text)) == "".join(text[at] for at in sorted(ints(held)))
