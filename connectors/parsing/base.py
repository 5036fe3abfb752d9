"""What every parser returns, and how a list of headings becomes nested sections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rag.spans import Span
from rag.types import Section

__all__ = ["Heading", "Parsed", "nest"]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document's canonical text and the map of it; the fields are those of `Document`."""

    text: str = field(repr=False)
    title: str = ""
    sections: tuple[Section, ...] = ()
    pages: tuple[int, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)


class Heading(NamedTuple):
    """Where a section starts, how deep it is (1 is outermost), and its title."""

    start: int
    level: int
    title: str


def nest(headings: Iterable[Heading], length: int) -> tuple[Section, ...]:
    """The sections of a text of `length`: each runs to the next heading as high or higher.

    Headings that share their start with the next of their level hold nothing and are left out
    (a PDF outline knows only pages, so two short items may start "together").

    >>> nest([Heading(0, 1, "A"), Heading(5, 2, "A.1"), Heading(8, 1, "B")], 9)[0]
    Section(span=Span(start=0, end=8), title='A', level=1, kind='section')
    """
    ordered = sorted(headings, key=lambda heading: heading.start)
    ends = [length] * len(ordered)
    around: list[int] = []
    for at, heading in enumerate(ordered):
        while around and ordered[around[-1]].level >= heading.level:
            ends[around.pop()] = heading.start
        around.append(at)
    return tuple(
        Section(Span(heading.start, end), heading.title, heading.level)
        for heading, end in zip(ordered, ends, strict=True)
        if heading.start < end
    )
