"""What every parser returns, and how headings, tables and lists become nested sections."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from connectors.base import SourceRef
from rag.spans import Span
from rag.types import Document, Section, SectionKind

__all__ = ["Block", "Heading", "Parsed", "nest"]

_DEEPEST = 24  # blocks in blocks; a citation names all that are titled


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document's canonical text and the map of it; the fields are those of `Document`."""

    text: str = field(repr=False)
    title: str = ""
    sections: tuple[Section, ...] = ()
    pages: tuple[int, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    def as_document(self, ref: SourceRef, namespace: str) -> Document:
        """The document that a connector listed as `ref`."""
        return Document(
            namespace=namespace,
            key=ref.key,
            source=ref.source,
            name=ref.name,
            text=self.text,
            title=self.title,
            sections=self.sections,
            pages=self.pages,
            meta=self.meta,
            fingerprint=ref.fingerprint,
        )


class Heading(NamedTuple):
    """Where a section starts, how deep it is (1 is outermost), and its title."""

    start: int
    level: int
    title: str


class Block(NamedTuple):
    """A stretch that ends where it ends, whatever follows: a table, a list, a function."""

    start: int
    end: int
    title: str = ""
    kind: SectionKind = "section"


def nest(
    headings: Iterable[Heading], length: int, blocks: Iterable[Block] = ()
) -> tuple[Section, ...]:
    """The sections of a text of `length`: each runs to the next heading as high or higher.

    Headings that share their start with the next of their level hold nothing and are left out
    (a PDF outline knows only pages, so two short items may start "together"). A block is one level
    deeper than the heading or the block that it stands in, and ends where that does; one that a
    heading stands in is left out: it lays out a page.

    >>> nest([Heading(0, 1, "A"), Heading(5, 2, "A.1"), Heading(8, 1, "B")], 9)[0]
    Section(span=Span(start=0, end=8), title='A', level=1, kind='section')
    >>> nest([Heading(0, 1, "A")], 9, [Block(3, 7, "", "table")])[1]
    Section(span=Span(start=3, end=7), title='', level=2, kind='table')
    """
    ordered = sorted(headings, key=lambda heading: heading.start)
    ends = [length] * len(ordered)
    around: list[int] = []
    for at, heading in enumerate(ordered):
        while around and ordered[around[-1]].level >= heading.level:
            ends[around.pop()] = heading.start
        around.append(at)
    sections = [
        Section(Span(heading.start, end), heading.title, heading.level)
        for heading, end in zip(ordered, ends, strict=True)
        if heading.start < end
    ]
    sections += _below(ordered, blocks)
    return tuple(sorted(sections, key=lambda section: (section.span.start, section.level)))


def _below(headings: Sequence[Heading], blocks: Iterable[Block]) -> Iterator[Section]:
    """The blocks, as sections below those of the headings, which are in the text's order."""
    starts = [heading.start for heading in headings]
    around: list[int] = []  # ends of the blocks that the next one may lie in
    for start, end, title, kind in sorted(blocks, key=lambda block: (block.start, -block.end)):
        while around and around[-1] <= start:
            around.pop()
        end = min([end, *around[-1:]])
        above = bisect_right(starts, start)
        holds_heading = bisect_left(starts, start) < bisect_left(starts, end)
        if start < end and not holds_heading and len(around) < _DEEPEST:
            level = (headings[above - 1].level if above else 0) + len(around) + 1
            yield Section(Span(start, end), title, level, kind)
            around.append(end)
