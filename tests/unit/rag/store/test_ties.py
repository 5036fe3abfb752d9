from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.store.base import Hit
from rag.store.ties import ranked

SCORES = st.lists(st.integers(0, 3), max_size=60)


class Engine:
    """Finds the best, equals in an order of its own."""

    def __init__(self, scores: Sequence[Sequence[int]], backwards: bool) -> None:
        self.asked: list[tuple[tuple[int, ...], int]] = []
        self._found = [
            sorted(
                (Hit(f"{at:02}", float(score)) for at, score in enumerate(each)),
                key=lambda hit: (-hit.score, -int(hit.id) if backwards else int(hit.id)),
            )
            for each in scores
        ]

    def search(self, queries: Sequence[int], limit: int) -> list[list[Hit]]:
        self.asked.append((tuple(queries), limit))
        return [self._found[query][:limit] for query in queries]


@given(st.tuples(SCORES, SCORES), st.booleans(), st.integers(4, 20))
def test_the_best_come_best_first_and_equals_by_id(scores, backwards: bool, limit: int) -> None:
    engine = Engine(scores, backwards)
    for found, each in zip(ranked(engine.search, [0, 1], limit), scores, strict=True):
        hits = [Hit(f"{at:02}", float(score)) for at, score in enumerate(each)]
        assert found == sorted(hits, key=lambda hit: (-hit.score, hit.id))[:limit]


def test_only_a_ranking_that_ties_at_the_limit_is_asked_for_again() -> None:
    engine = Engine([[3, 2, 1, 0], [1, 1, 1, 1, 1, 0]], backwards=True)
    assert [hit.id for hit in ranked(engine.search, [0, 1], 2)[1]] == ["00", "01"]
    assert engine.asked == [((0, 1), 3), ((1,), 12)]


@pytest.mark.parametrize("equals", [33, 10_000])
def test_it_does_not_ask_for_everything(equals: int) -> None:
    engine = Engine([[1] * equals], backwards=False)
    assert len(ranked(engine.search, [0], 1)[0]) == 1
    assert [limit for _, limit in engine.asked] == [2, 8, 32]
