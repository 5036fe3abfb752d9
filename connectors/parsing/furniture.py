"""Page furniture: running heads, feet and page numbers, which are no part of the text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from rag.spans import Span, SpanSet

__all__ = ["furniture"]

_LINE = re.compile(r"[^\n]*\n?")
_DEPTH = 2  # lines from the top and from the bottom of a page that may be furniture
_FEWEST_PAGES = 4  # fewer pages than that repeat a line by chance


def furniture(pages: Sequence[str]) -> list[SpanSet]:
    r"""The stretches of each page that stand on at least half of all pages.

    Only the first and the last two lines of a page are looked at, and lines count as the same
    where they differ in numbers alone ("Page 3 of 190").

    >>> furniture([f"Annual report\n{word}\n{word}\nPage 7" for word in ("a", "b", "c", "d")])[0]
    SpanSet([0, 14) [18, 24))
    """
    edges = [list(_edges(page)) for page in pages]
    seen = Counter(key for page in edges for key in {key for _, key in page})
    enough = max(_FEWEST_PAGES, len(pages) / 2)
    return [SpanSet(span for span, key in page if seen[key] >= enough) for page in edges]


def _edges(page: str) -> Iterator[tuple[Span, str]]:
    """The outer lines of a page, each with what it has in common with its like."""
    lines = [Span(*line.span()) for line in _LINE.finditer(page) if line[0].strip()]
    for line in lines if len(lines) <= 2 * _DEPTH else lines[:_DEPTH] + lines[-_DEPTH:]:
        yield line, re.sub(r"\d+", "#", line.text_in(page).strip())
