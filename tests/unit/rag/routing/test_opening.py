from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_index import TinyEmbedder, open_tiny

from rag.errors import StoreError
from rag.index import open_index, settings_as_built
from rag.routing import RouteClassifier, Routes, open_routed
from rag.routing.features import HASHED
from rag.routing.opening import at_route, router_embedder
from rag.settings import Settings


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory):
    with open_tiny(tmp_path_factory.mktemp("home") / "index", chunk_size=77) as index:
        return index.store.manifest()


def test_an_index_is_opened_with_the_chunks_and_words_it_was_built_with(manifest) -> None:
    manifest = replace(manifest, chunker="recursive:a:model:90/40", header_tokens=9)
    manifest = replace(manifest, lexical="bm25:german")
    wanted = settings_as_built(Settings(), manifest)
    chunking = wanted.chunking
    assert (chunking.kind, chunking.size, chunking.overlap) == ("recursive", 90, 40)
    assert (chunking.header_tokens, wanted.lexical.language) == (9, "german")
    assert wanted.retrieval == Settings().retrieval


def test_what_a_tiny_index_was_built_with_is_found_again(manifest) -> None:
    chunking = settings_as_built(Settings(), manifest).chunking
    assert chunking == Settings(chunking={"size": 77}).chunking


def test_a_chunker_of_another_version_leaves_the_settings_as_they_are(manifest) -> None:
    settings = Settings(chunking={"size": 55})
    for chunker in ("0f3a", "spiral:x:10/0", "sentences:x:ten/0"):
        assert settings_as_built(settings, replace(manifest, chunker=chunker)).chunking.size == 55


def test_a_route_is_a_folder_or_a_collection() -> None:
    assert at_route(Settings(), "/data/law").store.path == Path("/data/law")
    server = Settings(store={"url": "http://localhost:6333"})
    assert at_route(server, "law").store.collection == "law"
    assert at_route(server, "law").store.url == server.store.url


def written(path: Path, embedder: str, places: dict[str, str]) -> Path:
    classifier = RouteClassifier(
        routes=tuple(places),
        embedder=embedder,
        language="english",
        weights=((0.0,) * (TinyEmbedder.dimension + HASHED),) * len(places),
        bias=(0.0,) * len(places),
        temperature=1.0,
    )
    Routes(indexes=places, classifier=classifier).write(path)
    return path


def test_where_no_index_can_be_opened_each_says_why(tmp_path: Path) -> None:
    with open_tiny(tmp_path / "held"):
        places = {"law": str(tmp_path / "gone"), "cyber": str(tmp_path / "held")}
        fingerprint = router_embedder(Settings()).fingerprint
        path = written(tmp_path / "routes.json", fingerprint, places)
        with pytest.raises(
            StoreError, match=r"law: no index at .*gone; cyber: .*open in another process"
        ):
            open_routed(Settings(), path)


def test_indexes_of_one_model_share_it_and_its_memory(tmp_path: Path) -> None:
    places = {name: str(tmp_path / name) for name in ("law", "cyber")}
    for place, size in zip(places.values(), (90, 200), strict=True):
        built = Settings(store={"path": place}, chunking={"size": size})
        open_index(built, create=True).close()
    fingerprint = router_embedder(Settings()).fingerprint
    path = written(tmp_path / "routes.json", fingerprint, places | {"gone": str(tmp_path / "no")})
    with open_routed(Settings(), path) as routed:
        assert list(routed.lost) == ["gone"]
        for name, size in (("law", 90), ("cyber", 200)):
            assert routed.indexes[name].embedder is routed.embedder
            assert routed.indexes[name].sentences is routed.sentences
            assert routed.indexes[name].settings.chunking.size == size
