"""Copies and their originals: the same calls, with the same results, on every store there is."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from rag.embedding.lexical import SparseVector
from rag.manifest import IndexManifest
from rag.spans import Span
from rag.store import Store, parse_condition
from rag.store.edge import EdgeStore
from rag.store.server import ServerStore
from rag.types import Chunk, Document

MANIFEST = IndexManifest("tiny:1", 4, "bm25:english", "sentences:tiny:8/0", 32)
VECTOR, WORD = [1.0, 0.0, 0.0, 0.0], SparseVector([1], [1.0])
TEXT = "Sales rose.  Costs fell. Nobody knows why."


@pytest.fixture(params=["edge", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store
    if request.param == "edge":
        made = EdgeStore.open(tmp_path / "index", MANIFEST)
    else:
        made = ServerStore(QdrantClient(":memory:"), "links")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Payload indexes have no effect", UserWarning)
            made.prepare(MANIFEST)
    with made:
        yield made


def document(key: str, text: str = TEXT, **meta: object) -> Document:
    return Document("file", key, f"docs/{key}", key, text, fingerprint=f"of {key}", meta=meta)


def serve(store: Store, of: Document, marks: tuple[str, ...] = ()) -> None:
    """Stage a document sentence by sentence, one call for each, and commit it."""
    spans = (
        [Span(0, 11), Span(13, 24), Span(25, 42)] if of.text == TEXT else [Span(0, len(of.text))]
    )
    for ordinal, span in enumerate(spans):
        text = span.text_in(of.text)
        chunk = Chunk(of.id, of.revision, ordinal, span, text, 3, of.source, of.name, meta=of.meta)
        store.stage(of, [chunk], np.array([VECTOR], np.float32), [WORD], marks)
    store.commit(of.id, of.revision, 9)


WHOLE = Span(0, 42)


def found(store: Store, *conditions: str) -> set[str]:
    """Names of what a search finds, the same by meaning and by words."""
    rankings = store.rankings(VECTOR, WORD, 100, [parse_condition(each) for each in conditions])
    names = [
        {chunk.name for chunk in store.chunks([hit.id for hit in hits]).values()}
        for hits in rankings
    ]
    assert names[0] == names[1]
    return names[0]


def test_a_link_is_a_record_and_no_chunk(store: Store) -> None:
    original, copy = document("a.txt"), document("b.txt")
    serve(store, original)
    store.link(copy, original.id, WHOLE)
    assert store.count() == 3
    assert found(store) == {"a.txt"}
    (link,) = store.links()
    assert (link.doc_id, link.twin_of, link.live) == (copy.id, original.id, True)
    assert (link.fingerprint, link.source, link.key) == ("of b.txt", "docs/b.txt", "b.txt")
    assert {record.doc_id for record in store.documents()} == {original.id, copy.id}
    assert link.stands == WHOLE
    assert store.served(copy.id) == link
    assert store.served("00000000-0000-0000-0000-000000000000") is None


def test_an_original_tells_of_its_copies_and_is_found_by_what_they_are(store: Store) -> None:
    original = document("a.txt", ticker="AAA", year=2020)
    serve(store, original)
    store.link(document("b.txt", ticker="BBB", year=2021, tags=["x"]), original.id, WHOLE)
    store.link(document("c.txt", ticker="CCC"), original.id, WHOLE)
    chunks = store.chunks([hit.id for hit in store.rankings(VECTOR, WORD, 10).dense])
    assert {chunk.also for chunk in chunks.values()} == {("docs/b.txt", "docs/c.txt")}
    for condition in ("ticker=AAA", "ticker=BBB", "ticker=CCC", "year>2020", "tags=x"):
        assert found(store, condition) == {"a.txt"}, condition
    for condition in ("source=docs/c.txt", "doc=b.txt"):
        assert found(store, condition) == {"a.txt"}, condition
    for condition in ("ticker=DDD", "year>2021", "ticker!=AAA|BBB|CCC"):
        assert found(store, condition) == set(), condition
    # All conditions of one document: neither what no copy is by itself, nor what one is not.
    assert found(store, "ticker=AAA", "year=2021") == set()
    assert found(store, "ticker=BBB", "year=2021") == {"a.txt"}
    assert found(store, "ticker!=AAA") == {"a.txt"}


def test_only_what_a_copy_says_is_told_to_be_said_by_it(store: Store) -> None:
    original = document("a.txt", ticker="AAA")
    serve(store, original)
    store.link(document("part.txt", ticker="BBB"), original.id, Span(13, 42))
    store.link(document("most.txt", ticker="CCC"), original.id, Span(0, 24))

    def said() -> dict[str, tuple[str, ...]]:
        chunks = store.chunks([hit.id for hit in store.rankings(VECTOR, WORD, 10).dense])
        return {chunk.text: chunk.also for chunk in chunks.values()}

    assert said() == {
        "Sales rose.": ("docs/most.txt",),
        "Costs fell.": ("docs/most.txt", "docs/part.txt"),
        "Nobody knows why.": ("docs/part.txt",),
    }
    assert len(store.rankings(VECTOR, WORD, 10, [parse_condition("ticker=BBB")]).dense) == 2
    assert not store.copied_whole(store.served(original.id))
    store.unlink(next(link for link in store.links() if link.name == "most.txt"))
    assert said()["Sales rose."] == ()


def test_linking_again_changes_nothing_and_unlinking_takes_it_back(store: Store) -> None:
    original, copy = document("a.txt"), document("b.txt", ticker="BBB")
    serve(store, original)
    store.link(copy, original.id, WHOLE)
    store.link(copy, original.id, WHOLE)
    (link,) = store.links()
    chunks = store.chunks([hit.id for hit in store.rankings(VECTOR, WORD, 10).dense])
    assert {chunk.also for chunk in chunks.values()} == {("docs/b.txt",)}
    store.unlink(link)
    store.retire(copy.id)
    chunks = store.chunks([hit.id for hit in store.rankings(VECTOR, WORD, 10).dense])
    assert {chunk.also for chunk in chunks.values()} == {()}
    assert found(store, "ticker=BBB") == set()
    assert list(store.links()) == []


def test_a_link_takes_the_place_of_what_was_served(store: Store) -> None:
    original, copy = document("a.txt"), document("b.txt", "Something else.")
    serve(store, original)
    serve(store, copy)
    store.link(document("b.txt"), original.id, WHOLE)
    assert found(store) == {"a.txt"}
    assert store.count() == 3
    assert len(list(store.documents())) == 2


def test_a_document_of_its_own_takes_the_place_of_a_link(store: Store) -> None:
    original = document("a.txt")
    serve(store, original)
    store.link(document("b.txt"), original.id, WHOLE)
    serve(store, document("b.txt", "Something else."))
    assert found(store) == {"a.txt", "b.txt"}
    assert list(store.links()) == []


def test_an_heir_is_served_word_for_word_in_the_place_of_its_original(store: Store) -> None:
    original = document("a.txt", ticker="AAA")
    serve(store, original, marks=("=1", "0:2"))
    for key in ("b.txt", "c.txt"):
        store.link(document(key, ticker=key), original.id, WHOLE)
    heir = store.bequeath(store.served(original.id))
    store.retire(original.id)
    (link,) = store.links()
    names = {document(key).id: key for key in ("b.txt", "c.txt")}
    assert {names[heir], names[link.doc_id]} == {"b.txt", "c.txt"}
    assert link.twin_of == heir
    assert found(store) == {names[heir]}
    record = store.served(heir)
    assert (record.fingerprint, record.tokens, record.twin_of) == ("", 9, "")
    assert store.text(record) == TEXT
    assert store.copied_whole(record)
    assert store.count() == 3
    assert found(store, f"ticker={link.name}") == found(store, f"ticker={names[heir]}")
    assert found(store, "ticker=AAA") == set()
    assert [each.doc_id for each in store.alike(["0:2"])] == [heir]


def test_what_shares_a_mark_is_alike_if_it_is_served(store: Store) -> None:
    one, other, waiting = document("a.txt"), document("b.txt"), document("c.txt")
    serve(store, one, marks=("=1", "0:2"))
    serve(store, other, marks=("=3", "0:2"))
    chunk = Chunk(waiting.id, waiting.revision, 0, Span(0, 11), TEXT[:11], 3)
    store.stage(waiting, [chunk], np.array([VECTOR], np.float32), [WORD], ("0:2",))
    store.link(document("d.txt"), one.id, WHOLE)
    assert {each.doc_id for each in store.alike(["0:2", "1:9"])} == {one.id, other.id}
    assert [each.doc_id for each in store.alike(["=3"])] == [other.id]
    assert store.alike(["2:2"]) == []


def test_the_text_of_a_revision_comes_back_with_overlaps_told_once(store: Store) -> None:
    of = document("a.txt", "abcdefghij")
    for ordinal, span in enumerate([Span(1, 4), Span(2, 6), Span(8, 10)]):
        chunk = Chunk(of.id, of.revision, ordinal, span, span.text_in(of.text), 1)
        store.stage(of, [chunk], np.array([VECTOR], np.float32), [WORD])
    (record,) = store.documents()
    assert store.text(record) == " bcdef  ij"
