"""Excerpts: the stretches of documents that a question is about, marked by what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from eval.datasets import Texts
from eval.located import Located, by_document
from rag.spans import Span, SpanSet

__all__ = ["Excerpt", "Piece", "excerpts"]

_AROUND = 160  # characters shown on either side
_LONGEST = 1_200  # characters of one stretch of a kind before its middle is left out


class Piece(NamedTuple):
    """A run of characters of one kind: "hit", "missed", "wasted", "plain" or "gap"."""

    kind: str
    text: str


class Excerpt(NamedTuple):
    """A part of a document."""

    doc: str
    start: int
    end: int
    pieces: list[Piece]


def excerpts(
    references: Sequence[Located], kept: Sequence[Located], texts: Texts
) -> Iterator[Excerpt]:
    """What surrounds references and kept spans, in reading order, references' documents first.

    Hit is reference text that was kept, missed is reference text that was not, wasted was kept
    and is no reference.
    """
    wanted, had = by_document(references), by_document(kept)
    for doc in dict.fromkeys((*wanted, *had)):
        text = texts[doc]
        want, have = wanted.get(doc, SpanSet()), had.get(doc, SpanSet())
        whole = Span(0, len(text))
        shown = SpanSet(
            Span(max(span.start - _AROUND, 0), min(span.end + _AROUND, whole.end))
            for span in (want | have)
        )
        for span in shown:
            yield Excerpt(doc, span.start, span.end, list(_pieces(text, span, want, have)))


def _pieces(text: str, shown: Span, want: SpanSet, have: SpanSet) -> Iterator[Piece]:
    kinds = (
        ("hit", want & have),
        ("missed", want - have),
        ("wasted", have - want),
        ("plain", (want | have).complement(shown.end)),
    )
    marked = sorted((span, kind) for kind, spans in kinds for span in spans.clip(shown))
    for span, kind in marked:
        stretch = span.text_in(text)
        if len(stretch) <= _LONGEST:
            yield Piece(kind, stretch)
        else:
            half = _LONGEST // 2
            yield Piece(kind, stretch[:half])
            yield Piece("gap", f" … {len(stretch) - 2 * half:,} characters … ")
            yield Piece(kind, stretch[-half:])
