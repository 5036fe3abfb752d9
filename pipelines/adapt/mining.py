"""Hard negatives: passages that the base takes for what was looked for, and that are not."""

from __future__ import annotations

from collections.abc import Sequence
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
        margin: 0.05 asks for a negative to have at most 95 % of the positive's similarity.
        chance: draws among the nearest that pass.

    Returns:
        `count` indices of passages for each query; where too few pass, others are drawn at random.
    """
    found: list[list[int]] = []
    depth = min(_DEPTH, len(passages))
    for start in range(0, len(queries), _BLOCK):
        similar = queries[start : start + _BLOCK] @ passages.T
        for row, near in enumerate(np.argpartition(-similar, depth - 1, axis=1)[:, :depth]):
            mine_own = own[start + row]
            ranked = near[np.argsort(-similar[row, near], kind="stable")]
            bound = (1 - margin) * similar[row, mine_own]
            like = passages[ranked] @ passages[mine_own]
            passing = [
                int(at)
                for at, alike in zip(ranked, like, strict=True)
                if at != mine_own and similar[row, at] < bound and alike < 1 - margin
            ][:_DRAWN_FROM]
            chosen = chance.sample(passing, min(count, len(passing)))
            others = [at for at in range(len(passages)) if at != mine_own and at not in chosen]
            found.append(chosen + chance.sample(others, count - len(chosen)))
    return found
