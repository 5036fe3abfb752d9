from __future__ import annotations

from itertools import permutations
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.located import Located
from eval.metrics.overlap import ChunkMap
from eval.metrics.ranking import ndcg, recall_at, reciprocal_rank

# Chunks of ten; the reference lies on three of them, with 2, 10 and 8 of its 20 characters.
CHUNKS = [Located("a", at, at + 10) for at in range(0, 60, 10)]
KNOWN = ChunkMap(CHUNKS)
REFERENCES = [Located("a", 18, 38)]
SMALL, LARGE, MEDIUM = CHUNKS[1:4]
MISS = CHUNKS[5]

rankings = st.lists(st.sampled_from(CHUNKS), max_size=9)


def test_recall_counts_the_reference_text_of_the_first_few() -> None:
    ranked = [MISS, LARGE, SMALL, MEDIUM]
    found = [recall_at(REFERENCES, ranked, k) for k in (0, 1, 2, 3, 4, 9)]
    assert found == [0, 0, 10 / 20, 12 / 20, 1, 1]


def test_recall_counts_what_two_passages_share_once() -> None:
    assert recall_at(REFERENCES, [LARGE, Located("a", 25, 31)], 2) == 11 / 20


@pytest.mark.parametrize(
    ("ranked", "wanted"),
    [
        ([LARGE], 1.0),
        ([MISS, SMALL], 0.5),
        ([MISS, Located("b", 18, 38), MISS, MEDIUM, LARGE], 0.25),
        ([MISS], 0.0),
        ([], 0.0),
    ],
)
def test_the_reciprocal_rank_is_that_of_the_first_passage_with_evidence(
    ranked: list[Located], wanted: float
) -> None:
    assert reciprocal_rank(REFERENCES, ranked) == wanted


def test_a_passage_that_ends_where_the_evidence_begins_has_none() -> None:
    assert reciprocal_rank([Located("a", 20, 30)], [SMALL, LARGE]) == 0.5


def test_ndcg_worked_by_hand() -> None:
    ideal = 10 / 20 + 8 / 20 / log2(3) + 2 / 20 / log2(4)
    found = ndcg(REFERENCES, [SMALL, MISS, LARGE], KNOWN)
    assert found == pytest.approx((2 / 20 + 10 / 20 / log2(4)) / ideal)


def test_ndcg_is_one_for_the_ideal_order_and_less_for_every_other() -> None:
    best = (LARGE, MEDIUM, SMALL)
    assert ndcg(REFERENCES, best, KNOWN) == 1.0
    others = [each for each in permutations(best) if each != best]
    assert all(ndcg(REFERENCES, each, KNOWN) < 1.0 for each in others)


def test_ndcg_looks_at_the_first_few_alone() -> None:
    assert ndcg(REFERENCES, [LARGE, MISS, MEDIUM], KNOWN, 1) == 1.0
    assert ndcg(REFERENCES, [MISS, LARGE], KNOWN, 1) == 0.0


def test_a_passage_that_comes_twice_gains_once() -> None:
    assert ndcg(REFERENCES, [LARGE, LARGE, MEDIUM, SMALL], KNOWN) == 1.0
    assert ndcg(REFERENCES, [SMALL, SMALL], KNOWN) == ndcg(REFERENCES, [SMALL], KNOWN) < 1.0


@given(rankings, st.integers(0, 7))
def test_moving_a_passage_with_more_evidence_up_raises_ndcg(ranked: list[Located], at: int) -> None:
    gains = {SMALL: 2, LARGE: 10, MEDIUM: 8}
    distinct = list(dict.fromkeys(ranked))
    if at + 1 >= len(distinct):
        return
    swapped = list(distinct)
    swapped[at : at + 2] = distinct[at + 1], distinct[at]
    change = gains.get(distinct[at + 1], 0) - gains.get(distinct[at], 0)
    difference = ndcg(REFERENCES, swapped, KNOWN) - ndcg(REFERENCES, distinct, KNOWN)
    assert (difference > 1e-12, difference < -1e-12) == (change > 0, change < 0)


@given(rankings, st.integers(1, 9))
def test_every_figure_lies_between_nought_and_one(ranked: list[Located], k: int) -> None:
    assert 0 <= recall_at(REFERENCES, ranked, k) <= recall_at(REFERENCES, ranked, k + 1) <= 1
    assert 0 <= reciprocal_rank(REFERENCES, ranked) <= 1
    assert 0 <= ndcg(REFERENCES, ranked, KNOWN, k) <= 1


def test_passages_wider_than_the_chunks_gain_no_more_than_all() -> None:
    assert ndcg(REFERENCES, [Located("a", 0, 60)], KNOWN, 1) == 1.0


def test_without_references_or_chunks_there_is_nothing_to_gain() -> None:
    assert recall_at([], [LARGE], 1) == 0.0
    assert reciprocal_rank([], [LARGE]) == 0.0
    assert ndcg([], [LARGE], KNOWN) == 0.0
    assert ndcg(REFERENCES, [LARGE], ChunkMap([])) == 0.0
