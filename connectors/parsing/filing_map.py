"""The items of a filing around the sections that its format's parser found."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from connectors.parsing.base import Parsed, nest
from connectors.parsing.filing import item_sections
from rag.spans import Span
from rag.types import Section

__all__ = ["ITEMS_VERSION", "with_items"]

ITEMS_VERSION = "items-1"
"""Of what makes the sections of a filing; part of the version of each format that has them."""


def with_items(parsed: Parsed, form: str) -> Parsed:
    """`parsed` with the parts and items of its form as its outer sections; the text is the same.

    What the parser found lies inside of them: a section ends where an item begins, and a table
    that an item begins in the middle of (one that lays out a page) is left out.
    """
    headings = item_sections(parsed.text, form)
    if not headings:
        return parsed
    items = nest(headings, len(parsed.text))
    starts = [heading.start for heading in headings]
    deepest = max(heading.level for heading in headings)
    inner = (_inside(section, starts, parsed.text) for section in parsed.sections)
    found = [*items, *(replace(each, level=each.level + deepest) for each in inner if each)]
    found.sort(key=lambda section: (section.span.start, section.level))
    return replace(parsed, sections=tuple(found))


def _inside(section: Section, starts: list[int], text: str) -> Section | None:
    start, end = section.span.start, section.span.end
    after = bisect_right(starts, start)
    cut = after < len(starts) and starts[after] < end
    if section.kind != "section":
        return None if cut else section
    if after and starts[after - 1] == start:
        return None  # the item's own heading, marked up as one
    if not cut:
        return section
    shorter = Span(start, starts[after])
    # A page may be titled by the very heading of the item that begins in its middle.
    left = " ".join(shorter.text_in(text).split())
    titled = all(line in left for line in section.title.split(" – "))  # noqa: RUF001
    return replace(section, span=shorter) if titled else None
