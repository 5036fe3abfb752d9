from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.base import Block, Heading, nest
from rag.spans import Span

blocks = st.lists(
    st.builds(
        Block,
        st.integers(0, 60),
        st.integers(0, 61),
        st.just(""),
        st.sampled_from(["table", "list"]),
    )
)
headings = st.lists(st.builds(Heading, st.integers(0, 60), st.integers(1, 6), st.just("t")))


def test_a_section_runs_to_the_next_heading_as_high_or_higher() -> None:
    sections = nest(
        [Heading(2, 1, "A"), Heading(5, 2, "A.1"), Heading(9, 3, "A.1.1"), Heading(14, 2, "A.2")],
        20,
    )
    assert [(s.title, s.span) for s in sections] == [
        ("A", Span(2, 20)),
        ("A.1", Span(5, 14)),
        ("A.1.1", Span(9, 14)),
        ("A.2", Span(14, 20)),
    ]


def test_headings_out_of_order_are_ordered_and_empty_sections_left_out() -> None:
    sections = nest([Heading(7, 1, "late"), Heading(3, 1, "short"), Heading(3, 1, "early")], 9)
    assert [(s.title, s.span) for s in sections] == [("early", Span(3, 7)), ("late", Span(7, 9))]


def test_blocks_are_deeper_than_what_they_stand_in() -> None:
    sections = nest(
        [Heading(3, 1, "A"), Heading(8, 2, "A.1")],
        30,
        [Block(20, 26, "in", "table"), Block(0, 2), Block(4, 7), Block(12, 28, "out", "list")],
    )
    assert [(s.title, s.kind, s.level, s.span.start) for s in sections] == [
        ("", "section", 1, 0),
        ("A", "section", 1, 3),
        ("", "section", 2, 4),
        ("A.1", "section", 2, 8),
        ("out", "list", 3, 12),
        ("in", "table", 4, 20),
    ]


def test_a_block_that_a_heading_stands_in_is_left_out_and_what_is_in_it_stays() -> None:
    sections = nest([Heading(5, 2, "A")], 30, [Block(0, 20, "out"), Block(8, 12, "in")])
    assert [(s.title, s.level) for s in sections] == [("A", 2), ("in", 3)]


def test_blocks_that_overlap_are_cut_and_endless_nesting_ends() -> None:
    assert [s.span for s in nest([], 9, [Block(0, 5), Block(3, 8)])] == [Span(0, 5), Span(3, 5)]
    deep = nest([], 10_000, [Block(at, 10_000 - at) for at in range(5_000)])
    assert [s.level for s in deep] == list(range(1, 25))


@given(headings, blocks)
def test_sections_lie_in_the_text_and_nest(found: list[Heading], stretches: list[Block]) -> None:
    sections = nest(found, 61, stretches)
    assert [s.span.start for s in sections] == sorted(s.span.start for s in sections)
    for at, outer in enumerate(sections):
        assert 0 <= outer.span.start < outer.span.end <= 61
        for inner in sections[at + 1 :]:
            if inner.span.touches(outer.span):
                assert outer.span.covers(inner.span)
                assert inner.level > outer.level
