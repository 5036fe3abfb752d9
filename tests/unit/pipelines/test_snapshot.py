"""Snapshots: what comes back from a file is what was written, on any backend."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from qdrant_client import QdrantClient
from tiny_index import OtherEmbedder, TinyEmbedder, open_tiny

from connectors.registry import open_source
from pipelines.ingest import ingest
from pipelines.reindex import kept_beside, rollback
from pipelines.snapshot import restore, take
from rag.errors import IndexMismatch, StoreError, UsageError
from rag.index import Index, index_manifest
from rag.manifest import IndexManifest
from rag.settings import Settings
from rag.store import Store
from rag.store.edge import EdgeStore
from rag.store.server import ServerStore

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

SETTINGS = Settings(chunking={"size": 40}, ingest={"optimize_chunks": 20})


class Shared(ServerStore):
    """On a client that others go on with."""

    def close(self) -> None:
        pass


class Stores:
    """The indexes of one backend, by name."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.client = QdrantClient(":memory:")

    def opener(self, name: str) -> Callable[[IndexManifest | None], Store]:
        def open_it(create: IndexManifest | None) -> Store:
            if self.folder:
                return EdgeStore.open(self.folder / name, create)
            store = Shared(self.client, name)
            store.prepare(create)
            return store

        return open_it

    @contextmanager
    def index(self, name: str, embedder: TinyEmbedder | None = None) -> Iterator[Index]:
        embedder = embedder or TinyEmbedder()
        manifest = index_manifest(SETTINGS, embedder, embedder.dimension)
        with self.opener(name)(manifest) as store:
            yield Index(SETTINGS, store, embedder)


@pytest.fixture(params=["edge", "local"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    found = Stores(tmp_path if request.param == "edge" else None)
    yield found
    found.client.close()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(12):
        sentences = [f"Report {number} has a sentence {n} of its own." for n in range(4 * number)]
        (folder / f"{number}.txt").write_text(" ".join(["It begins, «süß».", *sentences]))
    (folder / "copy.txt").write_text((folder / "11.txt").read_text())
    return folder


def held(index: Index) -> dict[str, object]:
    """Every point as a snapshot has it, and the manifest."""
    points = {
        point.id: (dict(point.payload), point.lexical, [round(x, 6) for x in point.dense or ()])
        for point in index.store.points(dense=True)
    }
    return {**points, "manifest": index.store.manifest()}


def ingested(stores: Stores, docs: Path, file: Path) -> dict[str, object]:
    """What an index of the documents holds that is called one, of which `file` is a snapshot."""
    with stores.index("one") as index:
        ingest(index, [open_source(str(docs))])
        take(index.store, file)
        return held(index)


def test_an_index_comes_back_whole(stores: Stores, docs: Path, tmp_path: Path) -> None:
    file = tmp_path / "backups" / "one.gz"
    before = ingested(stores, docs, file)
    restored = restore(stores.opener("two"), file, optimize_chunks=20)
    assert (restored.chunks, restored.links) == (len(before) - 2, 1)
    assert restored.chunks > 40
    assert not restored.kept

    with stores.index("two") as again:
        assert held(again) == before
        assert kept_beside(again.store) is None
        found = again.search("sentence 7 of report 9", top_k=5)
        unchanged = ingest(again, [open_source(str(docs))])
        assert (unchanged.unchanged, unchanged.added, unchanged.embedded_tokens) == (13, 0, 0)
    with stores.index("one") as index:
        assert [each.chunk for each in index.search("sentence 7 of report 9", top_k=5)] == [
            each.chunk for each in found
        ]


def test_from_one_backend_to_the_other_and_back(docs: Path, tmp_path: Path) -> None:
    edge, server = Stores(tmp_path), Stores()
    before = ingested(edge, docs, tmp_path / "edge.gz")
    restore(server.opener("moved"), tmp_path / "edge.gz")
    with server.index("moved") as index:
        assert held(index) == before
        take(index.store, tmp_path / "server.gz")
    restore(edge.opener("back"), tmp_path / "server.gz")
    with edge.index("back") as index:
        assert held(index) == before
    server.client.close()


def test_what_was_served_is_kept_and_can_be_served_again(
    stores: Stores, docs: Path, tmp_path: Path
) -> None:
    before = ingested(stores, docs, tmp_path / "one.gz")
    (docs / "11.txt").write_text("It was changed.")
    with stores.index("two", OtherEmbedder()) as other:
        ingest(other, [open_source(str(docs))])

    assert restore(stores.opener("two"), tmp_path / "one.gz").kept
    with stores.index("two") as index:
        assert held(index) == before
    with pytest.raises(UsageError, match="there is room for one"):
        restore(stores.opener("two"), tmp_path / "one.gz")
    with stores.index("two") as index:
        rollback(index.store, SETTINGS, embedder=OtherEmbedder())
    with stores.index("two", OtherEmbedder()) as index:
        assert index.store.manifest().embedder == "other:1"


def test_asked_to_stop_it_changes_nothing(stores: Stores, docs: Path, tmp_path: Path) -> None:
    before = ingested(stores, docs, tmp_path / "one.gz")
    asked: list[int] = []

    def at_the_fifth() -> bool:
        asked.append(1)
        return len(asked) >= 5

    with stores.index("one") as index:
        assert take(index.store, tmp_path / "not.gz", stop=at_the_fifth).interrupted
    assert [each.name for each in tmp_path.glob("*.gz*")] == ["one.gz"]
    assert restore(stores.opener("one"), tmp_path / "one.gz", stop=lambda: True).interrupted
    with stores.index("one") as index:
        assert held(index) == before
        assert kept_beside(index.store) is None


def test_an_index_that_changes_meanwhile_makes_no_snapshot(
    stores: Stores, docs: Path, tmp_path: Path
) -> None:
    ingested(stores, docs, tmp_path / "one.gz")
    before = (tmp_path / "one.gz").read_bytes()
    with stores.index("one") as index:
        record = next(each for each in index.store.documents() if each.name.endswith("5.txt"))
        ended: list[int] = []

        def retiring() -> bool:
            if not ended:
                index.store.retire(record.doc_id)
            ended.append(1)
            return False

        with pytest.raises(StoreError, match="changed while it was read"):
            take(index.store, tmp_path / "one.gz", stop=retiring)
    assert (tmp_path / "one.gz").read_bytes() == before


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    folder = tmp_path_factory.mktemp("snapshot")
    (folder / "a.txt").write_text("The barn owl hunts voles at dusk. It is silent.")
    with open_tiny(folder / "index").store as store:
        ingest(Index(SETTINGS, store, TinyEmbedder()), [open_source(str(folder / "a.txt"))])
        take(store, folder / "one.gz")
    return [json.loads(line) for line in gzip.open(folder / "one.gz", "rt")]


def _damage(lines: list[dict[str, object]]) -> dict[str, bytes]:
    def said(*which: dict[str, object]) -> bytes:
        return gzip.compress("".join(json.dumps(line) + "\n" for line in which).encode())

    head, point, end = lines
    return {
        "no gzip": b"PK\x03\x04",
        "nothing": b"",
        "cut bytes": said(*lines)[:-20],
        "flipped bytes": said(*lines)[:100] + b"\xff\xff\xff" + said(*lines)[103:],
        "no header": said(point, end),
        "a list": said([1], point, end),  # type: ignore[arg-type]
        "no end": said(head, point),
        "header alone": said(head),
        "a line too many": said(head, point, end, point),
        "a point too few": said(head, end),
        "no vector": said(head, {**point, "dense": ""}, end),
        "no base64": said(head, {**point, "dense": "ß"}, end),
        "staged": said(head, {**point, "payload": {"state": "staged"}}, end),
        "another format": said({**head, "spanrag": 2}, point, end),
    }


@pytest.mark.parametrize("what", sorted(_damage([{}, {}, {}])))
def test_a_file_that_is_not_whole_touches_nothing(
    what: str, lines: list[dict[str, object]], tmp_path: Path
) -> None:
    file = tmp_path / "bad.gz"
    file.write_bytes(_damage(lines)[what])
    with pytest.raises(UsageError, match=r"bad\.gz is no snapshot"):
        restore(partial(EdgeStore.open, tmp_path / "index"), file)
    assert not (tmp_path / "index").exists()


def test_no_file_and_a_file_of_another_version(
    lines: list[dict[str, object]], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        restore(partial(EdgeStore.open, tmp_path / "index"), tmp_path / "none.gz")
    head = {**lines[0], "manifest": {**lines[0]["manifest"], "schema": 0}}  # type: ignore[dict-item]
    with gzip.open(tmp_path / "old.gz", "wt") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in [head, *lines[1:]])
    with pytest.raises(IndexMismatch, match="schema 0"):
        restore(partial(EdgeStore.open, tmp_path / "index"), tmp_path / "old.gz")
    assert not (tmp_path / "index").exists()
