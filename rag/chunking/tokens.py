"""Fixed windows of tokens: the plainest chunker, and the baseline."""

from __future__ import annotations

from collections.abc import Iterator

from rag.chunking.base import Cut, SpanChunker
from rag.spans import Span
from rag.tokens import Offsets
from rag.types import Document

__all__ = ["TokenChunker", "windows"]


class TokenChunker(SpanChunker):
    """Windows of `size` tokens, each `size - overlap` after the last, cut between words."""

    kind = "tokens"

    def cuts(self, document: Document) -> Iterator[Cut]:
        """Windows over the whole text."""
        return windows(self.counter.offsets(document.text), self.size, self.overlap)


def windows(offsets: Offsets, size: int, overlap: int = 0) -> Iterator[Cut]:
    """Windows of at most `size` tokens over `offsets`.

    A word is only cut where it alone is longer than a window. White space at a cut belongs to
    neither side.
    """
    begins_word = [True, *(offsets[1:, 0] > offsets[:-1, 1]).tolist()]
    count = len(offsets)
    start = 0
    while start < count:
        end = min(start + size, count)
        while start < end < count and not begins_word[end]:
            end -= 1
        if end == start:  # one word fills the window
            end = min(start + size, count)
        yield Cut(Span(int(offsets[start, 0]), int(offsets[end - 1, 1])), end - start)
        if end == count:
            return
        following = max(end - overlap, start + 1)
        while following < end and not begins_word[following]:
            following += 1
        start = following
