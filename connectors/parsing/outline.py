"""Text and its map, written together: headings, paragraphs, tables and lists."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.parsing.base import Heading, nest
from connectors.parsing.writer import TextWriter
from rag.spans import Span
from rag.types import Section, SectionKind

__all__ = ["Outline"]


class Outline:
    r"""Writes blocks, a blank line between them, and remembers where each stands.

    >>> outline = Outline()
    >>> outline.heading("Sales", 1)
    >>> outline.block("table", ["North | 5", "South | 7"])
    >>> outline.text
    'Sales\n\nNorth | 5\nSouth | 7'
    >>> [(section.kind, section.level, section.span) for section in outline.sections]
    [('section', 1, Span(start=0, end=26)), ('table', 2, Span(start=7, end=26))]

    Args:
        level: that of the section around it all, which is somebody else's to name.
    """

    def __init__(self, level: int = 0) -> None:
        self._level = level
        self._writer = TextWriter()
        self._headings: list[Heading] = []
        self._blocks: list[Section] = []

    @property
    def text(self) -> str:
        """All that was written."""
        return self._writer.text

    @property
    def sections(self) -> tuple[Section, ...]:
        """The headings' sections, with the tables and lists in them."""
        found = [*nest(self._headings, len(self.text)), *self._blocks]
        return tuple(sorted(found, key=lambda each: (each.span.start, each.level)))

    def heading(self, title: str, level: int) -> None:
        """Write a heading; level 1 is the outermost."""
        self._headings.append(Heading(self._writer.line(title, gap=2), level, title))

    def paragraph(self, text: str) -> None:
        """Write a paragraph, which may have several lines."""
        self._writer.line(text, gap=2)

    def block(self, kind: SectionKind, lines: Sequence[str], title: str = "") -> None:
        """Write a table or a list, one level deeper than the heading it stands under."""
        text = "\n".join(lines)
        start = self._writer.line(text, gap=2)
        level = 1 + (self._headings[-1].level if self._headings else self._level)
        self._blocks.append(Section(Span(start, start + len(text)), title, level, kind))
