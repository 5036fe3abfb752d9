from __future__ import annotations

from random import Random

import numpy as np

from pipelines.adapt.mining import mine


def unit(rows: list[list[float]]) -> np.ndarray:
    matrix = np.array(rows, dtype=np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def test_what_is_as_near_as_the_own_passage_or_says_the_same_is_no_negative() -> None:
    query = unit([[1, 0, 0, 0]])
    passages = unit([
        [0.8, 0.6, 0, 0],  # its own
        [0.79, 0.61, 0, 0],  # nearly the same text
        [0.99, 0, 0.1, 0],  # nearer than its own: likely an answer, too
        [0.6, 0, 0.8, 0],  # near, but not too near
        [0, 0, 0, 1],  # far
    ])  # fmt: skip
    found = mine(query, passages, [0], 2, never=[[0]], margin=0.05, chance=Random(0))
    assert sorted(found[0]) == [3, 4]


def test_the_nearest_that_pass_are_taken_first() -> None:
    chance = np.random.default_rng(0)
    passages = unit(chance.normal(size=(400, 16)).tolist())
    queries = passages[:30]
    found = mine(
        queries,
        passages,
        list(range(30)),
        1,
        never=[[at] for at in range(30)],
        margin=0.05,
        chance=Random(0),
    )
    for at, (negative,) in enumerate(found):
        ranked = np.argsort(-(queries[at] @ passages.T))
        assert negative != at
        assert negative in ranked[:18]


def test_where_too_few_pass_others_fill_up_but_none_that_says_the_same_or_is_barred() -> None:
    passages = unit([[1, 0], [1, 0.001], [0, 1], [-1, 0]])
    found = mine(passages[:1], passages, [0], 3, never=[[0]], margin=0.05, chance=Random(0))
    assert sorted(found[0]) == [2, 3]
    barred = mine(passages[:1], passages, [0], 3, never=[[0, 3]], margin=0.05, chance=Random(0))
    assert barred == [[2]]


def test_a_passage_nearer_than_the_own_is_none_however_far_both_are() -> None:
    query = unit([[1, 0, 0]])
    passages = unit([[-0.5, 1, 0], [-0.49, 0, 1], [-0.9, 0, -0.4]])
    found = mine(query, passages, [0], 1, never=[[0]], margin=0.05, chance=Random(0))
    assert found == [[2]]
