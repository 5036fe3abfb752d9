"""Reindexing: what comes of it is what an ingest with the new embedder would have made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient
from tiny_index import OtherEmbedder, TinyEmbedder
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from connectors.registry import open_source
from pipelines.ingest import IngestReport, ingest
from pipelines.reindex import Kept, forget, kept_beside, reindex, rollback
from rag.embedding.base import Vectors
from rag.errors import ConfigError, IndexMismatch, ModelError, StoreError, UsageError
from rag.index import Index, index_manifest
from rag.settings import Settings
from rag.store import Store
from rag.store.edge import EdgeStore
from rag.store.server import ServerStore
from rag.tokens import TokenCounter

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

SETTINGS = Settings(chunking={"size": 40}, ingest={"window_tokens": 256, "optimize_chunks": 20})
# In one window: the client's local mode does not bear that one thread reads while another writes.
INGESTING = Settings(chunking={"size": 40})


class Letters(OtherEmbedder):
    """One whose tokens are letters: what is short for others is long for it."""

    max_tokens = 120
    fingerprint = "letters:1"

    def __init__(self) -> None:
        super().__init__()
        letters = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
        letters.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
        self.counter = TokenCounter(letters, "letters")


Open = Callable[..., Index]


@pytest.fixture(params=["edge", "local"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open an index as a process of its own would, with the embedder that the process has."""
    client = QdrantClient(":memory:")
    stores: dict[str, Store] = {}

    def open_it(embedder: TinyEmbedder, name: str = "index") -> Index:
        manifest = index_manifest(SETTINGS, embedder, embedder.dimension)
        if request.param == "edge":
            if name in stores:
                stores[name].close()
            stores[name] = EdgeStore.open(tmp_path / name, manifest)
        else:
            stores[name] = store = ServerStore(client, name)
            store.prepare(manifest)
        stores[name].manifest().require(manifest)
        return Index(INGESTING, stores[name], embedder)

    yield open_it
    for store in stores.values():
        store.close()
    client.close()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(12):
        sentences = [f"Report {number} has a sentence {n} of its own." for n in range(4 * number)]
        (folder / f"{number}.txt").write_text(" ".join(["It begins.", *sentences]))
    (folder / "copy.txt").write_text((folder / "11.txt").read_text())
    return folder


def brought_up_to_date(index: Index, docs: Path) -> IngestReport:
    report = ingest(index, [open_source(str(docs))], prune=True, yes=True)
    assert report.failed == []
    return report


def everything(index: Index) -> dict[str, Any]:
    """All points but the store's own, by id."""
    return {
        point.id: (point.payload, point.dense, terms(point))
        for state in ("live", "linked", "staged")
        for point in index.store._find({"state": state}, vectors=True)
    }


def terms(point: Any) -> list[tuple[int, float]]:
    lexical = point.lexical
    return sorted(zip(lexical.indices, lexical.values, strict=True)) if lexical else []


def names(index: Index) -> set[str]:
    return {record.name for record in index.store.documents() if record.live}


def test_it_is_what_an_ingest_with_the_new_embedder_would_have_made(
    opened: Open, docs: Path
) -> None:
    index = opened(TinyEmbedder())
    assert brought_up_to_date(index, docs).linked == 1
    before = everything(index)
    (docs / "late.txt").write_text("This one was being written when a run was killed.")
    late = next(ref for ref in open_source(str(docs)).list() if ref.name.endswith("late.txt"))
    document = open_source(str(docs)).fetch(late)
    chunks = list(index.chunk(document))
    vectors = index.embed(chunks)
    index.store.stage(document, chunks, vectors.dense, vectors.lexical)
    (docs / "late.txt").unlink()
    embedder, progress = OtherEmbedder(), Progress()

    report = reindex(index.store, SETTINGS, embedder=embedder, progress=progress)

    assert (report.before, report.after) == ("tiny:1", "other:1")
    assert (report.swapped, report.interrupted, report.truncated) == (True, False, 0)
    assert report.chunks == index.store.count() == len(before) - report.links > 40
    assert report.links == 1
    assert len(embedder.embedded) == report.chunks
    assert progress.heard == (report.chunks, report.chunks, report.tokens)
    assert everything(index).items() >= before.items()  # the old one is as it was
    fresh = opened(OtherEmbedder(), "fresh")
    brought_up_to_date(fresh, docs)
    again = opened(OtherEmbedder())
    assert again.store.manifest() == fresh.store.manifest()
    assert everything(again) == everything(fresh)
    after = brought_up_to_date(again, docs)
    assert (after.unchanged, after.embedded_tokens) == (13, 0)
    assert again.search("sentence 7 of report 3", top_k=1)[0].chunk.name.endswith("3.txt")


class Progress:
    """Adds up what it hears."""

    heard = (0, 0, 0)

    def start(self, total: int) -> None:
        self.heard = (total, 0, 0)

    def advance(self, count: float, tokens: int = 0) -> None:
        total, done, before = self.heard
        self.heard = (total, done + count, before + tokens)


def test_with_the_embedder_it_was_built_with_there_is_nothing_to_do(
    opened: Open, docs: Path
) -> None:
    index = opened(TinyEmbedder())
    brought_up_to_date(index, docs)
    embedder = TinyEmbedder()
    report = reindex(index.store, SETTINGS, embedder=embedder)
    assert (report.swapped, report.interrupted, embedder.embedded) == (False, False, [])
    assert index.store.kept() is None
    named = {"kind": "sentence_transformers", "model": "moved/here"}
    moved = SETTINGS.model_copy(update={"embedding": Settings(embedding=named).embedding})
    assert not reindex(index.store, moved, embedder=embedder).swapped
    assert index.store.manifest().model == named  # where it is found from now on


def test_going_back_and_forth_says_what_has_changed_since_and_loses_nothing(
    opened: Open, docs: Path
) -> None:
    index = opened(TinyEmbedder())
    brought_up_to_date(index, docs)
    older = names(index)
    assert kept_beside(index.store) is None
    reindex(index.store, SETTINGS, embedder=OtherEmbedder())
    index = opened(OtherEmbedder())
    (docs / "0.txt").unlink()
    (docs / "1.txt").write_text("Something else.")
    (docs / "new.txt").write_text("Something new.")
    brought_up_to_date(index, docs)
    newer = names(index)

    back = rollback(index.store, SETTINGS, embedder=TinyEmbedder())

    assert (back.served, back.kept, back.differing) == ("tiny:1", "other:1", 3)
    index = opened(TinyEmbedder())
    assert names(index) == older
    assert rollback(index.store, SETTINGS, embedder=OtherEmbedder()).differing == 3
    index = opened(OtherEmbedder())
    assert names(index) == newer
    rollback(index.store, SETTINGS, embedder=TinyEmbedder())
    index = opened(TinyEmbedder())
    brought_up_to_date(index, docs)
    assert kept_beside(index.store).differing == 0
    assert names(index) == newer
    gone = forget(index.store)
    assert (gone.served, gone.kept) == ("tiny:1", "other:1")
    with pytest.raises(UsageError, match="no vectors are kept"):
        rollback(index.store, SETTINGS)
    with pytest.raises(UsageError, match="no vectors are kept"):
        forget(index.store)
    assert names(opened(TinyEmbedder())) == newer


def test_there_is_room_for_one_that_is_kept(opened: Open, docs: Path) -> None:
    index = opened(TinyEmbedder())
    reindex(index.store, SETTINGS, embedder=OtherEmbedder())
    index = opened(OtherEmbedder())
    with pytest.raises(UsageError, match="tiny:1 are kept") as caught:
        reindex(index.store, SETTINGS, embedder=Letters())
    assert "--forget" in caught.value.hint
    assert kept_beside(index.store).kept == "tiny:1"


def test_a_run_that_is_stopped_leaves_the_index_as_it_was(opened: Open, docs: Path) -> None:
    index = opened(TinyEmbedder())
    brought_up_to_date(index, docs)
    before = everything(index)
    asked = iter([False, False, True])
    report = reindex(index.store, SETTINGS, embedder=OtherEmbedder(), stop=lambda: next(asked))
    assert (report.swapped, report.interrupted) == (False, True)
    assert 0 < report.chunks < index.store.count()
    index = opened(TinyEmbedder())
    assert everything(index) == before
    assert reindex(index.store, SETTINGS, embedder=OtherEmbedder()).swapped


def test_a_run_that_fails_leaves_the_index_as_it_was(opened: Open, docs: Path) -> None:
    class Failing(OtherEmbedder):
        def embed_documents(self, texts: Sequence[str]) -> Vectors:
            if self.embedded:
                raise ModelError("the model is gone")
            return super().embed_documents(texts)

    index = opened(TinyEmbedder())
    brought_up_to_date(index, docs)
    with pytest.raises(ModelError, match="the model is gone"):
        reindex(index.store, SETTINGS, embedder=Failing())
    index = opened(TinyEmbedder())
    assert index.store.kept() is None
    assert len(names(index)) == 13


def test_what_is_ingested_meanwhile_is_not_lost_without_a_word(opened: Open, docs: Path) -> None:
    index = opened(TinyEmbedder())
    brought_up_to_date(index, docs)

    class Meanwhile(OtherEmbedder):
        def embed_documents(self, texts: Sequence[str]) -> Vectors:
            if not self.embedded:
                (docs / "meanwhile.txt").write_text("This came while chunks were embedded.")
                brought_up_to_date(index, docs)
            return super().embed_documents(texts)

    with pytest.raises(StoreError, match="changed while its chunks were embedded"):
        reindex(index.store, SETTINGS, embedder=Meanwhile())
    assert len(names(opened(TinyEmbedder()))) == 14


def test_of_two_runs_at_once_one_is_swapped_in_and_the_other_changes_nothing(
    tmp_path: Path, docs: Path
) -> None:
    client = QdrantClient(":memory:")

    def opened() -> ServerStore:
        store = ServerStore(client, "index")
        store.prepare(index_manifest(SETTINGS, TinyEmbedder(), 32))
        return store

    class Meanwhile(OtherEmbedder):
        fingerprint = "late:1"

        def embed_documents(self, texts: Sequence[str]) -> Vectors:
            if not self.embedded:
                assert reindex(opened(), SETTINGS, embedder=OtherEmbedder()).swapped
            return super().embed_documents(texts)

    store = opened()
    brought_up_to_date(Index(INGESTING, store, TinyEmbedder()), docs)
    with pytest.raises(StoreError):
        reindex(store, SETTINGS, embedder=Meanwhile())
    served = opened()
    assert kept_beside(served) == Kept("other:1", "tiny:1", 0)
    assert served.count() == store.count() > 0
    assert len(client.get_collections().collections) == 2
    client.close()


def test_an_ingest_that_another_index_overtakes_says_that_it_went_into_the_old_one(
    docs: Path,
) -> None:
    client = QdrantClient(":memory:")
    store = ServerStore(client, "index")
    store.prepare(index_manifest(SETTINGS, TinyEmbedder(), 32))
    index = Index(INGESTING, store, TinyEmbedder())
    brought_up_to_date(index, docs)
    reindex(store, SETTINGS, embedder=OtherEmbedder())
    (docs / "new.txt").write_text("Something new.")
    with pytest.raises(StoreError, match="another index is served") as caught:
        ingest(index, [open_source(str(docs))])
    assert "run it again" in caught.value.hint
    client.close()


def test_what_is_kept_and_damaged_can_be_told_and_forgotten(tmp_path: Path) -> None:
    manifest = index_manifest(SETTINGS, TinyEmbedder(), 32)
    with EdgeStore.open(tmp_path / "index", manifest) as store:
        assert reindex(store, SETTINGS, embedder=OtherEmbedder()).swapped
    with EdgeStore.open(tmp_path / "index") as store:
        (tmp_path / "index/edge_config.json").write_text("{")
        assert kept_beside(store) == Kept("other:1", "unreadable", None)
        with pytest.raises(UsageError, match="unreadable are kept"):
            reindex(store, SETTINGS, embedder=Letters())
        with pytest.raises(StoreError):
            rollback(store, SETTINGS, embedder=TinyEmbedder())
        assert forget(store).kept == "unreadable"
        assert kept_beside(store) is None
    assert EdgeStore.open(tmp_path / "index").manifest().embedder == "other:1"


def test_what_nothing_would_open_is_not_served_again(tmp_path: Path) -> None:
    manifest = index_manifest(SETTINGS, TinyEmbedder(), 32)  # it says that it is the bundled model
    with EdgeStore.open(tmp_path / "index", manifest) as store:
        assert reindex(store, SETTINGS, embedder=OtherEmbedder()).swapped
    with EdgeStore.open(tmp_path / "index") as store:
        with pytest.raises(IndexMismatch, match="with tiny:1, and its model is now all-Mini"):
            rollback(store, SETTINGS)
        assert kept_beside(store) == Kept("other:1", "tiny:1", 0)


def test_what_a_class_made_is_served_again_and_says_which(tmp_path: Path) -> None:
    named = {"kind": "llama_index", "model": "m:C"}
    manifest = replace(index_manifest(SETTINGS, TinyEmbedder(), 32), model=named)
    with EdgeStore.open(tmp_path / "index", manifest) as store:
        bundled = Settings(chunking={"size": 40}, embedding={"kind": "bundled"})
        assert reindex(store, bundled, embedder=OtherEmbedder()).swapped
    with EdgeStore.open(tmp_path / "index") as store:
        assert rollback(store, SETTINGS) == Kept("tiny:1", "other:1", 0, named)


@pytest.mark.parametrize(
    ("groups", "named"),
    [
        ({"chunking": {"size": 50}}, "chunker"),
        ({"chunking": {"size": 40, "kind": "tokens"}}, "chunker"),
        ({"chunking": {"size": 40, "header_tokens": 8}}, "header_tokens"),
        ({"chunking": {"size": 40}, "lexical": {"language": "german"}}, "lexical"),
    ],
)
def test_chunks_stay_as_they_are_cut_or_the_index_is_to_be_made_anew(
    tmp_path: Path, groups: dict[str, Any], named: str
) -> None:
    manifest = index_manifest(SETTINGS, TinyEmbedder(), 32)
    with EdgeStore.open(tmp_path / "index", manifest) as store:
        with pytest.raises(IndexMismatch, match=f"{named}: index has") as caught:
            reindex(store, Settings(**groups), embedder=OtherEmbedder())
        assert "ingest anew" in caught.value.hint
        assert store.kept() is None


def test_chunks_must_fit_the_window_of_the_new_embedder(opened: Open, docs: Path) -> None:
    class Small(OtherEmbedder):
        max_tokens = 64

    index = opened(TinyEmbedder())
    with pytest.raises(ConfigError, match="do not fit other, which reads 64") as caught:
        reindex(index.store, SETTINGS, embedder=Small())
    assert "ingest anew" in caught.value.hint
    assert "at most 30" in caught.value.hint


def test_chunks_that_are_too_long_by_another_tokenizer_are_counted(
    opened: Open, docs: Path
) -> None:
    index = opened(TinyEmbedder())
    brought_up_to_date(index, docs)
    embedder = Letters()
    report = reindex(index.store, SETTINGS, embedder=embedder)
    long = [text for text in embedder.embedded if len(text) > 118]
    assert report.truncated == len(long)
    assert 0 < report.truncated < report.chunks
