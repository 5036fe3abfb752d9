"""What both kinds of Clustered RAG begin with: the sentences of a context, in groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.clustering.density import redundancy
from rag.embedding.base import Embedder, Vectors
from rag.evidence.units import Unit, units_of
from rag.settings import ClusteringSettings
from rag.spans import Span
from rag.types import Context

__all__ = ["Clusters", "Grouping", "find_clusters", "spans_by_passage"]

Grouping = Callable[[Vectors, str], NDArray[np.int64]]
"""From the vectors of passages, best first, and a policy to the group of each passage."""


class Clusters(NamedTuple):
    """The sentences of a context, and the group each belongs to.

    Attributes:
        units: the sentences.
        vectors: theirs, unit length, shape (units, dimension).
        tokens: how long each is, shape (units,).
        groups: of each, that of its passage; group 0 holds the best passage. Shape (units,).
        redundancy: the share of the text that is said twice.
    """

    units: list[Unit]
    vectors: Vectors
    tokens: NDArray[np.float64]
    groups: NDArray[np.int64]
    redundancy: float

    @property
    def members(self) -> list[NDArray[np.int64]]:
        """The numbers of the units of each group, groups in their order."""
        return [np.flatnonzero(self.groups == each) for each in np.unique(self.groups)]


def find_clusters(
    context: Context, embedder: Embedder, settings: ClusteringSettings, grouping: Grouping
) -> Clusters | str:
    """The clusters of a context, or why it is better left as it is."""
    if context.written:
        return "not clustered: a summary is left as it is"
    units = units_of(context)
    texts = [unit.text for unit in units]
    if len(context.passages) < 2 or len(units) < 2:
        return "too little to cluster"
    vectors = embedder.embed_documents(texts)
    tokens = np.array(embedder.counter.count_all(texts), dtype=np.float64)
    passages = [unit.passage for unit in units]
    share = redundancy(vectors, passages, tokens, settings.alike)
    if share < settings.min_redundancy:
        return f"not clustered: {share:.0%} is said twice"
    groups = grouping(_centres(vectors, passages), settings.policy)
    of_units = groups[np.searchsorted(np.unique(passages), passages)]
    return Clusters(units, vectors, tokens, of_units, share)


def spans_by_passage(units: Sequence[Unit], chosen: Sequence[int]) -> Mapping[int, list[Span]]:
    """The spans of these units, passage by passage and in the order of their text."""
    kept: dict[int, list[Span]] = {}
    for at in sorted(chosen):
        kept.setdefault(units[at].passage, []).append(units[at].span)
    return kept


def _centres(vectors: Vectors, passages: Sequence[int]) -> Vectors:
    """The mean vector of each passage that has a sentence, unit length."""
    of = np.asarray(passages)
    means = np.stack([vectors[of == each].mean(axis=0) for each in np.unique(of)])
    return np.asarray(
        means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12), np.float32
    )
