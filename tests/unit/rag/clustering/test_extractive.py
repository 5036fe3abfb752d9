"""Clustering by extraction: only narrows, holds its budget, and leaves alone what is not dense."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.clustering import ClusterContext
from rag.embedding.base import Embedder
from rag.embedding.memo import RememberingEmbedder
from rag.embedding.registry import load_embedder
from rag.settings import ClusteringSettings, EmbeddingSettings
from rag.spans import Span, SpanSet
from rag.types import Chunk, Context, Passage

REVIEWS = [
    "The battery lasts two days. The screen is bright.",
    "Battery lasts two days! The camera is poor in the dark.",
    "The battery lasts for two days. The screen is very bright.",
    "The speaker crackles. The battery lasts two days.",
]
APART = [
    "The harbour counted its arrivals in May.",
    "The kidney filters the blood of mammals.",
    "A turbine turns in every strong wind.",
]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return RememberingEmbedder(load_embedder(EmbeddingSettings(precision="float32")))


def context(texts: list[str]) -> Context:
    chunks = (
        Chunk(f"d{at}", "r", 0, Span(7, 7 + len(text)), text, name=f"{at}.txt")
        for at, text in enumerate(texts)
    )
    return Context(tuple(Passage(chunk, SpanSet([chunk.span])) for chunk in chunks))


def test_what_reviews_say_again_and_again_is_said_once(embedder: Embedder) -> None:
    given_to = context(REVIEWS)
    found = ClusterContext(embedder, ClusteringSettings(share=1.0, alike=0.8))(
        "How long?", given_to
    )
    assert sum("two days" in piece for piece in found.pieces) == 1
    for rest in ("screen", "camera", "speaker"):
        assert sum(rest in piece for piece in found.pieces) == 1
    assert "was said twice" in found.remark.note


def test_what_is_nearest_to_the_question_stays_where_room_is_short(embedder: Embedder) -> None:
    stage = ClusterContext(embedder, ClusteringSettings(budget=8))
    assert stage("What does the speaker do?", context(REVIEWS)).pieces == ["The speaker crackles."]


@pytest.mark.parametrize("texts", [[], REVIEWS[:1], APART])
def test_what_is_not_dense_is_left_alone_and_it_is_said(
    embedder: Embedder, texts: list[str]
) -> None:
    given_to = context(texts)
    found = ClusterContext(embedder, ClusteringSettings())("How long?", given_to)
    assert found.passages == given_to.passages
    assert found.remark.note


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(REVIEWS + APART), max_size=9),
    st.integers(1, 60),
    st.sampled_from(["fixed:4", "silhouette", "sqrt"]),
)
def test_it_only_narrows_and_holds_its_budget(
    embedder: Embedder, texts: list[str], budget: int, policy: str
) -> None:
    given_to = context(texts)
    chosen = ClusteringSettings(budget=budget, share=1.0, policy=policy, min_redundancy=0.0)
    stage = ClusterContext(embedder, chosen)
    found = stage("How long does the battery last?", given_to)
    assert found == stage("How long does the battery last?", given_to)
    whole = {each.chunk.doc_id: each for each in given_to.passages}
    assert all(each.kept <= whole[each.chunk.doc_id].kept for each in found.passages)
    if len(texts) > 1:
        assert embedder.counter.total(found.pieces) <= budget


def test_it_says_of_each_passage_that_lost_something_why(embedder: Embedder) -> None:
    given_to = context(REVIEWS)
    stage = ClusterContext(embedder, ClusteringSettings(budget=14, share=1.0, alike=0.8))
    found = stage("How long does the battery last?", given_to)
    why = [found.remark.why[each.chunk.id] for each in given_to.passages]
    left = {each.chunk.doc_id: each.kept for each in found.passages}
    for each, reason in zip(given_to.passages, why, strict=True):
        if left.get(each.chunk.doc_id) != each.kept:
            assert "said elsewhere" in reason or "over the budget" in reason
    assert any("said elsewhere" in reason for reason in why)
    assert any("over the budget" in reason for reason in why)


def test_what_is_too_short_to_be_judged_is_dropped_with_a_reason(embedder: Embedder) -> None:
    given_to = context([*REVIEWS, "Total 5"])
    chosen = ClusteringSettings(share=1.0, budget=999)
    found = ClusterContext(embedder, chosen)("How long?", given_to)
    assert all(each.chunk.doc_id != "d4" for each in found.passages)
    assert found.remark.why[given_to.passages[4].chunk.id]
