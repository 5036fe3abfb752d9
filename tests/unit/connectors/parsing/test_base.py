from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.base import Heading, nest
from rag.spans import Span

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


@given(headings)
def test_sections_lie_in_the_text_and_nest(found: list[Heading]) -> None:
    sections = nest(found, 61)
    assert [s.span.start for s in sections] == sorted(s.span.start for s in sections)
    for at, outer in enumerate(sections):
        assert 0 <= outer.span.start < outer.span.end <= 61
        for inner in sections[at + 1 :]:
            if inner.span.touches(outer.span):
                assert outer.span.covers(inner.span)
                assert inner.level > outer.level
