from __future__ import annotations

import numpy as np
import pytest

from eval.datasets import Question
from eval.located import Located
from pipelines.adapt.judge import FIGURES, Judged, decide, indexed, judge
from rag.settings import Settings
from rag.types import Document

CHANCE = np.random.default_rng(0)


def judged(dense: float, served: float = 0.5, spread: float = 0.02) -> Judged:
    """Figures of sixty questions about these means."""
    noise = CHANCE.normal(0, spread, size=(2, 60, 3))
    return Judged(dense + noise[0], served + noise[1], np.full((60, 3), 0.4))


def test_a_gain_beyond_chance_is_accepted() -> None:
    verdict = decide(judged(0.50), judged(0.55))
    assert verdict.accepted
    assert 0 < verdict.dense[0].low < 0.05 < verdict.dense[0].high


def test_no_gain_is_refused_and_so_is_one_that_chance_may_have_brought() -> None:
    base = judged(0.5)
    same = decide(base, base)
    assert not same.accepted
    assert "chance" in same.why
    wide = decide(judged(0.5, spread=0.5), judged(0.52, spread=0.5))
    assert not wide.accepted


def test_a_loss_is_refused() -> None:
    verdict = decide(judged(0.55), judged(0.50))
    assert not verdict.accepted
    assert "ndcg@10 of the dense ranking is worse" in verdict.why


def test_a_gain_that_costs_what_is_served_is_refused() -> None:
    verdict = decide(judged(0.50, served=0.6), judged(0.55, served=0.5))
    assert not verdict.accepted
    assert "of the served ranking is worse" in verdict.why


def test_one_figure_that_is_worse_is_enough() -> None:
    base, better = judged(0.50), judged(0.55)
    better.dense[:, 2] -= 0.2
    verdict = decide(base, better)
    assert not verdict.accepted
    assert verdict.why == "iou@5 of the dense ranking is worse"


def test_what_is_no_number_is_refused() -> None:
    base, broken = judged(0.5), judged(0.6)
    broken.dense[:] = np.nan
    assert not decide(base, broken).accepted
    broken = judged(0.6)
    broken.served[:, 1] = np.nan
    assert not decide(base, broken).accepted


def test_means_name_every_ranking_and_figure() -> None:
    means = judged(0.5).means()
    assert [*means] == ["dense", "served", "words"]
    assert all(tuple(each) == FIGURES for each in means.values())
    assert means["words"]["ndcg@10"] == pytest.approx(0.4)


def test_rankings_of_a_real_index_are_judged_by_their_spans(tiny_embedder, tmp_path) -> None:
    text = "The otter swims.\n\nThe badger digs a sett.\n\nThe heron waits."
    documents = [
        Document(namespace="files", key=name, source=name, name=name, text=text + name)
        for name in ("one.txt", "two.txt")
    ]
    at = text.index("The badger")
    question = Question("1", "badger sett", (Located("two.txt", at, at + 10),))
    settings = Settings(chunking={"size": 30, "header_tokens": 0})
    with indexed(settings, tiny_embedder, documents, tmp_path / "index") as index:
        assert index.store.count() >= 4
        found = judge(index, documents, [question])
    for each in (found.dense, found.served, found.words):
        assert each.shape == (1, 3)
        assert 0 <= each.min() <= each.max() <= 1
    assert found.dense[0, 1] == 1.0  # all chunks are among the first ten
    assert found.words[0, 0] > 0.6
    with indexed(settings, tiny_embedder, documents, tmp_path / "again") as index:
        again = judge(index, documents, [question])
    assert np.array_equal(found.served, again.served)
