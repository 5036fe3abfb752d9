"""Selection: from retrieved chunks to the sentences that bear on the question."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.embedding.base import Embedder
from rag.embedding.context import split_name
from rag.embedding.lexical import LexicalEncoder
from rag.sentences import sentence_spans
from rag.settings import SelectionSettings
from rag.spans import Span, SpanSet
from rag.types import Chunk, Context, Passage

__all__ = ["Ranking", "SelectSentences"]

_FEWEST_LETTERS = 12  # a page number or a lone "Total" is evidence of nothing


class _Unit(NamedTuple):
    passage: int
    span: Span


class Ranking(NamedTuple):
    """The sentences of a context, best first: where each stands, its text and its score."""

    units: list[_Unit]
    texts: list[str]
    scores: list[float]
    evidence: float | None


class SelectSentences:
    """Keeps the sentences that bear most on the question: a few, and none far behind the best.

    A sentence's score is the cosine of its embedding and the question's, plus half the share of
    the question's terms that stand in it. Terms count by how rare they are among the candidate
    sentences, and the name, title and section of its document count as its own: a sentence of
    Acme's filing seldom says Acme. The context's `evidence` is the best score without those.
    Passages without a kept sentence are dropped; the others are ordered by their best one. How the
    weights and limits were set: docs/benchmarks.md.

    Args:
        embedder: the index's own.
        lexical: the index's own; it says what a term is.
        settings: how many to keep, and how much worse than the best one they may be; or how many
            tokens. 0 sentences and no budget keeps every chunk whole and only judges the evidence.
    """

    name = "select"

    def __init__(
        self, embedder: Embedder, lexical: LexicalEncoder, settings: SelectionSettings
    ) -> None:
        self._embedder = embedder
        self._lexical = lexical
        self._settings = settings

    def __call__(self, question: str, context: Context) -> Context:
        """The context narrowed to its best sentences."""
        return self.narrow(context, self.rank(question, context), self._settings.budget)

    def rank(self, question: str, context: Context) -> Ranking:
        """Judge every sentence of a context."""
        units, texts = _units(context)
        if not units:
            return Ranking([], [], [], None)
        scores, evidence = self._scores(question, context, units, texts)
        best = np.argsort(-scores, kind="stable").tolist()
        return Ranking(
            [units[at] for at in best],
            [texts[at] for at in best],
            [float(scores[at]) for at in best],
            evidence,
        )

    def narrow(self, context: Context, ranking: Ranking, budget: int = 0) -> Context:
        """Keep the best sentences: as many as fit `budget` tokens or, at 0, as the settings say."""
        if not ranking.units:
            return context
        if not (self._settings.sentences or budget):
            return Context(context.passages, ranking.evidence)
        kept: dict[int, list[Span]] = {}
        top: dict[int, float] = {}
        for at in self._within(ranking, budget) if budget else self._few(ranking):
            unit = ranking.units[at]
            kept.setdefault(unit.passage, []).append(unit.span)
            top.setdefault(unit.passage, ranking.scores[at])
        narrowed = (
            replace(_narrowed(context.passages[at], spans), score=top[at])
            for at, spans in kept.items()
        )
        return Context(tuple(narrowed), ranking.evidence)

    def _few(self, ranking: Ranking) -> list[int]:
        """The first few, as far as they are not much worse than the best."""
        best = ranking.scores[0]
        floor = best - (1 - self._settings.relative_cut) * abs(best)
        first = ranking.scores[: self._settings.sentences]
        return [at for at, score in enumerate(first) if score >= floor]

    def _within(self, ranking: Ranking, budget: int) -> list[int]:
        """The best that fit the budget together; one too long for what is left is passed over."""
        kept: list[int] = []
        for at, tokens in enumerate(self._embedder.counter.count_all(ranking.texts)):
            if tokens <= budget:
                kept.append(at)
                budget -= tokens
        return kept

    def _scores(
        self, question: str, context: Context, units: list[_Unit], texts: list[str]
    ) -> tuple[NDArray[np.float32], float]:
        """The score of each sentence, shape (texts,), and the evidence."""
        query = self._embedder.embed_queries([question])[0]
        cosines = self._embedder.embed_documents(texts) @ query
        placed = [
            f"{_heading(context.passages[unit.passage].chunk, unit.span)}\n{text}"
            for unit, text in zip(units, texts, strict=True)
        ]
        scores = np.asarray(cosines + 0.5 * self._shares(question, placed), dtype=np.float32)
        return scores, float(np.max(cosines + 0.5 * self._shares(question, texts)))

    def _shares(self, question: str, texts: list[str]) -> NDArray[np.float32]:
        """The share of the question's terms in each text, weighted by rarity, shape (texts,)."""
        terms = self._lexical.encode_query(question).indices
        holds = np.array(
            [
                [term in held for term in terms]
                for vector in self._lexical.encode_documents(texts)
                for held in (set(vector.indices),)
            ],
            dtype=np.float32,
        ).reshape(len(texts), len(terms))
        found = holds.sum(axis=0)
        rarity = np.log1p((len(texts) - found + 0.5) / (found + 0.5))
        return np.asarray(holds @ rarity / max(float(rarity.sum()), 1e-9), dtype=np.float32)


def _heading(chunk: Chunk, span: Span) -> str:
    """What a reader sees above a sentence: file, title, section."""
    return split_name(f"{chunk.name} {chunk.title} {chunk.place_at(span.start).section}")


def _narrowed(passage: Passage, sentences: list[Span]) -> Passage:
    """The passage with these sentences kept, and the white space between neighbours."""
    kept = SpanSet(sentences)
    gaps = (gap for gap in passage.kept - kept if not passage.chunk.slice(gap).strip())
    inner = [gap for gap in gaps if gap.start - 1 in kept and gap.end in kept]
    return passage.narrow(kept | SpanSet(inner))


def _units(context: Context) -> tuple[list[_Unit], list[str]]:
    """The distinct sentences of each document. One that several chunks hold is judged once."""
    units: list[_Unit] = []
    texts: list[str] = []
    seen: set[tuple[str, str]] = set()
    for number, passage in enumerate(context.passages):
        start = passage.chunk.span.start
        for kept in passage.kept:
            for span in sentence_spans(passage.chunk.text, kept.shift(-start)):
                text = span.text_in(passage.chunk.text)
                known = (passage.chunk.doc_id, text)
                if known not in seen and sum(map(str.isalpha, text)) >= _FEWEST_LETTERS:
                    seen.add(known)
                    units.append(_Unit(number, span.shift(start)))
                    texts.append(text)
    return units, texts
