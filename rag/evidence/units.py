"""Units of evidence: the sentences of a context."""

from __future__ import annotations

from typing import NamedTuple

from rag.sentences import sentence_spans
from rag.spans import Span
from rag.types import Context

__all__ = ["Unit", "units_of"]

_FEWEST_LETTERS = 12  # a page number or a lone "Total" is evidence of nothing


class Unit(NamedTuple):
    """A sentence: the number of its passage, its place in the document, and its text."""

    passage: int
    span: Span
    text: str


def units_of(context: Context) -> list[Unit]:
    """The distinct sentences of each document, passage by passage and in their order.

    One that several chunks hold is there once, in the best of them.
    """
    units: list[Unit] = []
    seen: set[tuple[str, str]] = set()
    for number, passage in enumerate(context.passages):
        start = passage.chunk.span.start
        for kept in passage.kept:
            for span in sentence_spans(passage.chunk.text, kept.shift(-start)):
                text = span.text_in(passage.chunk.text)
                known = (passage.chunk.doc_id, text)
                if known not in seen and sum(map(str.isalpha, text)) >= _FEWEST_LETTERS:
                    seen.add(known)
                    units.append(Unit(number, span.shift(start), text))
    return units
