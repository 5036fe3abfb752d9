"""Joining rankings whose scores cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum

__all__ = ["reciprocal_rank_fusion"]


def reciprocal_rank_fusion(
    rankings: Mapping[str, Sequence[str]], weights: Mapping[str, float], k: int = 60
) -> list[tuple[str, float]]:
    """Fuse rankings by weighted reciprocal rank.

    score(d) = sum over rankings r of weights[r] / (k + rank_r(d)), ranks from 1; an item a
    ranking does not hold gets nothing from it. Source: Cormack, Clarke and Büttcher (SIGIR 2009),
    which has k = 60 and no weights. We fuse here and not in the engine so that every backend
    gives the same order, and the scores that went into it stay known.

    Args:
        rankings: name of a ranking to ids, best first.
        weights: name of a ranking to its weight; 0 leaves it out.
        k: how little a first place is worth more than a second.

    Returns:
        Ids and scores, best first; equal scores in order of id, so that runs agree.

    >>> reciprocal_rank_fusion({"a": ["x", "y"], "b": ["y"]}, {"a": 1, "b": 1}, k=1)
    [('y', 0.8333333333333333), ('x', 0.5)]
    """
    shares: dict[str, list[float]] = {}
    for name, ids in rankings.items():
        if weight := weights[name]:
            for rank, item in enumerate(ids, start=1):
                shares.setdefault(item, []).append(weight / (k + rank))
    # fsum: the same sum whatever the order, so that ties stay ties.
    scores = {item: fsum(of_item) for item, of_item in shares.items()}
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
