"""Clustered RAG by extraction: each group of passages is represented by sentences of its own.

The paper has a language model summarise each cluster. Here sentences are chosen in its place, so
every stretch keeps its coordinates and nothing is written. Clusters share a budget by how near they
are to the question; in each, sentences are taken greedily by relevance less what the chosen ones
already say (maximal marginal relevance, Carbonell and Goldstein 1998).

Where passages say little twice there is nothing to gain, and the one passage that holds the answer
to lose: below a measured redundancy the context goes on untouched, and the ledger says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rag.clustering.clusters import Clusters, Grouping, find_clusters, spans_by_passage
from rag.clustering.groups import group
from rag.embedding.base import Embedder
from rag.settings import ClusteringSettings
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
        self, embedder: Embedder, settings: ClusteringSettings, grouping: Grouping = group
    ) -> None:
        self._embedder = embedder
        self._settings = settings
        self._grouping = grouping

    def __call__(self, question: str, context: Context) -> Context:
        """The context with less said twice, or as it was."""
        found = find_clusters(context, self._embedder, self._settings, self._grouping)
        if isinstance(found, str):
            return replace(context, remark=Remark(found))
        query = self._embedder.embed_queries([question])[0]
        chosen = self._represent(found, found.vectors @ query)
        note = f"{len(found.members)} clusters, {found.redundancy:.0%} was said twice"
        remark = Remark(note, why=self._why(context, found, chosen))
        return replace(context.keep(spans_by_passage(found.units, chosen)), remark=remark)

    def _represent(self, found: Clusters, relevance: NDArray[np.float32]) -> list[int]:
        """The units that are kept."""
        settings = self._settings
        budget = min(float(settings.budget), settings.share * float(found.tokens.sum()))
        best = np.array([relevance[members].max() for members in found.members])
        weights = np.exp(_SHARPNESS * (best - best.max()))
        chosen: list[int] = []
        left = 0.0
        for number in np.argsort(-weights, kind="stable").tolist():
            left += budget * float(weights[number] / weights.sum())
            left = self._add(chosen, found, relevance, found.members[number], left)
        return chosen

    def _add(
        self,
        chosen: list[int],
        found: Clusters,
        relevance: NDArray[np.float32],
        members: NDArray[np.int64],
        budget: float,
    ) -> float:
        """Add members by marginal relevance until none fits; what is left of the budget.

        What is as good as said by a chosen one, of whatever cluster, is passed over.
        """
        settings = self._settings
        said = np.zeros(len(members), dtype=np.float32)
        if chosen:
            said = (found.vectors[members] @ found.vectors[chosen].T).max(axis=1)
        open_ = np.ones(len(members), dtype=bool)
        while True:
            open_ &= (found.tokens[members] <= budget) & (said < settings.alike)
            if not open_.any():
                return budget
            worth = (1 - settings.novelty) * relevance[members] - settings.novelty * said
            at = int(np.argmax(np.where(open_, worth, -np.inf)))
            chosen.append(int(members[at]))
            budget -= float(found.tokens[members[at]])
            open_[at] = False
            said = np.maximum(said, found.vectors[members] @ found.vectors[members[at]])

    def _why(self, context: Context, found: Clusters, chosen: Sequence[int]) -> Mapping[str, str]:
        """Why the rest of each passage was left out."""
        kept = set(chosen)
        again: dict[int, int] = {}
        over: dict[int, int] = {}
        for at, unit in enumerate(found.units):
            if at not in kept:
                nearest = found.vectors[list(kept)] @ found.vectors[at] if kept else np.zeros(1)
                counted = again if nearest.max() >= self._settings.alike else over
                counted[unit.passage] = counted.get(unit.passage, 0) + 1
        counts = ((again, "said elsewhere"), (over, "over the budget"))
        return {
            passage.chunk.id: ", ".join(
                f"{counted[number]} sentences {what}"
                for counted, what in counts
                if number in counted
            )
            or "too short to say anything"
            for number, passage in enumerate(context.passages)
        }
