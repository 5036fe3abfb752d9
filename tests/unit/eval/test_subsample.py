from __future__ import annotations

import pytest

from eval.subsample import Subsample, subsample
from rag.errors import UsageError

CHUNKS = [f"c{at:02}" for at in range(20)]
RANKINGS = [["c03", "c07", "c11"], ["c15", "c07", "c19"]]


def test_what_is_relevant_and_ranked_first_is_kept_in_the_order_of_the_corpus() -> None:
    kept = subsample(CHUNKS, {"c18"}, RANKINGS, 6, easy=0)
    assert kept == Subsample(("c03", "c07", "c11", "c15", "c18", "c19"), 3)


def test_every_ranking_is_kept_to_the_same_depth() -> None:
    # Room for one more, but there are two third places.
    kept = subsample(CHUNKS, {"c18"}, RANKINGS, 5, easy=0)
    assert kept.depth == 2
    assert {"c03", "c07", "c15", "c18"} < set(kept.chunks)
    assert len(kept.chunks) == 5  # the rest by chance


def test_a_share_of_the_room_is_for_chunks_nobody_ranked() -> None:
    kept = subsample(CHUNKS, {"c18"}, RANKINGS, 8, easy=0.5)
    assert kept.depth == 2
    assert len(kept.chunks) == 8
    assert subsample(CHUNKS, {"c18"}, RANKINGS, 8, easy=0.5) == kept
    others = {
        subsample(CHUNKS, {"c18"}, RANKINGS, 8, easy=0.5, seed=each).chunks for each in (1, 2)
    }
    assert len(others | {kept.chunks}) == 3


def test_the_rest_hardly_changes_when_the_corpus_grows() -> None:
    many = [f"c{at:03}" for at in range(400)]
    before = set(subsample(many, [], [], 100).chunks)
    after = set(subsample([*many, "new"], [], [], 100).chunks)
    assert len(before & after) >= 99


def test_a_sample_as_large_as_the_corpus_is_the_corpus() -> None:
    assert subsample(CHUNKS, {"c18"}, RANKINGS, 50).chunks == tuple(CHUNKS)


def test_rankings_of_unlike_length_are_kept_to_their_ends() -> None:
    kept = subsample(CHUNKS, [], [["c03"], ["c15", "c07"], []], 10, easy=0.5)
    assert {"c03", "c07", "c15"} < set(kept.chunks)
    assert kept.depth == 2


def test_what_is_not_in_the_corpus_takes_no_room() -> None:
    kept = subsample(CHUNKS, {"c18", "gone", "lost"}, [["far", "c03", "c07"]], 3, easy=0)
    assert kept == Subsample(("c03", "c07", "c18"), 2)


@pytest.mark.parametrize("easy", [-0.1, 1.0, 1.5, float("nan")])
def test_the_rest_is_a_share_that_leaves_room_for_others(easy: float) -> None:
    with pytest.raises(UsageError, match="random rest of"):
        subsample(CHUNKS, {"c18"}, RANKINGS, 8, easy=easy)


def test_without_room_for_the_evidence_there_is_no_sample() -> None:
    with pytest.raises(UsageError, match="6 chunks hold evidence") as caught:
        subsample(CHUNKS, CHUNKS[:6], RANKINGS, 5)
    assert caught.value.exit_code == 2
