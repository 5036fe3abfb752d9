"""Recursive separator chunking: the best of the simple chunkers in the published comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from rag.chunking.base import Cut, SpanChunker
from rag.chunking.tokens import windows
from rag.spans import Span
from rag.tokens import Offsets
from rag.types import Document

__all__ = ["SEPARATORS", "RecursiveChunker"]

SEPARATORS = ("\n\n", "\n", ".", "?", "!", " ")
"""Coarse to fine. A separator stays at the head of the piece that follows it."""


class RecursiveChunker(SpanChunker):
    """Cut at the coarsest separator there is; cut again, finer, what is still too long.

    Neighbouring pieces of one level are merged while they fit. Source: LangChain's
    RecursiveCharacterTextSplitter, with the separators of Chroma's chunking evaluation (2024).
    Departures: pieces are spans, never strings; a piece that no separator divides is cut into
    windows of tokens; a chunk has no white space at its ends.
    """

    kind = "recursive"

    def cuts(self, document: Document) -> Iterator[Cut]:
        """The merged pieces of the whole text."""
        text = document.text
        offsets = self.counter.offsets(text)
        for span, tokens in self._split(text, Span(0, len(text)), offsets, 0):
            if trimmed := span.trim_in(text):
                yield Cut(trimmed, tokens)

    def _split(self, text: str, span: Span, offsets: Offsets, level: int) -> Iterator[Cut]:
        measure = partial(_tokens_in, offsets=offsets)
        if (tokens := measure(span)) <= self.size:
            yield Cut(span, tokens)
            return
        while level < len(SEPARATORS) and text.find(SEPARATORS[level], span.start, span.end) < 0:
            level += 1
        if level == len(SEPARATORS):
            first = int(np.searchsorted(offsets[:, 1], span.start, side="right"))
            last = int(np.searchsorted(offsets[:, 0], span.end, side="left"))
            yield from windows(
                text, span, offsets[first:last], self.counter, self.size, self.overlap
            )
            return
        short: list[Span] = []
        for piece in _pieces(text, span, SEPARATORS[level]):
            if measure(piece) < self.size:
                short.append(piece)
                continue
            yield from self._merge(short, offsets)
            short = []
            yield from self._split(text, piece, offsets, level + 1)
        yield from self._merge(short, offsets)

    def _merge(self, pieces: list[Span], offsets: Offsets) -> Iterator[Cut]:
        """Join neighbours up to `size` tokens, stepping back `overlap` tokens after each chunk."""
        lengths = [_tokens_in(piece, offsets) for piece in pieces]
        first, total = 0, 0
        for at, length in enumerate(lengths):
            if at > first and total + length > self.size:
                yield Cut(Span(pieces[first].start, pieces[at - 1].end), total)
                # Pieces without a token (a zero-width space) are no overlap: never alone in both.
                while first < at and (not 0 < total <= self.overlap or total + length > self.size):
                    total -= lengths[first]
                    first += 1
            total += length
        if pieces:
            yield Cut(Span(pieces[first].start, pieces[-1].end), total)


def _pieces(text: str, span: Span, separator: str) -> Iterator[Span]:
    start = span.start
    while (at := text.find(separator, start + 1, span.end)) > 0:
        yield Span(start, at)
        start = at
    yield Span(start, span.end)


def _tokens_in(span: Span, offsets: Offsets) -> int:
    """How many tokens begin inside `span`."""
    first, last = np.searchsorted(offsets[:, 0], (span.start, span.end))
    return int(last - first)
