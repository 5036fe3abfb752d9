from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.embedding.base import Embedder
from rag.embedding.lexical import LexicalEncoder
from rag.embedding.registry import load_embedder
from rag.manifest import IndexManifest
from rag.retrieval import HybridRetriever, reciprocal_rank_fusion
from rag.settings import EmbeddingSettings, RetrievalSettings
from rag.spans import Span
from rag.store import Store, parse_condition
from rag.store.edge import EdgeStore
from rag.types import Chunk, Document

TEXTS = {
    "harbour": "The harbour office recorded 412 arrivals in May, 38 more than in April.",
    "bridge": "Mirella Okafor designed the Kestrel bridge, which opened in 1987.",
    "drug": "Tamrezumab lowered the rate of severe asthma attacks by a third.",
    "malware": "The implant XJ-904 beacons to its gateway every ninety minutes.",
    "sales": "Net sales rose to 1.3 billion dollars, chiefly by the cloud segment.",
}


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder(EmbeddingSettings())


@pytest.fixture(scope="module")
def lexical() -> LexicalEncoder:
    return LexicalEncoder()


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, lexical: LexicalEncoder
) -> Iterator[Store]:
    manifest = IndexManifest("bundled", embedder.dimension, lexical.fingerprint, "whole", 0)
    folder: Path = tmp_path_factory.mktemp("index")
    with EdgeStore.open(folder, manifest) as store:
        for year, (key, text) in enumerate(TEXTS.items(), start=2020):
            of = Document("file", key, key, key, text, meta={"year": year})
            chunk = Chunk(of.id, of.revision, 0, Span(0, len(text)), text, name=key, meta=of.meta)
            store.stage(
                of, [chunk], embedder.embed_documents([text]), lexical.encode_documents([text])
            )
            store.commit(of.id, of.revision, 10)
        yield store


def retriever(
    store: Store, embedder: Embedder, lexical: LexicalEncoder, **settings: object
) -> HybridRetriever:
    return HybridRetriever(store, embedder, lexical, RetrievalSettings(**settings))


def test_meaning_finds_what_words_do_not(
    store: Store, embedder: Embedder, lexical: LexicalEncoder
) -> None:
    found = retriever(store, embedder, lexical, top_k=1).retrieve(
        "Which engineer built a crossing?"
    )
    assert [hit.chunk.name for hit in found] == ["bridge"]
    assert "lexical" not in found[0].parts


def test_words_find_what_meaning_may_miss(
    store: Store, embedder: Embedder, lexical: LexicalEncoder
) -> None:
    found = retriever(store, embedder, lexical, dense_weight=0).retrieve("XJ-904")
    assert [hit.chunk.name for hit in found] == ["malware"]
    assert set(found[0].parts) == {"dense", "lexical"}


def test_parts_are_the_scores_of_the_two_rankings_and_the_score_is_their_fusion(
    store: Store, embedder: Embedder, lexical: LexicalEncoder
) -> None:
    question = "How many arrivals did the harbour record in May?"
    found = retriever(store, embedder, lexical, rrf_k=7, lexical_weight=2.0).retrieve(question)
    query = embedder.embed_queries([question])[0]
    rankings = store.rankings(query.tolist(), lexical.encode_query(question), 100)
    expected = reciprocal_rank_fusion(
        {"dense": [h.id for h in rankings.dense], "lexical": [h.id for h in rankings.lexical]},
        {"dense": 1.0, "lexical": 2.0},
        7,
    )
    assert [(hit.chunk.id, hit.score) for hit in found] == expected
    assert [hit.rank for hit in found] == [1, 2, 3, 4, 5]
    words = {hit.id: hit.score for hit in rankings.lexical}
    for hit in found:
        cosine = float(embedder.embed_documents([hit.chunk.text])[0] @ query)
        assert hit.parts["dense"] == pytest.approx(cosine, abs=0.01)
        assert hit.parts.get("lexical") == words.get(hit.chunk.id)
    assert found[0].chunk.name == "harbour"
    assert found[0].parts["lexical"] > 0


def test_top_k_of_the_call_wins_over_the_settings_even_above_the_candidates(
    store: Store, embedder: Embedder, lexical: LexicalEncoder
) -> None:
    few = retriever(store, embedder, lexical, top_k=2, candidates=1)
    assert len(few.retrieve("harbour sales")) == 2
    assert len(few.retrieve("harbour sales", top_k=1)) == 1
    assert len(few.retrieve("harbour sales", top_k=50)) == len(TEXTS)


def test_candidates_bound_what_each_ranking_offers(
    store: Store, embedder: Embedder, lexical: LexicalEncoder
) -> None:
    one_each = retriever(store, embedder, lexical, top_k=1, candidates=1, lexical_weight=0)
    (best,) = one_each.retrieve("harbour")
    assert best.chunk.name == "harbour"


@pytest.mark.parametrize("weight", ["dense_weight", "lexical_weight"])
def test_a_ranking_of_weight_0_finds_nothing_by_itself(
    store: Store, embedder: Embedder, lexical: LexicalEncoder, weight: str
) -> None:
    found = retriever(store, embedder, lexical, **{weight: 0}).retrieve("asthma")
    assert len(found) == (1 if weight == "dense_weight" else len(TEXTS))


def test_conditions_reach_both_rankings(
    store: Store, embedder: Embedder, lexical: LexicalEncoder
) -> None:
    finder = retriever(store, embedder, lexical)
    found = finder.retrieve("harbour arrivals", conditions=[parse_condition("year>=2022")])
    assert {hit.chunk.name for hit in found} == {"drug", "malware", "sales"}
    assert finder.retrieve("harbour", conditions=[parse_condition("year>=2099")]) == []


@pytest.mark.parametrize("question", ["", "   ", "the of and", "\U0001f600", "?" * 5_000])
def test_a_question_without_words_still_gets_an_answer_by_meaning(
    store: Store, embedder: Embedder, lexical: LexicalEncoder, question: str
) -> None:
    found = retriever(store, embedder, lexical).retrieve(question)
    assert len(found) == len(TEXTS)
    assert all(set(hit.parts) == {"dense"} for hit in found)
