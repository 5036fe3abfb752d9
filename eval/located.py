"""A stretch of a named document: what every metric takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rag.spans import Span, SpanSet

__all__ = ["Located", "SpanMap", "by_document", "shared_length", "total_length"]

SpanMap = Mapping[str, SpanSet]
"""Document name to what of it is meant."""


@dataclass(frozen=True, slots=True, order=True)
class Located:
    """A span, and the name of the document it is a span of.

    Raises:
        ValueError: `start` is negative or `end` lies before it.
    """

    doc: str
    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"not a span: [{self.start}, {self.end})")

    def __bool__(self) -> bool:
        return self.start < self.end

    @property
    def span(self) -> Span:
        """Where in the document."""
        return Span(self.start, self.end)


def by_document(stretches: Iterable[Located]) -> dict[str, SpanSet]:
    """The set of code points that some stretches hold, document by document.

    >>> by_document([Located("a", 0, 4), Located("a", 2, 6)])
    {'a': SpanSet([0, 6))}
    """
    spans: dict[str, list[Span]] = {}
    for stretch in stretches:
        spans.setdefault(stretch.doc, []).append(stretch.span)
    return {doc: SpanSet(each) for doc, each in spans.items()}


def total_length(spans: SpanMap) -> int:
    """How many code points (or tokens, where the spans count those) there are in all."""
    return sum(each.length for each in spans.values())


def shared_length(one: SpanMap, other: SpanMap) -> int:
    """How many of them two maps share."""
    return sum((one[doc] & other[doc]).length for doc in one.keys() & other.keys())
