from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import pytest
from tiny_index import TinyEmbedder, open_tiny

from rag.engine import QueryEngine
from rag.errors import IndexMissing, ModelError, RagError, StoreError
from rag.generation import ExtractiveGenerator
from rag.index import Index
from rag.routing import RouteClassifier, RoutedIndex, Router, Routes
from rag.routing.features import HASHED
from rag.settings import RetrievalSettings, Settings
from rag.store import parse_condition
from rag.types import Document

QUESTION = "What do otters eat in the river?"


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Index]]:
    opened: dict[str, Index] = {}
    for name in ("law", "finance", "cyber"):
        opened[name] = open_tiny(tmp_path_factory.mktemp("home") / name)
        for number in range(6):
            key = f"{name}{number}"
            text = f"In {key} we read what otters eat in the river, told by {name}."
            each = Document("file", key, f"docs/{key}", key, text)
            chunks = list(opened[name].chunk(each))
            vectors = opened[name].embed(chunks)
            opened[name].store.stage(each, chunks, vectors.dense, vectors.lexical)
            opened[name].store.commit(each.id, each.revision, 10)
    yield opened
    for index in opened.values():
        index.close()


def router(odds: Mapping[str, float], coverage: float = 0.9) -> Router:
    """Sends every question by the same odds: only the bias says anything."""
    classifier = RouteClassifier(
        routes=tuple(odds),
        embedder="tiny:1",
        language="english",
        weights=((0.0,) * (TinyEmbedder.dimension + HASHED),) * len(odds),
        bias=tuple(math.log(each) for each in odds.values()),
        temperature=1.0,
    )
    places = {name: f"/data/{name}" for name in odds}
    return Router(Routes(indexes=places, coverage=coverage, classifier=classifier), TinyEmbedder())


def routed(indexes, odds, lost=(), coverage: float = 0.9, top_k: int = 10) -> RoutedIndex:
    """Over indexes that the test still owns: it does not close them."""
    settings = Settings(retrieval=RetrievalSettings(top_k=top_k))
    gone = {name: IndexMissing(f"no index at /data/{name}") for name in lost}
    alive = {name: index for name, index in indexes.items() if name not in lost}
    return RoutedIndex(settings, router(odds, coverage), alive, gone)


def routes_of(chunks) -> Counter[str]:
    return Counter(hit.chunk.name.rstrip("0123456789") for hit in chunks)


def test_a_sure_question_finds_what_its_own_index_finds(indexes) -> None:
    index = routed(indexes, {"law": 0.97, "finance": 0.02, "cyber": 0.01})
    found = index.retrieve(QUESTION)
    assert found.searched == found.routing.chosen == ("law",)
    assert found.chunks == indexes["law"].search(QUESTION, top_k=10)
    assert (found.note, found.degraded) == ("to law (0.97)", "")


def test_places_are_shared_in_proportion_to_probability(indexes) -> None:
    index = routed(indexes, {"law": 0.6, "finance": 0.3, "cyber": 0.1}, coverage=1.0)
    found = index.retrieve(QUESTION)
    assert found.searched == ("law", "finance", "cyber")
    assert routes_of(found.chunks) == {"law": 6, "finance": 3, "cyber": 1}
    # d'Hondt: 0.6, then 0.3 and 0.3, 0.2, 0.15 and 0.15, ...
    assert [round(hit.score, 2) for hit in found.chunks[:6]] == [0.6, 0.3, 0.3, 0.2, 0.15, 0.15]
    assert [hit.rank for hit in found.chunks] == list(range(1, 11))


def test_each_route_keeps_its_own_order_and_scores(indexes) -> None:
    index = routed(indexes, {"law": 0.5, "finance": 0.4, "cyber": 0.1})
    found = index.retrieve(QUESTION, top_k=8).chunks
    assert len(found) == 8
    for name in ("law", "finance"):
        own = {hit.chunk.id: hit for hit in indexes[name].search(QUESTION, top_k=8)}
        here = [hit for hit in found if hit.chunk.id in own]
        assert [hit.chunk.id for hit in here] == list(own)[: len(here)]
        assert all(hit.parts == own[hit.chunk.id].parts for hit in here)


def test_conditions_hold_in_every_index(indexes) -> None:
    index = routed(indexes, {"law": 0.5, "finance": 0.4, "cyber": 0.1})
    only = [parse_condition("doc=law3|finance1|cyber2")]
    assert {hit.chunk.name for hit in index.search(QUESTION, conditions=only)} == {
        "law3",
        "finance1",
    }


def test_a_lost_route_is_named_and_the_others_go_on(indexes) -> None:
    odds = {"law": 0.5, "finance": 0.45, "cyber": 0.05}
    found = routed(indexes, odds, lost=["finance"]).retrieve(QUESTION)
    assert found.searched == ("law",)
    assert found.degraded == "without finance: no index at /data/finance"


def test_who_wants_all_is_told_which_is_missing(indexes, monkeypatch) -> None:
    odds = {"law": 0.5, "finance": 0.45, "cyber": 0.05}
    routed(indexes, odds).require_whole()
    for _ in range(2):
        with pytest.raises(IndexMissing, match=r"^the route finance: no index at /data/finance"):
            routed(indexes, odds, lost=["finance"]).require_whole()

    def broken() -> None:
        raise ModelError("no such model")

    monkeypatch.setattr(indexes["cyber"].embedder, "load", broken)
    with pytest.raises(ModelError, match=r"^the route (law|cyber): no such model"):
        routed(indexes, odds).require_whole()


def test_where_all_that_were_chosen_are_lost_the_next_is_searched(indexes) -> None:
    odds = {"law": 0.95, "finance": 0.04, "cyber": 0.01}
    found = routed(indexes, odds, lost=["law"]).retrieve(QUESTION)
    assert (found.searched, set(found.failed)) == (("finance",), {"law"})


def test_a_lost_route_that_was_not_asked_for_is_not_spoken_of(indexes) -> None:
    odds = {"law": 0.95, "finance": 0.04, "cyber": 0.01}
    assert routed(indexes, odds, lost=["finance"]).retrieve(QUESTION).degraded == ""


REFUSED = StoreError("connection refused", hint="start the server")


def failing(index: Index, error: RagError = REFUSED) -> Index:
    """The same index, whose server (or that of its embedder) has gone away."""

    class Failing(Index):
        def search(self, *_: object, **__: object):
            raise error

    return Failing(index.settings, index.store, index.embedder)


@pytest.mark.parametrize("error", [REFUSED, ModelError("the embedding service is down")])
def test_a_search_that_fails_is_named_and_the_others_go_on(indexes, error: RagError) -> None:
    broken = {**indexes, "law": failing(indexes["law"], error)}
    found = routed(broken, {"law": 0.5, "finance": 0.4, "cyber": 0.1}).retrieve(QUESTION)
    assert (found.searched, found.degraded) == (("finance",), f"without law: {error.message}")


@pytest.mark.parametrize("lost", [[], ["law"]])
def test_where_all_that_were_chosen_fail_the_next_is_searched(indexes, lost: list[str]) -> None:
    broken = {**indexes, "law": failing(indexes["law"]), "finance": failing(indexes["finance"])}
    odds = {"law": 0.5, "finance": 0.45, "cyber": 0.05}
    found = routed(broken, odds, lost=lost).retrieve(QUESTION)
    assert found.routing.chosen == ("law", "finance")
    assert (found.searched, list(found.failed)) == (("cyber",), ["law", "finance"])
    assert found.chunks == indexes["cyber"].search(QUESTION, top_k=10)


def test_where_no_index_can_be_searched_the_error_says_why_of_each(indexes) -> None:
    broken = {name: failing(index) for name, index in indexes.items()}
    index = routed(broken, {"law": 0.3, "finance": 0.6, "cyber": 0.1}, lost=["law"])
    with pytest.raises(StoreError) as caught:
        index.search(QUESTION)
    assert caught.value.message == (
        "no route could be searched (finance: connection refused; "
        "law: no index at /data/law; cyber: connection refused)"
    )
    assert caught.value.hint == "start the server"


def test_the_engine_answers_from_several_indexes_and_books_where_it_looked(indexes) -> None:
    odds = {"law": 0.5, "finance": 0.3, "cyber": 0.2}
    index = routed(indexes, odds, lost=["cyber"], coverage=1.0)
    answer = QueryEngine(index, ExtractiveGenerator(), stages=[]).query(QUESTION)
    (entry,) = (entry for entry in answer.ledger if entry.stage == "retrieve")
    assert entry.note == "to law (0.50), finance (0.30)"
    assert entry.degraded == "without cyber: no index at /data/cyber"
    cited = {passage.chunk.name.rstrip("0123456789") for passage in answer.context.passages}
    assert cited == {"law", "finance"}


def test_closing_lets_go_of_every_index(indexes) -> None:
    closed: list[str] = []

    class Watched(Index):
        def close(self) -> None:
            closed.extend(name for name, each in indexes.items() if each.store is self.store)

    watched = {
        name: Watched(each.settings, each.store, each.embedder) for name, each in indexes.items()
    }
    with routed(watched, {"law": 0.5, "finance": 0.4, "cyber": 0.1}):
        assert closed == []
    assert sorted(closed) == ["cyber", "finance", "law"]
