"""What a hard-negative sample promises of any ranker that scores chunks one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from eval.located import Located
from eval.metrics.overlap import ChunkMap
from eval.metrics.ranking import ndcg
from eval.subsample import subsample

K = 10
COUNT = 40
CHUNKS = [f"c{at:02}" for at in range(COUNT)]
PLACES = {each: Located("a", 5 * at, 5 * at + 5) for at, each in enumerate(CHUNKS)}

rankings = st.permutations(CHUNKS)


class Sampled(NamedTuple):
    references: tuple[Located, ...]
    seen: list[str]
    unseen: list[str]
    kept: tuple[str, ...]
    depth: int

    def gain(self, ranking: Sequence[str], among: Sequence[str]) -> float:
        places = [PLACES[each] for each in ranking if each in set(among)]
        return ndcg(self.references, places, ChunkMap(PLACES[each] for each in among), K)


@st.composite
def samples(draw: st.DrawFn) -> Sampled:
    """A question's evidence, a ranking the sample is made with, and one it is not."""
    relevant = draw(st.sets(st.sampled_from(CHUNKS), min_size=1, max_size=4))
    seen, unseen = draw(rankings), draw(rankings)
    found = subsample(CHUNKS, relevant, [seen], draw(st.integers(8, COUNT)))
    references = tuple(PLACES[each] for each in sorted(relevant))
    return Sampled(references, seen, unseen, found.chunks, found.depth)


@given(samples(), st.lists(st.integers(0, 3), min_size=COUNT, max_size=COUNT))
def test_any_ranker_ranks_the_sample_in_the_order_of_the_corpus(
    drawn: Sampled, values: list[int]
) -> None:
    # Few values, many ties: they go by place, so the sample must be in the corpus's order.
    scores = dict(zip(CHUNKS, values, strict=True))
    whole = sorted(CHUNKS, key=scores.__getitem__)
    sample = sorted(drawn.kept, key=scores.__getitem__)
    assert sample == [each for each in whole if each in set(drawn.kept)]


@given(samples())
def test_all_evidence_is_kept(drawn: Sampled) -> None:
    assert {each for each in CHUNKS if PLACES[each] in drawn.references} <= set(drawn.kept)


@given(samples())
def test_no_ranking_scores_less_than_in_the_whole_corpus(drawn: Sampled) -> None:
    assert drawn.gain(drawn.unseen, drawn.kept) >= drawn.gain(drawn.unseen, CHUNKS) - 1e-12


@given(samples())
def test_a_ranking_kept_as_deep_as_it_is_judged_scores_the_same(drawn: Sampled) -> None:
    assert set(drawn.seen[: drawn.depth]) <= set(drawn.kept)
    if drawn.depth >= K:
        assert drawn.gain(drawn.seen, drawn.kept) == drawn.gain(drawn.seen, CHUNKS)
