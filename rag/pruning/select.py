"""Selection: from retrieved chunks to the sentences that bear on the question."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rag.embedding.base import Embedder
from rag.sentences import sentence_spans
from rag.spans import Span, SpanSet
from rag.types import Context, Passage

__all__ = ["SelectSentences"]

_FEWEST_LETTERS = 12  # a page number or a lone "Total" is evidence of nothing


class _Unit(NamedTuple):
    passage: int
    span: Span


class SelectSentences:
    """Keeps the sentences nearest to the question, at most `sentences` of them.

    A sentence's score is the cosine of its own embedding and the question's. The best of them is
    the context's `evidence`. Passages without a kept sentence are dropped; the others are ordered
    by their best sentence.

    Args:
        embedder: the index's own.
        sentences: how many to keep; 0 keeps every chunk whole and only judges the evidence.
    """

    name = "select"

    def __init__(self, embedder: Embedder, sentences: int) -> None:
        self._embedder = embedder
        self._sentences = sentences

    def __call__(self, question: str, context: Context) -> Context:
        """The context narrowed to its best sentences."""
        units, texts = _units(context)
        if not units:
            return Context(context.passages, evidence=None)
        query = self._embedder.embed_queries([question])[0]
        scores = self._embedder.embed_documents(texts) @ query
        best = np.argsort(-scores, kind="stable")
        evidence = float(scores[best[0]])
        if not self._sentences:
            return Context(context.passages, evidence)
        kept: dict[int, list[Span]] = {}
        top: dict[int, float] = {}
        for at in best[: self._sentences]:
            unit = units[at]
            kept.setdefault(unit.passage, []).append(unit.span)
            top.setdefault(unit.passage, float(scores[at]))
        return Context(
            tuple(
                Passage(passage.chunk, passage.kept & SpanSet(spans), top[at])
                for at, spans in kept.items()
                for passage in (context.passages[at],)
            ),
            evidence,
        )


def _units(context: Context) -> tuple[list[_Unit], list[str]]:
    """The distinct sentences of the kept text. One that several chunks hold is judged once."""
    units: list[_Unit] = []
    texts: list[str] = []
    seen: set[str] = set()
    for number, passage in enumerate(context.passages):
        start = passage.chunk.span.start
        for kept in passage.kept:
            for span in sentence_spans(passage.chunk.text, kept.shift(-start)):
                text = span.text_in(passage.chunk.text)
                if text not in seen and sum(map(str.isalpha, text)) >= _FEWEST_LETTERS:
                    seen.add(text)
                    units.append(_Unit(number, span.shift(start)))
                    texts.append(text)
    return units, texts
