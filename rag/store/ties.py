"""Equal scores in one order, whatever order an engine finds them in.

Chunks of a template or copies of a text score alike, and an engine returns such in the order of its
segments, which is another in every index, and cuts off anywhere among them. Two indexes of the same
chunks would then answer differently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rag.store.base import Hit

__all__ = ["ranked"]

Query = TypeVar("Query")

_DIGITS = 6
"""Behind the point of a score: single precision holds no more, and what lies beyond tells by which
sum it was computed, and so in which place of an index a chunk lies."""

_ROUNDS = 3
_MORE = 4


def ranked(
    search: Callable[[Sequence[Query], int], Sequence[list[Hit]]],
    queries: Sequence[Query],
    limit: int,
) -> list[list[Hit]]:
    """The best `limit` for each query, best first, scores rounded, equal ones in order of id.

    Where those at the limit tie with what is behind it, more is asked for, four times as much each
    time and twice at most: behind that many equals, which of them are in is left to the engine.

    Args:
        search: finds the best so many for some queries, best first.
        queries: what to search with.
        limit: how many, at least 1.
    """
    found: dict[int, list[Hit]] = {}
    wanted = limit + 1
    for attempt in range(1, _ROUNDS + 1):
        left = [at for at in range(len(queries)) if at not in found]
        if not left:
            break
        answers = search([queries[at] for at in left], wanted)
        for at, raw in zip(left, answers, strict=True):
            hits = [Hit(hit.id, round(hit.score, _DIGITS)) for hit in raw]
            if attempt == _ROUNDS or not _tied(hits, limit, wanted):
                found[at] = sorted(hits, key=lambda hit: (-hit.score, hit.id))[:limit]
        wanted *= _MORE
    return [found[at] for at in range(len(queries))]


def _tied(hits: Sequence[Hit], limit: int, wanted: int) -> bool:
    """Whether the engine may have more that score like the last one within the limit."""
    return len(hits) == wanted and hits[-1].score >= hits[limit - 1].score
