"""Selection: from retrieved chunks to the sentences that answer the question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.embedding.base import Embedder
from rag.embedding.lexical import LexicalEncoder
from rag.errors import ModelError
from rag.evidence.choose import best_iou, enough_recall
from rag.evidence.features import (
    FEATURES,
    READER_FEATURES,
    Nearness,
    features,
    nearness,
    reader_features,
)
from rag.evidence.reader import JointReader, Reading
from rag.evidence.scorer import BUNDLED_SCORER, BUNDLED_SCORER_READ, Scorer
from rag.evidence.units import Unit, units_of
from rag.settings import SelectionSettings
from rag.spans import Span
from rag.tables import table_spans
from rag.types import Context, Remark

__all__ = ["Ranking", "SelectSentences"]

_MANY_TABLES = 0.25  # share of what was found; below it a table is mostly a list or a stray row


class Ranking(NamedTuple):
    """The sentences of a context, best first, and of each the share that should be evidence."""

    units: list[Unit]
    probabilities: NDArray[np.float64]
    evidence: float | None
    remark: str = ""


class SelectSentences:
    """Keeps the sentences whose expected overlap with the evidence is greatest.

    Each sentence gets a probability: a logistic regression over how near it is to the question,
    where it stands and, with a joint reader, what that made of it. Kept is the part of the ranking
    that maximises expected IoU (`selection.recall_weight` leans to recall), or that holds
    `selection.target_recall` of all that is expected, or that fits `selection.budget` tokens.
    Passages without a kept sentence are dropped; the others are ordered by their best one.

    With `selection.whole_tables`, and no budget, tables are kept beside the sentences wherever
    they are a quarter or more of the text that was found: a figure means nothing without its row,
    its year and its unit.

    The context's `evidence`, by which the engine abstains, is apart from it: the best cosine plus
    half the share of the question's terms.

    Args:
        embedder: the index's own.
        lexical: the index's own; it says what a term is.
        settings: which rule.
        reader: reads question and passage together. Where it fails, selection goes on without.
    """

    name = "select"

    def __init__(
        self,
        embedder: Embedder,
        lexical: LexicalEncoder,
        settings: SelectionSettings,
        reader: JointReader | None = None,
    ) -> None:
        self._embedder = embedder
        self._lexical = lexical
        self._settings = settings
        self._reader = reader
        given = Path(settings.scorer) if settings.scorer else None
        plain = given if given and reader is None else BUNDLED_SCORER
        self._plain = Scorer.read(plain, FEATURES)
        self._reading = None
        if reader is not None:
            every = (*FEATURES, *READER_FEATURES)
            self._reading = Scorer.read(given or BUNDLED_SCORER_READ, every)

    def __call__(self, question: str, context: Context) -> Context:
        """The context narrowed to its evidence; where it was summarised, only judged."""
        if context.written:
            sources = replace(context, passages=tuple(context.sources))
            units = units_of(sources)
            evidence = None
            if units:
                near = nearness(question, sources, units, self._embedder, self._lexical)
                evidence = _evidence(near)
            remark = Remark("not selected: a summary is left as it is")
            return replace(context, evidence=evidence, remark=remark)
        return self.narrow(context, self.rank(question, context), self._settings.budget)

    def rank(self, question: str, context: Context) -> Ranking:
        """Judge every sentence of a context."""
        units = units_of(context)
        if not units:
            return Ranking([], np.zeros(0), None)
        near = nearness(question, context, units, self._embedder, self._lexical)
        found, remark = self._probabilities(question, context, units, near)
        best = np.argsort(-found, kind="stable")
        return Ranking([units[at] for at in best], found[best], _evidence(near), remark)

    def narrow(self, context: Context, ranking: Ranking, budget: int = 0) -> Context:
        """Keep the best sentences: as many as fit `budget` tokens or, at 0, as the settings say."""
        judged = replace(context, evidence=ranking.evidence, remark=Remark(ranking.remark))
        if not ranking.units or (self._settings.keep == "everything" and not budget):
            return judged
        kept: dict[int, list[Span]] = {}
        top: dict[int, float] = {}
        chosen = self._within(ranking, budget) if budget else list(range(self._count(ranking)))
        for at in chosen:
            unit = ranking.units[at]
            kept.setdefault(unit.passage, []).append(unit.span)
            top.setdefault(unit.passage, float(ranking.probabilities[at]))
        if self._settings.whole_tables and not budget:
            for number, tables in _tables(context).items():
                kept.setdefault(number, []).extend(tables)
                top.setdefault(number, _best(ranking, number))
        remark = Remark(ranking.remark, why=_why(context, ranking, chosen))
        narrowed = replace(judged.keep(kept), remark=remark)
        scored = (
            replace(passage, score=score)
            for passage, score in zip(narrowed.passages, top.values(), strict=True)
        )
        return replace(narrowed, passages=tuple(scored))

    def _probabilities(
        self, question: str, context: Context, units: Sequence[Unit], near: Nearness
    ) -> tuple[NDArray[np.float64], str]:
        """Of each unit, and why the reader had no part in them, or ""."""
        matrix = features(question, context, units, near)
        if self._reader is None or self._reading is None:
            return self._plain.probabilities(matrix), ""
        try:
            readings: list[Reading] = self._reader.read(
                question, [passage.chunk.text for passage in context.passages]
            )
        except ModelError as error:
            return self._plain.probabilities(matrix), f"without the joint reader: {error.message}"
        read = reader_features(context, units, readings)
        return self._reading.probabilities(np.concatenate((matrix, read), axis=1)), ""

    def _count(self, ranking: Ranking) -> int:
        lengths = np.array([len(unit.span) for unit in ranking.units], dtype=np.float64)
        if self._settings.target_recall:
            return enough_recall(ranking.probabilities, lengths, self._settings.target_recall)
        return best_iou(ranking.probabilities, lengths, self._settings.recall_weight)

    def _within(self, ranking: Ranking, budget: int) -> list[int]:
        """The best that fit the budget together; one too long for what is left is passed over."""
        kept: list[int] = []
        texts = [unit.text for unit in ranking.units]
        for at, tokens in enumerate(self._embedder.counter.count_all(texts)):
            if tokens <= budget:
                kept.append(at)
                budget -= tokens
        return kept


def _evidence(near: Nearness) -> float:
    """The strongest sign that a unit answers the question."""
    return float(np.max(near.cosine + 0.5 * near.share))


def _tables(context: Context) -> dict[int, list[Span]]:
    """The tables of each passage that has one, where they are much of the text; else none."""
    found: dict[int, list[Span]] = {}
    for number, passage in enumerate(context.passages):
        start = passage.chunk.span.start
        for kept in passage.kept:
            for table in table_spans(passage.chunk.text, kept.shift(-start)):
                found.setdefault(number, []).append(table.shift(start))
    text = sum(len(span) for passage in context.passages for span in passage.kept)
    tables = sum(len(span) for spans in found.values() for span in spans)
    return found if tables >= _MANY_TABLES * text else {}


def _best(ranking: Ranking, passage: int) -> float:
    """The greatest probability of a unit of the passage."""
    of_it = (
        probability
        for unit, probability in zip(ranking.units, ranking.probabilities, strict=True)
        if unit.passage == passage
    )
    return float(next(of_it, 0.0))


def _why(context: Context, ranking: Ranking, chosen: Sequence[int]) -> dict[str, str]:
    """Of each chunk, how likely the best of what it lost is evidence, and what was kept."""
    kept = set(chosen)
    lost: dict[int, float] = {}
    for at, unit in enumerate(ranking.units):
        if at not in kept:
            lost.setdefault(unit.passage, float(ranking.probabilities[at]))
    least = float(ranking.probabilities[chosen[-1]]) if chosen else 1.0
    return {
        passage.chunk.id: f"evidence with {lost[number]:.1%} at best; kept from {least:.1%}"
        if number in lost
        else "said before, or too short to say anything"
        for number, passage in enumerate(context.passages)
    }
