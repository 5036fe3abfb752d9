"""Coordinates: half-open ranges of Unicode code points, and sets of them.

Everything downstream is arithmetic on these two types. They know nothing of documents: a `Span`
says *where*, whoever holds it says *in what*.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Span", "SpanSet"]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range `[start, end)` of code points; empty where `start == end`.

    Raises:
        ValueError: `start` is negative or `end` lies before it.

    >>> Span(4, 9).text_in("the quick fox")
    'quick'
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"not a span: [{self.start}, {self.end})")

    def __len__(self) -> int:
        return self.end - self.start

    def __contains__(self, offset: int) -> bool:
        return self.start <= offset < self.end

    def covers(self, other: Span) -> bool:
        """Whether `other` lies wholly inside this span."""
        return self.start <= other.start and other.end <= self.end

    def touches(self, other: Span) -> bool:
        """Whether the two share at least one code point (adjacent spans do not)."""
        return max(self.start, other.start) < min(self.end, other.end)

    def intersect(self, other: Span) -> Span | None:
        """What the two share, or None where they share nothing."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Span(start, end) if start < end else None

    def shift(self, by: int) -> Span:
        """The same stretch seen from an origin `by` code points earlier (later if negative)."""
        return Span(self.start + by, self.end + by)

    def text_in(self, text: str) -> str:
        """The stretch of `text` this span names."""
        return text[self.start : self.end]

    def trim_in(self, text: str) -> Span:
        """This span without the white space at its two ends."""
        stretch = text[self.start : self.end]
        start = self.start + len(stretch) - len(stretch.lstrip())
        return Span(start, max(start, self.start + len(stretch.rstrip())))


class SpanSet:
    """An immutable set of code points, held as sorted, disjoint, non-adjacent, non-empty spans.

    Two sets are equal where they hold the same code points, however they were built. All
    operations are linear in the number of spans (`in` is logarithmic).

    >>> SpanSet([Span(0, 4), Span(3, 8)]) - SpanSet([Span(2, 3)])
    SpanSet([0, 2) [3, 8))
    """

    __slots__ = ("_spans",)

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        merged: list[Span] = []
        for span in sorted(span for span in spans if span):
            if merged and span.start <= merged[-1].end:
                if span.end > merged[-1].end:
                    merged[-1] = Span(merged[-1].start, span.end)
            else:
                merged.append(span)
        self._spans = tuple(merged)

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans)

    def __bool__(self) -> bool:
        return bool(self._spans)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SpanSet) and self._spans == other._spans

    def __hash__(self) -> int:
        return hash(self._spans)

    def __repr__(self) -> str:
        return f"SpanSet({' '.join(f'[{span.start}, {span.end})' for span in self._spans)})"

    def __contains__(self, offset: int) -> bool:
        at = bisect_right(self._spans, offset, key=lambda span: span.start) - 1
        return at >= 0 and offset in self._spans[at]

    @property
    def spans(self) -> tuple[Span, ...]:
        """The spans in order: sorted, disjoint, with a gap between any two."""
        return self._spans

    @property
    def length(self) -> int:
        """The number of code points in the set."""
        return sum(map(len, self._spans))

    @property
    def hull(self) -> Span | None:
        """The smallest span that covers the set, or None where it is empty."""
        return Span(self._spans[0].start, self._spans[-1].end) if self._spans else None

    def __or__(self, other: SpanSet) -> SpanSet:
        return SpanSet((*self._spans, *other._spans))

    def __and__(self, other: SpanSet) -> SpanSet:
        shared: list[Span] = []
        mine, theirs = 0, 0
        while mine < len(self._spans) and theirs < len(other._spans):
            if both := self._spans[mine].intersect(other._spans[theirs]):
                shared.append(both)
            if self._spans[mine].end <= other._spans[theirs].end:
                mine += 1
            else:
                theirs += 1
        return SpanSet(shared)

    def __sub__(self, other: SpanSet) -> SpanSet:
        if not self._spans:
            return self
        return self & other.complement(self._spans[-1].end)

    def __le__(self, other: SpanSet) -> bool:
        return self & other == self

    def complement(self, length: int) -> SpanSet:
        """The code points of `[0, length)` that are not in the set."""
        inside = self.clip(Span(0, length))
        edges = [0, *(edge for span in inside for edge in (span.start, span.end)), length]
        return SpanSet(Span(start, end) for start, end in list(pairwise(edges))[::2] if start < end)

    def clip(self, window: Span) -> SpanSet:
        """The part of the set inside `window`."""
        first = bisect_right(self._spans, window.start, key=lambda span: span.end)
        last = bisect_left(self._spans, window.end, key=lambda span: span.start)
        return SpanSet(part for span in self._spans[first:last] if (part := span.intersect(window)))

    def texts_in(self, text: str) -> list[str]:
        """The stretches of `text` the set names, in order."""
        return [span.text_in(text) for span in self._spans]
