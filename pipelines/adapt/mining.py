"""Hard negatives: passages that the base takes for what was looked for, and that are not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from random import Random

import numpy as np

from rag.embedding.base import Vectors

__all__ = ["mine"]

_BLOCK = 512  # queries compared at a time
_DEPTH = 50  # ranks looked at
_DRAWN_FROM = 16  # the nearest of them that pass


def mine(
    queries: Vectors,
    passages: Vectors,
    own: Sequence[int],
    count: int,
    *,
    never: Sequence[Collection[int]],
    margin: float,
    chance: Random,
) -> list[list[int]]:
    """For each query, passages that are near it but not too near.

    One that is nearer than (1 - margin) of the query's own passage is likely another right answer
    (a false negative), and so is one that says nearly the same as the own passage. Source: the
    relative margin of NV-Retriever (arXiv 2407.15831).

    Args:
        queries: shape (queries, d), unit vectors.
        passages: shape (passages, d), unit vectors.
        own: of each query, the passage it was made from.
        count: how many for each.
        never: of each query, passages that are none of its negatives, its own among them.
        margin: 0.05 asks for a negative to have at most 95 % of the positive's similarity.
        chance: draws among the nearest that pass.

    Returns:
        At most `count` indices of passages for each query; where too few pass, others are drawn at
        random, but none that says nearly the same as the own passage.
    """
    found: list[list[int]] = []
    depth = min(_DEPTH, len(passages))
    for start in range(0, len(queries), _BLOCK):
        similar = queries[start : start + _BLOCK] @ passages.T
        for row, near in enumerate(np.argpartition(-similar, depth - 1, axis=1)[:, :depth]):
            mine_own = own[start + row]
            ranked = near[np.argsort(-similar[row, near], kind="stable")]
            positive = similar[row, mine_own]
            bound = positive - margin * abs(positive)
            allowed = passages @ passages[mine_own] < 1 - margin
            allowed[list(never[start + row])] = False
            passing = [int(at) for at in ranked if allowed[at] and similar[row, at] < bound]
            chosen = _drawn(passing[:_DRAWN_FROM], count, chance)
            allowed[chosen] = False
            others = np.flatnonzero(allowed).tolist() if len(chosen) < count else []
            found.append(chosen + _drawn(others, count - len(chosen), chance))
    return found


def _drawn(passages: Sequence[int], count: int, chance: Random) -> list[int]:
    return chance.sample(passages, min(count, len(passages)))
