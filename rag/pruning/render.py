"""Rendering: what is kept of a passage as text to read, always the document's own characters."""

from __future__ import annotations

import re
from itertools import pairwise

from rag.sentences import sentence_spans
from rag.spans import SpanSet
from rag.types import Passage

__all__ = ["readable", "render"]

_SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s")


def render(passage: Passage) -> str:
    """The kept pieces in order, each exactly as it stands, or what was written in their place.

    Where words were left out inside a sentence there is one space, or a line break if what was
    left out had one; where the end of a sentence went, an ellipsis.
    """
    if passage.written:
        return passage.written
    spans = passage.kept.spans
    parts = list(passage.pieces[:1])
    for (before, after), piece in zip(pairwise(spans), passage.pieces[1:], strict=True):
        gap = passage.chunk.text[
            before.end - passage.chunk.span.start : after.start - passage.chunk.span.start
        ]
        parts += [_joint(gap), piece]
    return "".join(parts)


def readable(passage: Passage) -> SpanSet:
    """What is kept, and what was left out between two kept words of one sentence.

    A quotation is taken from this: words pruned for a model are there again for the reader.
    """
    if len(passage.kept.spans) < 2:
        return passage.kept
    start = passage.chunk.span.start
    sentences = (span.shift(start) for span in sentence_spans(passage.chunk.text))
    hulls = (passage.kept.clip(sentence).hull for sentence in sentences)
    return passage.kept | SpanSet(hull for hull in hulls if hull)


def _joint(gap: str) -> str:
    if _SENTENCE_END.search(gap) or len(gap) > 400:
        return " … "
    return "\n" if "\n" in gap else " "
