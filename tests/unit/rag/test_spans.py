from __future__ import annotations

import pytest

from rag.spans import Span, SpanSet


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (4, 3), (-2, -1)])
def test_a_span_never_runs_backwards_nor_before_the_text(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"not a span: \["):
        Span(start, end)


def test_an_empty_span_is_false_and_holds_nothing() -> None:
    empty = Span(3, 3)
    assert not empty
    assert len(empty) == 0
    assert 3 not in empty
    assert empty.text_in("abcdef") == ""


def test_the_end_is_outside_the_span() -> None:
    span = Span(2, 5)
    assert [offset for offset in range(8) if offset in span] == [2, 3, 4]
    assert len(span) == 3


def test_spans_sort_by_start_then_end() -> None:
    assert sorted([Span(2, 9), Span(0, 9), Span(2, 3)]) == [Span(0, 9), Span(2, 3), Span(2, 9)]


def test_adjacent_spans_do_not_touch() -> None:
    assert not Span(0, 3).touches(Span(3, 6))
    assert Span(0, 3).touches(Span(2, 6))
    assert Span(0, 3).intersect(Span(3, 6)) is None
    assert Span(0, 3).intersect(Span(2, 6)) == Span(2, 3)


def test_an_empty_span_touches_nothing_but_is_covered() -> None:
    assert not Span(2, 2).touches(Span(0, 5))
    assert Span(0, 5).covers(Span(2, 2))
    assert Span(0, 5).covers(Span(0, 5))
    assert not Span(0, 5).covers(Span(4, 6))


def test_shifting_moves_both_ends_and_refuses_to_leave_the_text() -> None:
    assert Span(4, 9).shift(-4) == Span(0, 5)
    assert Span(4, 9).shift(3) == Span(7, 12)
    with pytest.raises(ValueError, match="not a span"):
        Span(4, 9).shift(-5)


@pytest.mark.parametrize(
    ("text", "trimmed"),
    [
        ("  ab ", Span(2, 4)),
        ("ab", Span(0, 2)),
        ("\r\nab\r\n", Span(2, 4)),
        ("\u3000ab\u2028", Span(1, 3)),
        ("", Span(0, 0)),
    ],
)
def test_trimming_takes_white_space_off_both_ends(text: str, trimmed: Span) -> None:
    assert Span(0, len(text)).trim_in(text) == trimmed


def test_trimming_white_space_alone_leaves_an_empty_span_inside() -> None:
    trimmed = Span(1, 4).trim_in("a   b")
    assert not trimmed
    assert Span(1, 4).covers(trimmed)


def test_offsets_are_code_points_not_bytes_nor_utf16_units() -> None:
    text = "a\U0001f44d\U0001f3fdb e\u0301"
    assert Span(1, 3).text_in(text) == "\U0001f44d\U0001f3fd"
    assert Span(5, 7).text_in(text) == "e\u0301"


def test_sets_of_the_same_code_points_are_equal_and_hash_alike() -> None:
    one = SpanSet([Span(0, 4), Span(4, 6), Span(2, 3), Span(9, 9)])
    other = SpanSet([Span(0, 6)])
    assert one == other
    assert hash(one) == hash(other)
    assert one.spans == (Span(0, 6),)
    assert one != SpanSet([Span(0, 5)])
    assert one != (Span(0, 6),)


def test_the_length_of_a_set_counts_code_points() -> None:
    assert SpanSet([Span(0, 4), Span(6, 9)]).length == 7
    assert SpanSet().length == 0
    assert not SpanSet()


def test_the_hull_spans_the_gaps() -> None:
    assert SpanSet([Span(6, 9), Span(2, 4)]).hull == Span(2, 9)
    assert SpanSet().hull is None


def test_the_texts_of_a_set_stand_in_order() -> None:
    assert SpanSet([Span(4, 7), Span(0, 3)]).texts_in("one two three") == ["one", "two"]


def test_a_set_reads_as_half_open_ranges() -> None:
    assert repr(SpanSet([Span(0, 2), Span(3, 8)])) == "SpanSet([0, 2) [3, 8))"
