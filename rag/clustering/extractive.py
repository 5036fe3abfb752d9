"""Clustered RAG by extraction: each group of passages is represented by sentences of its own.

The paper has a language model summarise each cluster. Here sentences are chosen in its place, so
every stretch keeps its coordinates and nothing is written. Clusters share a budget by how near they
are to the question; in each, sentences are taken greedily by relevance less what the chosen ones
already say (maximal marginal relevance, Carbonell and Goldstein 1998).

Where passages say little twice there is nothing to gain, and the one passage that holds the answer
to lose: below a measured redundancy the context goes on untouched, and the ledger says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rag.clustering.density import redundancy
from rag.clustering.groups import group
from rag.embedding.base import Embedder, Vectors
from rag.evidence.units import Unit, units_of
from rag.settings import ClusteringSettings
from rag.spans import Span
from rag.types import Context, Remark

__all__ = ["ClusterContext"]

_SHARPNESS = 10.0  # how fast a cluster's share of the budget falls with its cosine


class ClusterContext:
    """Keeps from each cluster of passages what represents it, within a budget.

    Args:
        embedder: the index's own.
        settings: how to group, how much to keep, and when to leave things alone.
        grouping: from vectors and policy to the group of each passage.
    """

    name = "cluster"

    def __init__(
        self,
        embedder: Embedder,
        settings: ClusteringSettings,
        grouping: Callable[[Vectors, str], NDArray[np.int64]] = group,
    ) -> None:
        self._embedder = embedder
        self._settings = settings
        self._grouping = grouping

    def __call__(self, question: str, context: Context) -> Context:
        """The context with less said twice, or as it was."""
        units = units_of(context)
        texts = [unit.text for unit in units]
        if len(context.passages) < 2 or len(units) < 2:
            return replace(context, remark=Remark("too little to cluster"))
        vectors = self._embedder.embed_documents(texts)
        tokens = np.array(self._embedder.counter.count_all(texts), dtype=np.float64)
        passages = [unit.passage for unit in units]
        settings = self._settings
        share = redundancy(vectors, passages, tokens, settings.alike)
        if share < settings.min_redundancy:
            return replace(context, remark=Remark(f"not clustered: {share:.0%} is said twice"))
        query = self._embedder.embed_queries([question])[0]
        groups = self._grouping(_centres(vectors, passages), settings.policy)
        of_units = groups[np.searchsorted(np.unique(passages), passages)]
        chosen = self._represent(vectors, vectors @ query, tokens, of_units)
        remark = Remark(f"{int(groups.max()) + 1} clusters, {share:.0%} was said twice")
        return replace(context.keep(_kept(units, chosen)), remark=remark)

    def _represent(
        self,
        vectors: Vectors,
        relevance: NDArray[np.float32],
        tokens: NDArray[np.float64],
        groups: NDArray[np.int64],
    ) -> list[int]:
        """The units that are kept."""
        settings = self._settings
        budget = min(float(settings.budget), settings.share * float(tokens.sum()))
        best = np.array([relevance[groups == each].max() for each in np.unique(groups)])
        weights = np.exp(_SHARPNESS * (best - best.max()))
        chosen: list[int] = []
        left = 0.0
        for number in np.argsort(-weights, kind="stable").tolist():
            members = np.flatnonzero(groups == np.unique(groups)[number])
            left += budget * float(weights[number] / weights.sum())
            left = self._add(chosen, vectors, relevance, tokens, members, left)
        return chosen

    def _add(
        self,
        chosen: list[int],
        vectors: Vectors,
        relevance: NDArray[np.float32],
        tokens: NDArray[np.float64],
        members: NDArray[np.int64],
        budget: float,
    ) -> float:
        """Add members by marginal relevance until none fits; what is left of the budget.

        What is as good as said by a chosen one, of whatever cluster, is passed over.
        """
        settings = self._settings
        said = np.zeros(len(members), dtype=np.float32)
        if chosen:
            said = (vectors[members] @ vectors[chosen].T).max(axis=1)
        open_ = np.ones(len(members), dtype=bool)
        while True:
            open_ &= (tokens[members] <= budget) & (said < settings.alike)
            if not open_.any():
                return budget
            worth = (1 - settings.novelty) * relevance[members] - settings.novelty * said
            at = int(np.argmax(np.where(open_, worth, -np.inf)))
            chosen.append(int(members[at]))
            budget -= float(tokens[members[at]])
            open_[at] = False
            said = np.maximum(said, vectors[members] @ vectors[members[at]])


def _centres(vectors: Vectors, passages: Sequence[int]) -> Vectors:
    """The mean vector of each passage that has a sentence, unit length."""
    of = np.asarray(passages)
    means = np.stack([vectors[of == each].mean(axis=0) for each in np.unique(of)])
    return np.asarray(
        means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12), np.float32
    )


def _kept(units: Sequence[Unit], chosen: Sequence[int]) -> dict[int, list[Span]]:
    kept: dict[int, list[Span]] = {}
    for at in sorted(chosen):
        kept.setdefault(units[at].passage, []).append(units[at].span)
    return kept
