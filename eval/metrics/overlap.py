"""Precision, recall and IoU over exact spans, and Precision-Omega of a chunker.

For one question let R be its reference spans, T what was retrieved (or what a later stage left of
it) and C every chunk of the corpus. All are sets of code points of named documents, so overlapping
references, overlapping chunks and references in several documents or pieces need no special case:

    recall = |R ∩ T| / |R|     precision = |R ∩ T| / |T|     IoU = |R ∩ T| / |R ∪ T|
    Precision-Omega = |R ∩ ∪C*| / |∪C* ∪ R|,  C* = the chunks that touch a reference

Precision-Omega is the IoU of a retrieval that returns every chunk with evidence and no other: it
needs no embedder, and is a property of a chunker and a set of questions alone. Every ratio with an
empty denominator is 0.

Source: Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval" (Chroma, 2024). With
`compat="chroma"` the arithmetic is that of its published code, which departs from sets in four
ways: overlapping references are summed in recall's denominator; what was missed is summed over
references in IoU's; retrieved chunks are summed, so that a stretch retrieved twice is paid for
twice; and a chunk that ends where a reference begins touches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from eval.located import Located, SpanMap, by_document, shared_length, total_length
from rag.spans import Span, SpanSet

__all__ = ["ChunkMap", "Compat", "Overlap", "overlap"]

Compat = Literal["chroma"]


class Overlap(NamedTuple):
    """The four lengths that every ratio is made of, in code points or tokens.

    Attributes:
        hit: of the references, what was retrieved.
        missed: of the references, what was not.
        referenced: the length of the references.
        retrieved: the length of what was retrieved.
    """

    hit: int
    missed: int
    referenced: int
    retrieved: int

    @property
    def precision(self) -> float:
        """How much of what was retrieved is evidence; 0 where nothing was retrieved."""
        return _ratio(self.hit, self.retrieved)

    @property
    def recall(self) -> float:
        """How much of the evidence was retrieved; 0 where there is none to retrieve."""
        return _ratio(self.hit, self.referenced)

    @property
    def iou(self) -> float:
        """Intersection over union; of sets, never above precision or recall."""
        return _ratio(self.hit, self.retrieved + self.missed)


def overlap(
    references: Sequence[Located], retrieved: Sequence[Located], compat: Compat | None = None
) -> Overlap:
    """What references and retrieved stretches have in common.

    Args:
        references: the evidence of one question, in any order, overlapping or not.
        retrieved: what was retrieved for it.
        compat: "chroma" for sums where we have sets; see the module.

    >>> found = overlap([Located("a", 0, 10)], [Located("a", 5, 25)])
    >>> found.precision, found.recall, found.iou
    (0.25, 0.5, 0.2)
    """
    wanted, had = by_document(references), by_document(retrieved)
    hit = shared_length(wanted, had)
    if compat is None:
        referenced = total_length(wanted)
        return Overlap(hit, referenced - hit, referenced, total_length(had))
    return Overlap(
        hit,
        sum((SpanSet([each.span]) - had.get(each.doc, SpanSet())).length for each in references),
        sum(each.end - each.start for each in references),
        sum(each.end - each.start for each in retrieved),
    )


class ChunkMap:
    """Every chunk of a corpus, ready to tell what touches a reference.

    The union of the chunks that touch a reference r, together with r, is one stretch: from the
    first start to the last end among them and r. Both ends are found by bisection, so that a
    question costs O(log chunks) a reference, whether chunks overlap or nest.

    Args:
        chunks: all of them; how many, in which order, overlapping or not, is free.
    """

    def __init__(self, chunks: Iterable[Located]) -> None:
        spans: dict[str, list[Span]] = {}
        for chunk in chunks:
            if chunk:
                spans.setdefault(chunk.doc, []).append(chunk.span)
        self._documents = {doc: _Edges(each) for doc, each in spans.items()}
        self._covered: SpanMap = {doc: SpanSet(each) for doc, each in spans.items()}

    def __contains__(self, doc: str) -> bool:
        return doc in self._documents

    def end(self, doc: str) -> int:
        """Where the last chunk of a document ends; 0 where it has none."""
        return max((span.end for span in self._covered.get(doc, ())), default=0)

    def precision_omega(self, references: Sequence[Located], compat: Compat | None = None) -> float:
        """Precision at perfect recall: what is evidence of the chunks that hold evidence.

        Source: as the module. Each stretch counts once. With `compat="chroma"` a chunk that only
        meets a reference end to end touches it.
        """
        wanted = by_document(references)
        reached = by_document(
            self._reached(each, closed=compat == "chroma") for each in references if each
        )
        return _ratio(shared_length(wanted, self._covered), total_length(reached))

    def touched(self, references: Sequence[Located]) -> list[Located]:
        """The chunks that share a code point with a reference."""
        return [
            Located(doc, start, end)
            for doc, spans in by_document(references).items()
            if doc in self._documents
            for start, end in self._documents[doc].touched(spans)
        ]

    def _reached(self, reference: Located, *, closed: bool) -> Located:
        edges = self._documents.get(reference.doc)
        return edges.reached(reference, closed=closed) if edges else reference


class _Edges:
    """The chunks of one document, sorted twice: by start, and by end."""

    def __init__(self, spans: Sequence[Span]) -> None:
        pairs = np.array([(span.start, span.end) for span in spans], dtype=np.int64)
        by_start = pairs[np.argsort(pairs[:, 0], kind="stable")]
        by_end = pairs[np.argsort(pairs[:, 1], kind="stable")]
        self._pairs = by_start
        self._starts, self._ends = by_start[:, 0], by_end[:, 1]
        self._last_end = np.maximum.accumulate(by_start[:, 1])
        self._first_start = np.minimum.accumulate(by_end[::-1, 0])[::-1]

    def reached(self, reference: Located, *, closed: bool) -> Located:
        """The hull of a reference and the chunks that touch it."""
        begun = int(np.searchsorted(self._starts, reference.end, "right" if closed else "left"))
        over = int(np.searchsorted(self._ends, reference.start, "left" if closed else "right"))
        start, end = reference.start, reference.end
        # Of the chunks begun before the reference ends the last to end touches it, if any does;
        # of those that end after it starts, the first to start.
        if begun:
            end = max(end, int(self._last_end[begun - 1]))
        if over < len(self._ends):
            start = min(start, int(self._first_start[over]))
        return Located(reference.doc, start, end)

    def touched(self, references: SpanSet) -> list[tuple[int, int]]:
        """Start and end of the chunks that touch any of the references."""
        found: set[int] = set()
        for span in references:
            begun = int(np.searchsorted(self._starts, span.end, "left"))
            over = int(np.searchsorted(self._last_end, span.start, "right"))
            found.update(over + np.flatnonzero(self._pairs[over:begun, 1] > span.start))
        return [(int(start), int(end)) for start, end in self._pairs[sorted(found)]]


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
