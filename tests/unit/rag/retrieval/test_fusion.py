from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.retrieval import reciprocal_rank_fusion

IDS = st.lists(st.sampled_from("abcdefghij"), unique=True)
RANKINGS = st.dictionaries(st.sampled_from(["dense", "lexical", "third", "fourth"]), IDS)
WEIGHTS = st.fixed_dictionaries(
    {
        name: st.sampled_from([0.0, 0.5, 1.0, 2.0])
        for name in ["dense", "lexical", "third", "fourth"]
    }
)


def test_two_rankings_by_hand() -> None:
    fused = reciprocal_rank_fusion(
        {"dense": ["a", "b", "c"], "lexical": ["c", "a"]}, {"dense": 1, "lexical": 1}
    )
    assert [name for name, _ in fused] == ["a", "c", "b"]
    assert dict(fused) == pytest.approx(
        {"a": 1 / 61 + 1 / 62, "b": 1 / 62, "c": 1 / 63 + 1 / 61}, rel=1e-12
    )


def test_weights_scale_what_a_ranking_gives() -> None:
    rankings = {"dense": ["a", "b"], "lexical": ["b", "a"]}
    fused = reciprocal_rank_fusion(rankings, {"dense": 1.0, "lexical": 3.0}, k=10)
    assert [name for name, _ in fused] == ["b", "a"]
    assert dict(fused) == pytest.approx({"a": 1 / 11 + 3 / 12, "b": 1 / 12 + 3 / 11}, rel=1e-12)


@pytest.mark.parametrize(("k", "first"), [(1, "a"), (60, "b")])
def test_a_large_k_lets_two_good_places_beat_one_first_place(k: int, first: str) -> None:
    # k = 1: 1/2 against 2 * 1/5; k = 60: 1/61 against 2 * 1/64.
    rankings = {"dense": ["a", "x", "y", "b"], "lexical": ["p", "q", "r", "b"]}
    fused = reciprocal_rank_fusion(rankings, {"dense": 1, "lexical": 1}, k)
    scores = dict(fused)
    assert max("ab", key=scores.__getitem__) == first


def test_equal_scores_come_in_order_of_id() -> None:
    fused = reciprocal_rank_fusion(
        {"dense": ["z", "b"], "lexical": ["a", "y"]}, {"dense": 1, "lexical": 1}
    )
    assert [name for name, _ in fused] == ["a", "z", "b", "y"]


def test_nothing_fuses_to_nothing() -> None:
    assert reciprocal_rank_fusion({}, {}) == []
    assert reciprocal_rank_fusion({"dense": []}, {"dense": 1}) == []


def test_a_ranking_without_a_weight_is_an_error_and_not_silently_left_out() -> None:
    with pytest.raises(KeyError):
        reciprocal_rank_fusion({"dense": ["a"]}, {})


@given(RANKINGS, WEIGHTS, st.integers(1, 100), st.randoms(use_true_random=False))
def test_the_order_in_which_rankings_are_given_changes_nothing(
    rankings: dict[str, list[str]], weights: dict[str, float], k: int, random: object
) -> None:
    names = list(rankings)
    random.shuffle(names)
    shuffled = {name: rankings[name] for name in names}
    assert reciprocal_rank_fusion(shuffled, weights, k) == reciprocal_rank_fusion(
        rankings, weights, k
    )


@given(RANKINGS, WEIGHTS, IDS)
def test_a_ranking_of_weight_0_changes_nothing(
    rankings: dict[str, list[str]], weights: dict[str, float], idle: list[str]
) -> None:
    with_idle = reciprocal_rank_fusion({**rankings, "idle": idle}, {**weights, "idle": 0})
    assert with_idle == reciprocal_rank_fusion(rankings, weights)


@given(IDS)
def test_one_ranking_alone_keeps_its_order(ids: list[str]) -> None:
    assert [name for name, _ in reciprocal_rank_fusion({"dense": ids}, {"dense": 2})] == ids


@given(RANKINGS, WEIGHTS, st.integers(1, 100))
def test_every_item_is_scored_by_the_formula_and_best_first(
    rankings: dict[str, list[str]], weights: dict[str, float], k: int
) -> None:
    fused = reciprocal_rank_fusion(rankings, weights, k)
    assert len({name for name, _ in fused}) == len(fused)
    assert {name for name, _ in fused} == {
        item for name, ids in rankings.items() if weights[name] for item in ids
    }
    for item, score in fused:
        assert score == pytest.approx(
            sum(
                weights[name] / (k + ids.index(item) + 1)
                for name, ids in rankings.items()
                if item in ids
            )
        )
    assert [score for _, score in fused] == sorted((s for _, s in fused), reverse=True)
