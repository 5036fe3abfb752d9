from __future__ import annotations

from itertools import pairwise

from connectors.parsing.base import Heading, Parsed, nest
from connectors.parsing.filing_map import with_items
from rag.spans import Span
from rag.types import Section

TEXT = (
    "ACME\nAnnual report\nItem 1. Business\nBread.\nOur bakers\nMany.\n"
    "Item 2. Properties\nTown | Ovens\nYork | 3\n"
)


def at(words: str) -> int:
    return TEXT.index(words)


def mapped(*sections: Section) -> list[tuple[str, int, str]]:
    parsed = with_items(Parsed(TEXT, title="t", sections=sections, pages=(0,)), "10-K")
    assert (parsed.text, parsed.title, parsed.pages) == (TEXT, "t", (0,))
    spans = [section.span for section in parsed.sections]
    assert all(one.end <= two.start or one.covers(two) or one.start == two.start
               for one, two in pairwise(spans))  # fmt: skip
    return [(s.title, s.level, s.kind) for s in parsed.sections]


def test_what_is_no_filing_stays_as_it_is() -> None:
    parsed = Parsed("Item 1. Business", sections=())
    assert with_items(parsed, "S-1") is parsed
    assert with_items(parsed, "") is parsed


def test_the_parsers_sections_lie_inside_of_the_items() -> None:
    own = nest([Heading(0, 1, "ACME"), Heading(at("Our bakers"), 2, "Our bakers")], len(TEXT))
    table = Section(Span(at("Town"), len(TEXT) - 1), "", 3, "table")
    assert mapped(*own, table) == [
        ("ACME", 3, "section"),
        ("Item 1. Business", 2, "section"),
        ("Our bakers", 4, "section"),
        ("Item 2. Properties", 2, "section"),
        ("", 5, "table"),
    ]


def test_a_section_ends_where_an_item_begins() -> None:
    own = nest([Heading(0, 1, "ACME")], len(TEXT))
    parsed = with_items(Parsed(TEXT, sections=own), "10-K")
    assert parsed.sections[0].span == Span(0, at("Item 1"))


def test_an_items_own_heading_is_not_there_twice() -> None:
    own = nest([Heading(at("Item 1"), 1, "Item 1. Business")], len(TEXT))
    assert mapped(*own) == [
        ("Item 1. Business", 2, "section"),
        ("Item 2. Properties", 2, "section"),
    ]


def test_a_table_around_items_lays_out_the_page() -> None:
    around = Section(Span(at("Annual"), at("Town")), "", 1, "table")
    assert ("", 3, "table") not in mapped(around)
    begins = Section(Span(at("Item 2"), len(TEXT)), "", 1, "table")
    assert ("", 3, "table") in mapped(begins)


def test_a_page_titled_by_the_item_in_its_middle_is_left_out() -> None:
    page = Section(Span(0, len(TEXT)), "Item 1. Business – Bread.")  # noqa: RUF001
    assert [title for title, _, _ in mapped(page)] == ["Item 1. Business", "Item 2. Properties"]
