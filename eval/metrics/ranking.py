"""Ranking: how early the evidence comes, passage by passage.

A passage's gain is the share of the question's reference text that stands in it, so a passage is
not just relevant or not. Passages are what a stage let through, best first.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from eval.located import Located, by_document, shared_length, total_length
from eval.metrics.overlap import ChunkMap

__all__ = ["ndcg", "recall_at", "reciprocal_rank"]


def recall_at(references: Sequence[Located], ranked: Sequence[Located], k: int) -> float:
    """The share of the reference text that stands in the first `k` passages.

    >>> recall_at([Located("a", 0, 10)], [Located("b", 0, 9), Located("a", 5, 9)], k=2)
    0.4
    """
    wanted = by_document(references)
    length = total_length(wanted)
    return shared_length(wanted, by_document(ranked[:k])) / length if length else 0.0


def reciprocal_rank(references: Sequence[Located], ranked: Sequence[Located]) -> float:
    """One over the rank of the first passage with any reference text in it; 0 where none has."""
    gains = _gains(references, ranked)
    return next((1 / rank for rank, gain in enumerate(gains, start=1) if gain), 0.0)


def ndcg(
    references: Sequence[Located], ranked: Sequence[Located], chunks: ChunkMap, k: int = 10
) -> float:
    """Normalised discounted cumulative gain of the first `k` passages.

    The gain of the passage at rank i is discounted by log2(i + 1). The ideal ranking has the
    corpus's chunks by their gain. Source: Järvelin and Kekäläinen (TOIS 2002), with reference
    text for graded judgements. A passage that comes twice counts once.
    """
    gains = _gains(references, list(dict.fromkeys(ranked))[:k])
    possible = _gains(references, chunks.touched(references))
    ideal = _discounted(sorted(possible, reverse=True)[:k])
    return min(_discounted(gains) / ideal, 1.0) if ideal else 0.0


def _gains(references: Sequence[Located], passages: Sequence[Located]) -> list[float]:
    """Of each passage, the share of the reference text that it holds."""
    wanted = by_document(references)
    length = total_length(wanted)
    return [
        wanted[each.doc].clip(each.span).length / length if each.doc in wanted else 0.0
        for each in passages
    ]


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, start=1))
