"""Indexes beside each other: the same calls, with the same results, on every store there is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from qdrants import Qdrant, qdrant

from rag.embedding.lexical import SparseVector
from rag.errors import StoreError
from rag.manifest import IndexManifest
from rag.settings import StoreSettings
from rag.spans import Span
from rag.store import Point, Store, is_index
from rag.store.edge import EdgeStore
from rag.store.server import ServerStore
from rag.types import Chunk, Document

OLD = IndexManifest("old:1", 4, "bm25:english", "sentences:old:8/0", 32)
NEW = replace(OLD, embedder="new:1", dimension=3, model={"kind": "llama_index", "model": "m:C"})
WORD = SparseVector([1], [1.0])
TEXT = "Sales rose."

Open = Callable[..., Store]

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")


@pytest.fixture(scope="module")
def server() -> Iterator[Qdrant]:
    made = qdrant()
    yield made
    made.close()


@pytest.fixture(params=["edge", "local", "server"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open the index as a process of its own would: what was open before is closed."""
    client = QdrantClient(":memory:")
    stores: list[Store] = []
    settings = None
    if request.param == "server":
        settings = StoreSettings(**request.getfixturevalue("server").store())

    def open_it(create: IndexManifest | None = None) -> Store:
        if request.param == "local":
            made = ServerStore(client, "index")
            made.prepare(create)
            return made
        for store in stores:
            store.close()
        if settings:
            stores[:] = [ServerStore.open(settings, create)]
        else:
            stores[:] = [EdgeStore.open(tmp_path / "index", create)]
        return stores[0]

    yield open_it
    for store in stores:
        store.close()
    client.close()


def document(key: str) -> Document:
    return Document("file", key, f"docs/{key}", key, TEXT, fingerprint=f"of {key}")


def serve(store: Store, of: Document, *, commit: bool = True) -> None:
    chunk = Chunk(of.id, of.revision, 0, Span(0, 11), TEXT, 3, of.source, of.name)
    vector = np.eye(store.manifest().dimension, dtype=np.float32)[:1]
    store.stage(of, [chunk], vector, [WORD], ("=1",))
    if commit:
        store.commit(of.id, of.revision, 9)


def names(store: Store) -> set[str]:
    return {record.name for record in store.documents() if record.live}


def built(store: Store, *keys: str) -> str:
    """A finished index beside, with documents of its own; its generation."""
    with store.beside(NEW) as beside:
        for key in keys:
            serve(beside, document(key))
        return beside.generation


def test_what_is_built_beside_is_opened_once_it_is_served_and_the_other_is_kept(
    opened: Open,
) -> None:
    store = opened(OLD)
    serve(store, document("old.txt"))
    generation = built(store, "new.txt")
    assert (store.manifest(), names(store)) == (OLD, {"old.txt"})
    assert store.kept() is None
    assert store.is_served()
    store.serve(generation)
    assert not store.is_served()
    # Who has it open goes on with what belongs to its embedder.
    assert (store.manifest(), names(store)) == (OLD, {"old.txt"})
    assert len(store.rankings([1, 0, 0, 0], WORD, 10).dense) == 1
    store = opened()
    assert store.is_served()
    assert (store.manifest(), names(store), store.generation) == (NEW, {"new.txt"}, generation)
    assert len(store.rankings([1, 0, 0], WORD, 10).dense) == 1
    kept = store.kept()
    assert kept is not None
    with kept:
        assert (kept.manifest(), names(kept), kept.generation) == (OLD, {"old.txt"}, "")


def test_serving_what_is_kept_goes_back_and_again_forth(opened: Open) -> None:
    store = opened(OLD)
    store.serve(built(store, "new.txt"))
    for expected, other in ((NEW, OLD), (OLD, NEW), (NEW, OLD)):
        store = opened()
        assert store.manifest() == expected
        with store.kept() as kept:
            assert kept.manifest() == other
        store.serve(kept.generation)


def test_a_new_index_is_made_nowhere_where_one_is_served(opened: Open) -> None:
    store = opened(OLD)
    store.serve(built(store, "new.txt"))
    assert opened(OLD).manifest() == NEW
    opened().forget()  # the first one
    assert opened(OLD).manifest() == NEW


def test_what_was_never_finished_is_not_opened_and_goes_with_the_next_build(
    opened: Open,
) -> None:
    store = opened(OLD)
    serve(store, document("old.txt"))
    built(store, "half.txt")
    store = opened()
    assert (store.manifest(), store.kept()) == (OLD, None)
    generation = built(store, "new.txt")
    store.serve(generation)
    assert names(opened()) == {"new.txt"}
    store = opened()
    store.forget()
    assert names(store) == {"new.txt"}


def test_what_another_run_serves_meanwhile_is_neither_replaced_nor_deleted(opened: Open) -> None:
    store = opened(OLD)
    serve(store, document("old.txt"))
    first = built(store, "first.txt")
    with store.beside(NEW) as beside:
        second = beside.generation
        serve(beside, document("second.txt"))
    assert first != second
    store.serve(second)
    with pytest.raises(StoreError, match="served or kept meanwhile"):
        store.serve(first)  # it was opened before the other one was served
    for generation in (first, second, ""):
        store.abandon(generation)
    store = opened()
    assert (names(store), store.generation) == ({"second.txt"}, second)
    with store.kept() as kept:
        assert names(kept) == {"old.txt"}
    third = built(store, "third.txt")
    with pytest.raises(StoreError, match="served or kept meanwhile"):
        store.serve(third)  # it would take the place of what is kept
    store.abandon(third)
    assert names(opened()) == {"second.txt"}


def test_what_is_kept_outlives_a_build_that_is_not_finished(opened: Open) -> None:
    store = opened(OLD)
    serve(store, document("old.txt"))
    store.serve(built(store, "new.txt"))
    built(opened(), "half.txt")
    store = opened()
    built(store, "half again.txt")
    assert names(store) == {"new.txt"}
    with store.kept() as kept:
        assert names(kept) == {"old.txt"}


def test_what_is_forgotten_is_gone_and_the_other_stays_served(opened: Open) -> None:
    store = opened(OLD)
    serve(store, document("old.txt"))
    store.serve(built(store, "new.txt"))
    store = opened()
    built(store, "half.txt")
    store.forget()
    store.forget()
    assert store.kept() is None
    store = opened()
    assert (names(store), store.kept()) == ({"new.txt"}, None)
    serve(store, document("more.txt"))
    store.serve(built(store, "third.txt"))  # there is room for one again
    store = opened()
    assert names(store) == {"third.txt"}
    with store.kept() as kept:
        assert names(kept) == {"new.txt", "more.txt"}


def test_points_are_served_chunks_and_links_and_are_put_as_they_are(opened: Open) -> None:
    store = opened(OLD)
    serve(store, document("a.txt"))
    store.link(document("copy.txt"), document("a.txt").id, Span(0, 11))
    serve(store, document("staged.txt"), commit=False)
    points = list(store.points())
    link, chunk = sorted(points, key=lambda point: point.payload["state"])
    assert [chunk.payload["name"], link.payload["name"]] == ["a.txt", "copy.txt"]
    assert (chunk.dense, chunk.lexical, link.dense, link.lexical) == (None, WORD, None, None)
    with store.beside(NEW) as beside:
        beside.put([replace(chunk, dense=[0.0, 1.0, 0.0]), link])
        assert beside.count() == 1
        assert list(beside.documents()) == [r for r in store.documents() if r.live]
        (hit,) = beside.rankings([0, 1, 0], WORD, 10).dense
        assert beside.chunks([hit.id]) == store.chunks([hit.id])
        assert beside.chunks([hit.id])[hit.id].also == ("docs/copy.txt",)
        assert [each.name for each in beside.alike(["=1"])] == ["a.txt"]
        assert {(p.id, str(p.payload)) for p in beside.points()} == {
            (p.id, str(p.payload)) for p in points
        }
    assert isinstance(chunk, Point)


def test_a_manifest_can_be_said_anew(opened: Open) -> None:
    opened(OLD).set_manifest(replace(OLD, model={"kind": "x", "model": "y"}))
    assert opened().manifest().model == {"kind": "x", "model": "y"}


# --- one backend alone ---------------------------------------------------------------------


def test_an_index_is_known_by_its_folder_wherever_what_is_served_lies(tmp_path: Path) -> None:
    path = tmp_path / "index"
    assert not is_index(path)
    assert not is_index(Path(__file__))
    with EdgeStore.open(path, OLD) as store:
        store.serve(built(store))
    with EdgeStore.open(path) as store:
        store.forget()
    assert not (path / "edge_config.json").exists()
    assert is_index(path)
    assert not is_index(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"served": "../other"}', '{"serve": ""}', "{"])
def test_a_damaged_file_of_generations_is_told_and_nothing_is_served_by_guess(
    tmp_path: Path, text: str
) -> None:
    EdgeStore.open(tmp_path, OLD).close()
    (tmp_path / "generations.json").write_text(text)
    with pytest.raises(StoreError, match="does not say which index is served"):
        EdgeStore.open(tmp_path)


def test_a_folder_of_somebody_else_in_the_index_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    with EdgeStore.open(tmp_path / "index", OLD) as store:
        notes = tmp_path / "index/notes/reindex-1.txt"
        notes.parent.mkdir()
        notes.write_text("mine")
        store.serve(built(store))
    with EdgeStore.open(tmp_path / "index") as store:
        store.forget()
    assert notes.read_text() == "mine"


def test_an_index_that_is_swapped_while_it_is_being_opened_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it was read which is served, its last owner may put another in its place."""
    with EdgeStore.open(tmp_path, OLD) as store:
        generation = built(store)
    opening = EdgeStore._open.__func__

    def late(cls: type[EdgeStore], *arguments: object) -> EdgeStore:
        monkeypatch.undo()
        with EdgeStore.open(tmp_path) as owner:
            owner.serve(generation)
        return opening(cls, *arguments)

    monkeypatch.setattr(EdgeStore, "_open", classmethod(late))
    with EdgeStore.open(tmp_path) as store:
        assert store.manifest() == NEW


def test_collections_of_other_indexes_are_left_alone() -> None:
    client = QdrantClient(":memory:")
    others = ["index--reindex", "index--reindex-x", "index2--reindex-1", "a--index--reindex-1"]
    for name in ["index", *others]:
        ServerStore(client, name).prepare(OLD)
    store = ServerStore(client, "index")
    store.prepare(None)
    store.serve(built(store))
    store = ServerStore(client, "index")
    store.prepare(None)
    built(store)
    store.forget()
    names = {each.name for each in client.get_collections().collections}
    aliases = {each.alias_name: each.collection_name for each in client.get_aliases().aliases}
    assert [*aliases] == ["index--served"]
    assert aliases["index--served"].startswith("index--reindex-")
    assert names == {aliases["index--served"], *others}
    client.close()
