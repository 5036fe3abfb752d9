"""The same calls, with the same results, on every store there is.

`local` is qdrant-client's own engine, without a server. `server` is the Qdrant server that
SPANRAG_TEST_QDRANT_URL names; where it names none, the same engine over HTTP. What a search must
find is worked out here with numpy, so no backend is the measure of the others.
"""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Protocol
from uuid import uuid4

import numpy as np
import pytest
import qdrant_edge
from qdrant_client import QdrantClient, models

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from qdrants import SERVER_URL, qdrant

from rag.embedding.lexical import SparseVector
from rag.errors import IndexMismatch, IndexMissing, StoreError, StoreLocked
from rag.manifest import IndexManifest
from rag.settings import StoreSettings
from rag.spans import Span
from rag.store import DocumentRecord, Store, open_store, parse_condition, schema
from rag.store.edge import EdgeStore, _config
from rag.store.server import ServerStore
from rag.types import Chunk, Document, Section

DIMENSION = 16
MANIFEST = IndexManifest(
    embedder="test-embedder:f00d:torch:float32",
    dimension=DIMENSION,
    lexical="bm25:english",
    chunker="sentences:test-embedder:200/0",
    header_tokens=32,
)
ANY_VECTOR = [1.0] * DIMENSION
ANY_WORD = SparseVector([1], [1.0])


class Backend(Protocol):
    """A place for indexes."""

    def open(self, name: str, create: IndexManifest | None = None) -> Store:
        """Open the index `name`, as a process of its own would."""


class _Edge:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[str, EdgeStore] = {}

    def open(self, name: str, create: IndexManifest | None = None) -> Store:
        if name in self._open:
            self._open.pop(name).close()
        store = EdgeStore.open(self._folder / name, create)
        self._open[name] = store
        return store

    def close(self) -> None:
        for store in self._open.values():
            store.close()


class _Local:
    def __init__(self) -> None:
        self._client = QdrantClient(":memory:")

    def open(self, name: str, create: IndexManifest | None = None) -> Store:
        store = ServerStore(self._client, name)
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Payload indexes have no effect in the local Qdrant", UserWarning
            )
            store.prepare(create)
        return store

    def close(self) -> None:
        self._client.close()


class _Server:
    def __init__(self) -> None:
        self._server = qdrant()
        self._settings: dict[str, StoreSettings] = {}

    def open(self, name: str, create: IndexManifest | None = None) -> Store:
        if name not in self._settings:
            self._settings[name] = StoreSettings(**self._server.store())
        return ServerStore.open(self._settings[name], create)

    def close(self) -> None:
        self._server.close()


@pytest.fixture(scope="module", params=["edge", "local", "server"])
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    made = {
        "edge": lambda: _Edge(tmp_path_factory.mktemp("edge")),
        "local": _Local,
        "server": _Server,
    }[request.param]()
    yield made
    made.close()


@pytest.fixture
def name() -> str:
    return uuid4().hex


@pytest.fixture
def store(backend: Backend, name: str) -> Store:
    return backend.open(name, MANIFEST)


def document(key: str, text: str = "Sales rose. Costs fell.", **about: object) -> Document:
    given = {
        "namespace": "file",
        "source": f"docs/{key}",
        "name": key,
        "fingerprint": f"mark of {key}",
    }
    return Document(key=key, text=text, **{**given, **about})


def cut(of: Document, size: int = 8) -> list[Chunk]:
    starts = range(0, len(of.text), size)
    spans = [Span(start, min(start + size, len(of.text))) for start in starts]
    return [
        Chunk(
            doc_id=of.id,
            revision=of.revision,
            ordinal=ordinal,
            span=span,
            text=span.text_in(of.text),
            tokens=len(span),
            source=of.source,
            name=of.name,
            title=of.title,
            places=of.places(span),
            meta=of.meta,
        )
        for ordinal, span in enumerate(spans)
    ]


def stage(
    store: Store,
    of: Document,
    chunks: Sequence[Chunk] | None = None,
    dense: np.ndarray | None = None,
    lexical: Sequence[SparseVector] | None = None,
) -> list[Chunk]:
    """Stage a document; where vectors are not given, any question finds all of it."""
    chunks = cut(of) if chunks is None else list(chunks)
    if dense is None:
        dense = np.full((len(chunks), DIMENSION), DIMENSION**-0.5, dtype=np.float32)
    store.stage(of, chunks, dense, [ANY_WORD] * len(chunks) if lexical is None else lexical)
    return chunks


def serve(store: Store, of: Document, **vectors: object) -> list[Chunk]:
    chunks = stage(store, of, **vectors)
    store.commit(of.id, of.revision, 100)
    return chunks


def found(store: Store, *conditions: str) -> set[str]:
    """Names of the documents that a search finds, the same by meaning and by words."""
    parsed = [parse_condition(condition) for condition in conditions]
    rankings = store.rankings(ANY_VECTOR, ANY_WORD, 1_000, parsed)
    by_meaning, by_words = (
        sorted({chunk.name for chunk in store.chunks([hit.id for hit in hits]).values()})
        for hits in rankings
    )
    assert by_meaning == by_words
    return set(by_meaning)


def records(store: Store, namespace: str | None = None) -> dict[tuple[str, str], bool]:
    return {(r.name, r.revision): r.live for r in store.documents(namespace)}


# --- being there ---------------------------------------------------------------------------


def test_no_index_is_index_missing_unless_it_may_be_made(backend: Backend, name: str) -> None:
    with pytest.raises(IndexMissing) as caught:
        backend.open(name)
    assert "rag ingest" in caught.value.hint
    assert backend.open(name, MANIFEST).count() == 0
    assert backend.open(name).count() == 0


def test_the_manifest_comes_back_as_it_was_written(backend: Backend, name: str) -> None:
    assert backend.open(name, MANIFEST).manifest() == MANIFEST
    assert backend.open(name).manifest() == MANIFEST


def test_an_index_that_is_there_keeps_its_manifest_whatever_create_says(
    backend: Backend, name: str
) -> None:
    other = IndexManifest("another", DIMENSION, "bm25:german", "tokens:x:10/0", 0)
    serve(backend.open(name, MANIFEST), document("a.txt"))
    reopened = backend.open(name, other)
    assert reopened.manifest() == MANIFEST
    assert found(reopened) == {"a.txt"}


def test_a_manifest_of_another_schema_is_a_mismatch(backend: Backend, name: str) -> None:
    future = IndexManifest("e", DIMENSION, "bm25:english", "c", 32, schema=99)
    with pytest.raises(IndexMismatch, match="schema 99"):
        backend.open(name, future).manifest()


def test_an_empty_index_answers_every_question_with_nothing(store: Store) -> None:
    assert store.count() == 0
    assert list(store.documents()) == []
    assert store.rankings(ANY_VECTOR, ANY_WORD, 10) == ([], [])
    assert store.chunks([document("a").id]) == {}


def test_a_vector_of_another_length_is_a_store_error(store: Store) -> None:
    serve(store, document("a.txt"))
    with pytest.raises(StoreError):
        store.rankings([1.0] * (DIMENSION + 1), ANY_WORD, 10)


# --- the life of a revision ----------------------------------------------------------------


def test_what_is_staged_is_not_found_until_it_is_committed(store: Store) -> None:
    new = document("a.txt")
    chunks = stage(store, new)
    assert (store.count(), found(store)) == (0, set())
    assert records(store) == {("a.txt", new.revision): False}
    store.commit(new.id, new.revision, 9)
    assert (store.count(), found(store)) == (len(chunks), {"a.txt"})
    assert records(store) == {("a.txt", new.revision): True}


def test_a_staged_revision_leaves_the_served_one_in_place(store: Store) -> None:
    old, new = document("a.txt", "the old words"), document("a.txt", "the new words, and more")
    served, staged = serve(store, old), stage(store, new)
    hits = store.rankings(ANY_VECTOR, ANY_WORD, 100)
    for ranking in hits:
        assert {hit.id for hit in ranking} == {chunk.id for chunk in served}
    assert store.count() == len(served) != len(staged)
    assert records(store) == {("a.txt", old.revision): True, ("a.txt", new.revision): False}


def test_a_commit_serves_one_revision_and_deletes_all_others(store: Store) -> None:
    first, second, third = (document("a.txt", f"{n} words of it") for n in ("one", "two", "three"))
    other = document("b.txt")
    gone = [*serve(store, first), *stage(store, second)]
    kept, beside = stage(store, third), serve(store, other)
    store.commit(third.id, third.revision, 7)
    hits = store.rankings(ANY_VECTOR, ANY_WORD, 100)
    for ranking in hits:
        assert {hit.id for hit in ranking} == {chunk.id for chunk in [*kept, *beside]}
    assert store.chunks([chunk.id for chunk in gone]) == {}
    assert store.count() == len(kept) + len(beside)
    assert records(store) == {("a.txt", third.revision): True, ("b.txt", other.revision): True}


def test_a_second_commit_of_the_same_revision_only_renews_its_tokens(store: Store) -> None:
    of = document("a.txt")
    serve(store, of)
    store.commit(of.id, of.revision, 41)
    assert [(record.live, record.tokens) for record in store.documents()] == [(True, 41)]
    assert store.count() == len(cut(of))


def test_staging_again_replaces_and_does_not_double(store: Store) -> None:
    of = document("a.txt")
    for _ in range(3):
        stage(store, of)
    store.commit(of.id, of.revision, 9)
    assert store.count() == len(cut(of))


def test_a_revision_may_be_staged_in_parts(store: Store) -> None:
    of = document("long.txt", "".join(f"word {n:04d}. " for n in range(400)))
    chunks = cut(of, 11)
    assert len(chunks) == 400
    for part in (chunks[:7], chunks[7:290], chunks[290:]):
        stage(store, of, chunks=part)
    assert store.count() == 0
    store.commit(of.id, of.revision, 9)
    assert store.count() == 400
    held = store.chunks([chunk.id for chunk in chunks])
    assert "".join(held[chunk.id].text for chunk in chunks) == of.text


def test_discard_deletes_that_revision_alone(store: Store) -> None:
    old, new = document("a.txt", "the old words"), document("a.txt", "the new words")
    served, staged = serve(store, old), stage(store, new)
    stage(store, document("b.txt"))
    store.discard(new.id, new.revision)
    assert store.chunks([chunk.id for chunk in staged]) == {}
    assert set(store.chunks([chunk.id for chunk in served])) == {chunk.id for chunk in served}
    assert records(store) == {
        ("a.txt", old.revision): True,
        ("b.txt", document("b.txt").revision): False,
    }


def test_retire_deletes_every_revision_of_that_document_alone(store: Store) -> None:
    old, new = document("a.txt", "the old words"), document("a.txt", "the new words")
    gone = [*serve(store, old), *stage(store, new)]
    serve(store, document("b.txt"))
    store.retire(old.id)
    assert store.chunks([chunk.id for chunk in gone]) == {}
    assert found(store) == {"b.txt"}
    assert {name for name, _ in records(store)} == {"b.txt"}


def test_deleting_what_is_not_there_changes_nothing(store: Store) -> None:
    served = serve(store, document("a.txt"))
    store.retire(document("never.txt").id)
    store.discard(document("a.txt").id, "no such revision")
    assert store.count() == len(served)


# --- what is said of a document ------------------------------------------------------------


def test_a_record_says_all_that_a_sync_needs_to_know(store: Store) -> None:
    of = document("2024/a.txt", namespace="jsonl:/data/x.jsonl", meta={"year": 2024})
    stage(store, of)
    staged = DocumentRecord(
        doc_id=of.id,
        namespace="jsonl:/data/x.jsonl",
        key="2024/a.txt",
        source="docs/2024/a.txt",
        name="2024/a.txt",
        revision=of.revision,
        fingerprint="mark of 2024/a.txt",
        meta_digest=of.meta_digest,
        tokens=0,
        live=False,
        meta={"year": 2024},
    )
    assert list(store.documents()) == [staged]
    store.commit(of.id, of.revision, 12)
    (served,) = store.documents()
    assert (served.tokens, served.live) == (12, True)
    assert served.meta_digest == staged.meta_digest


def test_describe_renews_the_words_about_a_document_and_not_its_vectors(store: Store) -> None:
    old = document("a.txt", meta={"year": 2020, "gone": "x"})
    untouched = document("b.txt", meta={"year": 2020})
    new = Document(
        namespace=old.namespace,
        key=old.key,
        source="moved/a.txt",
        name="renamed/a.txt",
        text=old.text,
        meta={"year": 2024, "audited": True},
        fingerprint="another mark",
    )
    assert (new.id, new.revision) == (old.id, old.revision)
    chunks = serve(store, old)
    serve(store, untouched)
    before = store.rankings(ANY_VECTOR, ANY_WORD, 100)
    store.describe(new)
    assert store.rankings(ANY_VECTOR, ANY_WORD, 100) == before
    held = store.chunks([chunk.id for chunk in chunks])
    assert len(held) == len(chunks) > 1
    for chunk in chunks:
        after = held[chunk.id]
        assert (after.source, after.name) == ("moved/a.txt", "renamed/a.txt")
        assert dict(after.meta) == {"year": 2024, "audited": "true"}
        assert (after.text, after.span) == (chunk.text, chunk.span)
    record = {record.doc_id: record for record in store.documents()}[old.id]
    assert (record.source, record.name) == ("moved/a.txt", "renamed/a.txt")
    assert (record.fingerprint, record.meta_digest) == ("another mark", new.meta_digest)
    assert (record.live, record.tokens) == (True, 100)
    assert found(store, "year=2024") == {"renamed/a.txt"}
    assert found(store, "year=2020") == {"b.txt"}
    assert found(store, "gone=x") == set()


def test_describe_of_what_is_not_there_makes_nothing(store: Store) -> None:
    store.describe(document("a.txt"))
    assert list(store.documents()) == []


def test_documents_are_listed_by_namespace_live_or_not(store: Store) -> None:
    here = document("a.txt", namespace="file")
    there = document("a.txt", namespace="jsonl:/x")
    serve(store, here)
    serve(store, there)
    stage(store, document("a.txt", "another revision", namespace="file"))
    assert sorted(record.live for record in store.documents("file")) == [False, True]
    assert [record.doc_id for record in store.documents("jsonl:/x")] == [there.id]
    assert len(list(store.documents())) == 3
    assert list(store.documents("fil")) == []


def test_more_documents_than_a_page_are_all_listed_once(backend: Backend, store: Store) -> None:
    if isinstance(backend, _Server) and not SERVER_URL:
        pytest.skip("the stand-in takes half a minute to write as many")
    many = [document(f"{n}.txt", "one.", namespace="many") for n in range(2_345)]
    chunks = [cut(of)[0] for of in many]
    # A stage writes chunks of one document; what they are said to be of does not matter here.
    for of, chunk in zip(many, chunks, strict=True):
        stage(store, of, chunks=[chunk])
    few = document("few.txt", namespace="few")
    serve(store, few)
    listed = [record.doc_id for record in store.documents("many")]
    assert len(listed) == len(set(listed)) == 2_345
    assert set(listed) == {of.id for of in many}
    assert sum(1 for _ in store.documents()) == 2_346
    assert [record.doc_id for record in store.documents("few")] == [few.id]


# --- chunks --------------------------------------------------------------------------------


def test_chunks_come_back_as_they_were_staged(store: Store) -> None:
    text = 'Erträge 収益 \U0001f4c8\n\ttab, nul \x00, quote " and \\ e\u0301nd.\f' * 4
    of = Document(
        namespace="file",
        key="/tmp/größe \U0001f600.pdf",
        source="größe \U0001f600.pdf",
        name="größe \U0001f600.pdf",
        text=text,
        title="A <title> & more",
        sections=(Section(Span(0, 60), "One", 1), Section(Span(10, 30), "Two > Three", 2)),
        pages=(0, 25, 70),
        meta={
            "year": 2024,
            "share": 0.25,
            "whole": 2.0,
            "who": "Åsa",
            "tags": ["x", "ÿ"],
            "no": [],
        },
        fingerprint="",
    )
    chunks = serve(store, of)
    held = store.chunks([chunk.id for chunk in chunks])
    assert held == {chunk.id: chunk for chunk in chunks}
    assert any(len(chunk.places) > 1 for chunk in held.values())


def test_chunks_are_held_staged_or_not_and_unknown_ids_are_left_out(store: Store) -> None:
    live, waiting = serve(store, document("a.txt")), stage(store, document("b.txt"))
    asked = [live[0].id, str(uuid4()), waiting[1].id, live[0].id]
    assert store.chunks(asked) == {live[0].id: live[0], waiting[1].id: waiting[1]}
    assert store.chunks([]) == {}
    assert store.chunks([str(uuid4())]) == {}


@pytest.mark.parametrize("unknown", ["no-uuid", "", "12", schema.MANIFEST_ID, schema.JOURNAL_ID])
def test_an_id_that_no_chunk_can_have_is_unknown_too(store: Store, unknown: str) -> None:
    (chunk, *_) = serve(store, document("a.txt"))
    assert store.chunks([unknown, chunk.id]) == {chunk.id: chunk}


# --- searching -----------------------------------------------------------------------------


class _Corpus:
    """Random vectors, and what a search among them must find, by plain arithmetic."""

    def __init__(self, seed: int, documents: int, key: Callable[[int], str]) -> None:
        random = np.random.default_rng(seed)
        self.documents = [
            document(key(n), f"revision {seed} of document {n}") for n in range(documents)
        ]
        self.chunks = [cut(of, 9) for of in self.documents]
        counts = [len(chunks) for chunks in self.chunks]
        dense = random.normal(size=(sum(counts), DIMENSION)).astype(np.float32)
        dense /= np.linalg.norm(dense, axis=1, keepdims=True)
        self.dense = np.split(dense, np.cumsum(counts)[:-1])
        self.lexical = [[_random_terms(random) for _ in range(count)] for count in counts]

    def serve(self, store: Store) -> None:
        for of, *vectors in zip(self.documents, self.chunks, self.dense, self.lexical, strict=True):
            chunks, dense, lexical = vectors
            serve(store, of, chunks=chunks, dense=dense, lexical=lexical)


def _random_terms(random: np.random.Generator, count: int = 6) -> SparseVector:
    terms = sorted(random.choice(60, size=count, replace=False).tolist())
    return SparseVector(terms, random.uniform(0.5, 2.0, count).tolist())


def _expected(
    corpora: Sequence[_Corpus], dense: Sequence[float], lexical: SparseVector, limit: int
) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Cosine, and the sum over terms of query weight * document weight * IDF (BM25's)."""
    query = np.array(dense) / np.linalg.norm(dense)
    ids = [chunk.id for corpus in corpora for chunks in corpus.chunks for chunk in chunks]
    vectors = np.concatenate([part for corpus in corpora for part in corpus.dense])
    terms = [
        dict(zip(*vector, strict=True))
        for corpus in corpora
        for vectors in corpus.lexical
        for vector in vectors
    ]
    holders = {term: sum(term in each for each in terms) for term in lexical.indices}
    idf = {term: math.log((len(terms) - n + 0.5) / (n + 0.5) + 1) for term, n in holders.items()}
    by_words = [
        (
            chunk_id,
            sum(
                weight * idf[term] * each.get(term, 0.0)
                for term, weight in zip(*lexical, strict=True)
            ),
        )
        for chunk_id, each in zip(ids, terms, strict=True)
        if each.keys() & set(lexical.indices)
    ]
    by_meaning = zip(ids, (vectors @ query).tolist(), strict=True)
    return tuple(
        sorted(pairs, key=lambda pair: -pair[1])[:limit] for pairs in (by_meaning, by_words)
    )


def _questions(count: int) -> list[tuple[list[float], SparseVector]]:
    random = np.random.default_rng(99)
    return [
        (random.normal(size=DIMENSION).tolist(), _random_terms(random, 3)) for _ in range(count)
    ]


def _assert_ranks(store: Store, corpora: Sequence[_Corpus], limit: int = 25) -> None:
    for question in _questions(20):
        for hits, expected in zip(
            store.rankings(*question, limit), _expected(corpora, *question, limit), strict=True
        ):
            assert [hit.id for hit in hits] == [chunk_id for chunk_id, _ in expected]
            assert [hit.score for hit in hits] == pytest.approx(
                [score for _, score in expected], abs=1e-4
            )


def test_both_rankings_are_the_exact_ones_on_random_vectors(store: Store) -> None:
    corpus = _Corpus(1, 60, "{}.txt".format)
    corpus.serve(store)
    _assert_ranks(store, [corpus])


def test_the_rankings_do_not_change_with_optimize(store: Store) -> None:
    corpus = _Corpus(1, 60, "{}.txt".format)
    corpus.serve(store)
    store.optimize()
    _assert_ranks(store, [corpus])


def test_the_rankings_after_replacing_are_those_of_the_new_revisions_alone(
    backend: Backend, name: str
) -> None:
    store = backend.open(name, MANIFEST)
    _Corpus(1, 30, "{}.txt".format).serve(store)
    replacing = _Corpus(2, 30, "{}.txt".format)
    replacing.serve(store)
    store.optimize()  # as every ingest ends
    _assert_ranks(store, [replacing])


def test_the_rankings_after_replacing_are_exact_once_the_index_is_opened_again(
    backend: Backend, name: str
) -> None:
    store = backend.open(name, MANIFEST)
    _Corpus(1, 30, "{}.txt".format).serve(store)
    replacing, beside = _Corpus(2, 30, "{}.txt".format), _Corpus(3, 10, "new-{}.txt".format)
    replacing.serve(store)
    beside.serve(store)
    _assert_ranks(backend.open(name), [replacing, beside])


def test_two_backends_rank_alike_id_for_id(tmp_path: Path) -> None:
    corpus = _Corpus(4, 60, "{}.txt".format)
    edge, local = _Edge(tmp_path), _Local()
    stores = [edge.open("x", MANIFEST), local.open("x", MANIFEST)]
    for store in stores:
        corpus.serve(store)
    for question in _questions(20):
        for ours, theirs in zip(*(store.rankings(*question, 40) for store in stores), strict=True):
            assert [hit.id for hit in ours] == [hit.id for hit in theirs]
            assert [hit.score for hit in ours] == pytest.approx(
                [hit.score for hit in theirs], abs=1e-4
            )
    edge.close()
    local.close()


def test_a_ranking_is_no_longer_than_its_limit_and_best_first(store: Store) -> None:
    corpus = _Corpus(5, 20, "{}.txt".format)
    corpus.serve(store)
    for question in _questions(5):
        short, long = store.rankings(*question, 3), store.rankings(*question, 30)
        for few, many in zip(short, long, strict=True):
            assert len(few) <= 3 <= len(many)
            assert few == many[: len(few)]
            scores = [hit.score for hit in many]
            assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("limit", [1, 7, 40])
def test_what_scores_alike_comes_in_order_of_id_however_it_was_written(
    backend: Backend, limit: int
) -> None:
    """Chunks of a template: five kinds of words and vectors, many chunks of each."""
    random = np.random.default_rng(7)
    kinds = random.normal(size=(5, DIMENSION)).astype(np.float32)
    terms = [_random_terms(random, 4) for _ in kinds]
    documents = [document(f"{n}.txt") for n in range(30)]
    found = []
    for name, order in (("one", range(30)), ("other", random.permutation(30))):
        store = backend.open(name, MANIFEST)
        for n in order:
            chunks = cut(documents[n])
            each = [n % 5] * len(chunks)
            serve(store, documents[n], dense=kinds[each], lexical=[terms[at] for at in each])
        found.append([store.rankings(*question, limit) for question in _questions(8)])
    assert found[0] == found[1]
    for hits in (ranking for rankings in found[0] for ranking in rankings if ranking):
        assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.id))
        best = [hit for hit in hits if hit.score == hits[0].score]
        assert len(best) == min(limit, 6 * len(cut(documents[0])))


def test_words_that_stand_nowhere_rank_nothing(store: Store) -> None:
    serve(store, document("a.txt"))
    for words in (SparseVector([], []), SparseVector([4_000_000_000], [1.0])):
        rankings = store.rankings(ANY_VECTOR, words, 10)
        assert rankings.lexical == []
        assert len(rankings.dense) == len(cut(document("a.txt")))


LIBRARY: dict[str, dict[str, object]] = {
    "int.txt": {"year": 2021, "cik": 1018724},
    "float.txt": {"year": 2021.5, "ratio": 0.1},
    "text.txt": {"year": "2021", "cik": "1018724"},
    "zeros.txt": {"cik": "0001018724"},
    "older.txt": {"year": 2020, "change": -3},
    "day.txt": {"year": "2021-05-01"},
    "yes.txt": {"audited": True, "n": 1},
    "no.txt": {"audited": False, "n": 1.0},
    "tags.txt": {"tags": ["gas", "oil"], "company": "Acme"},
    "tag.txt": {"tags": ["coal", "2021"], "company": "Apex Ltd"},
    "wide.txt": {"größe": 3, "a-b": "x", "company": "Infinity", "run": "1_000"},
    "dots.txt": {"a.b": "v", "2024": 7},
    "big.txt": {"post": 1234567890123456789},
    "bare.txt": {},
}
ALL = set(LIBRARY)


@pytest.fixture(scope="module")
def library(backend: Backend) -> Store:
    store = backend.open("library", MANIFEST)
    for key, meta in LIBRARY.items():
        serve(store, document(key, meta=meta))
    stage(store, document("waiting.txt", meta={"year": 2021, "company": "Acme"}))
    return store


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ((), ALL),
        # equality: numbers as numbers, and text that reads the same
        (("year=2021",), {"int.txt", "text.txt"}),
        (("year=2021.5",), {"float.txt"}),
        (("year=2021|2020",), {"int.txt", "text.txt", "older.txt"}),
        (("year=2021-05-01",), {"day.txt"}),
        (("year=1999",), set()),
        (("n=1",), {"yes.txt", "no.txt"}),
        (("ratio=0.1",), {"float.txt"}),
        (("change=-3",), {"older.txt"}),
        (("post=1234567890123456789",), {"big.txt"}),
        (("cik=0001018724",), {"int.txt", "zeros.txt"}),
        (("cik=1018724",), {"int.txt", "text.txt"}),
        (("cik=99999999999999999999",), set()),
        (("cik=-99999999999999999999",), set()),
        (("run=1_000",), {"wide.txt"}),
        (("audited=true",), {"yes.txt"}),
        (("audited=false",), {"no.txt"}),
        (("company=Acme",), {"tags.txt"}),
        (("company=acme",), set()),
        (("company=Apex Ltd|Acme",), {"tags.txt", "tag.txt"}),
        (("company=Infinity",), {"wide.txt"}),
        (("tags=gas",), {"tags.txt"}),
        (("tags=oil|coal",), {"tags.txt", "tag.txt"}),
        (("tags=2021",), {"tag.txt"}),
        (("größe=3",), {"wide.txt"}),
        (("a-b=x",), {"wide.txt"}),
        (("a.b=v",), {"dots.txt"}),
        (("2024=7",), {"dots.txt"}),
        (("nowhere=1",), set()),
        # inequality: also what has no such field
        (("year!=2021",), ALL - {"int.txt", "text.txt"}),
        (("year!=2021|2020",), ALL - {"int.txt", "text.txt", "older.txt"}),
        (("tags!=gas",), ALL - {"tags.txt"}),
        (("audited!=true",), ALL - {"yes.txt"}),
        (("cik!=1018724",), ALL - {"int.txt", "text.txt"}),
        (("nowhere!=1",), ALL),
        # order: numbers alone have one
        (("year<2021",), {"older.txt"}),
        (("year<=2021",), {"int.txt", "older.txt"}),
        (("year>2021",), {"float.txt"}),
        (("year>=2021",), {"int.txt", "float.txt"}),
        (("year>=2020.5", "year<2021.5"), {"int.txt"}),
        (("change<0",), {"older.txt"}),
        (("n>=1", "audited=true"), {"yes.txt"}),
        (("year>1e300",), set()),
        # and dates
        (("year>=2021-05-01",), {"day.txt"}),
        (("year>2021-05-01",), set()),
        (("year<2022-01-01",), {"day.txt"}),
        (("year<=2021-05-01T00:00:00+00:00",), {"day.txt"}),
        (("year<2021-05-01T01:00:00+02:00",), set()),
        # a chunk's own fields
        (("doc=tag.txt",), {"tag.txt"}),
        (("doc=tag.txt|bare.txt",), {"tag.txt", "bare.txt"}),
        (("doc!=bare.txt",), ALL - {"bare.txt"}),
        (("source=docs/day.txt",), {"day.txt"}),
        ((f"doc_id={document('yes.txt').id}",), {"yes.txt"}),
        (("year=2021", "company=Acme"), set()),
    ],
    ids=lambda value: " & ".join(value) or "no condition" if isinstance(value, tuple) else "",
)
def test_a_condition_lets_through_what_meets_it(
    library: Store, conditions: tuple[str, ...], expected: set[str]
) -> None:
    assert found(library, *conditions) == expected


def test_a_condition_does_not_change_the_score_of_what_meets_it(library: Store) -> None:
    everything = {hit.id: hit.score for hit in library.rankings(ANY_VECTOR, ANY_WORD, 999).lexical}
    filtered = library.rankings(ANY_VECTOR, ANY_WORD, 999, [parse_condition("year>=2021")]).lexical
    assert filtered
    for hit in filtered:
        assert hit.score == pytest.approx(everything[hit.id])


@pytest.mark.parametrize("odd", ["a..b=1", ".a=1", "a.=1", "-=1", ".=1"])
def test_a_condition_that_reads_oddly_finds_nothing_and_breaks_nothing(
    library: Store, odd: str
) -> None:
    assert found(library, odd) == set()


def test_a_store_is_closed_by_its_with_statement(tmp_path: Path) -> None:
    with EdgeStore.open(tmp_path / "index", MANIFEST) as store:
        serve(store, document("a.txt"))
    with EdgeStore.open(tmp_path / "index") as again:  # would be locked if the first were open
        assert found(again) == {"a.txt"}
    local = _Local().open("x", MANIFEST)
    with local as store:
        assert store.count() == 0
    with pytest.raises((StoreError, RuntimeError)):
        local.count()


# --- the embedded engine alone -------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "some" / "where" / "index"


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_settings_name_the_folder_of_the_embedded_index(folder: Path) -> None:
    settings = StoreSettings(path=folder)
    with pytest.raises(IndexMissing, match=str(folder)):
        open_store(settings)
    assert not folder.exists()
    with open_store(settings, MANIFEST) as store:
        assert isinstance(store, EdgeStore)
    assert folder.is_dir()


def test_an_index_opened_again_holds_everything(folder: Path) -> None:
    served, staged = document("a.txt", meta={"year": 2024}), document("b.txt")
    with EdgeStore.open(folder, MANIFEST) as store:
        chunks = serve(store, served)
        stage(store, staged)
        listed = set(store.documents())
        rankings = store.rankings(ANY_VECTOR, ANY_WORD, 10)
    with EdgeStore.open(folder) as store:
        assert store.manifest() == MANIFEST
        assert set(store.documents()) == listed
        assert store.count() == len(chunks)
        again = store.rankings(ANY_VECTOR, ANY_WORD, 10)
        assert {hit.id for hit in again.dense} == {hit.id for hit in rankings.dense}
        assert store.chunks([chunk.id for chunk in chunks]) == {c.id: c for c in chunks}
        assert found(store, "year=2024") == {"a.txt"}


def test_an_index_opened_twice_in_one_process_is_locked(folder: Path) -> None:
    with EdgeStore.open(folder, MANIFEST) as store:
        for create in (None, MANIFEST):
            with pytest.raises(StoreLocked, match=str(folder)):
                EdgeStore.open(folder, create)
        serve(store, document("a.txt"))  # the owner is none the worse for it
        assert found(store) == {"a.txt"}


def test_an_index_another_process_has_open_is_locked_until_it_ends(folder: Path) -> None:
    EdgeStore.open(folder, MANIFEST).close()
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from rag.store.edge import EdgeStore\n"
            "store = EdgeStore.open(Path(sys.argv[1])); print('open', flush=True)\n"
            "sys.stdin.read()",
            str(folder),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "open\n"
        with pytest.raises(StoreLocked, match=str(folder)) as caught:
            EdgeStore.open(folder)
        assert "one owner" in caught.value.hint
        owner.communicate("")
    with EdgeStore.open(folder) as store:
        assert store.manifest() == MANIFEST


def test_a_folder_with_other_things_in_it_is_refused_and_left_alone(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError, match="other things") as caught:
        EdgeStore.open(folder, MANIFEST)
    assert not isinstance(caught.value, IndexMissing)
    with pytest.raises(IndexMissing):
        EdgeStore.open(folder)
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_will_do(folder: Path) -> None:
    folder.mkdir(parents=True)
    with EdgeStore.open(folder, MANIFEST) as store:
        assert store.manifest() == MANIFEST


def test_a_folder_where_a_file_is_in_the_way_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="file"):
        EdgeStore.open(tmp_path / "file", MANIFEST)


def test_a_damaged_index_is_a_store_error(folder: Path) -> None:
    with EdgeStore.open(folder, MANIFEST) as store:
        serve(store, document("a.txt"))
    (folder / "edge_config.json").write_text("{ this is no JSON")
    with pytest.raises(StoreError, match=str(folder)):
        EdgeStore.open(folder)


def test_an_index_without_a_manifest_is_missing_and_is_completed_by_create(folder: Path) -> None:
    folder.mkdir(parents=True)
    qdrant_edge.EdgeShard.create(str(folder), _config(DIMENSION)).close()
    with pytest.raises(IndexMissing, match=str(folder)):
        EdgeStore.open(folder)
    with pytest.raises(IndexMissing):  # and the refusal let go of the lock
        EdgeStore.open(folder)
    with EdgeStore.open(folder, MANIFEST) as store:
        serve(store, document("a.txt", meta={"year": 2024}))
    with EdgeStore.open(folder) as store:
        assert store.manifest() == MANIFEST
        assert found(store, "year=2024") == {"a.txt"}


def test_segments_without_a_config_are_left_alone(folder: Path) -> None:
    folder.mkdir(parents=True)
    qdrant_edge.EdgeShard.create(str(folder), _config(DIMENSION)).close()
    (folder / "edge_config.json").unlink()  # lost, not unwritten: there may be data
    with pytest.raises(StoreError, match="other things in it"):
        EdgeStore.open(folder, MANIFEST)
    assert any((folder / "segments").iterdir())


def test_an_index_whose_making_was_cut_short_before_its_config_is_made_anew(folder: Path) -> None:
    folder.mkdir(parents=True)
    qdrant_edge.EdgeShard.create(str(folder), _config(DIMENSION)).close()
    (folder / "edge_config.json").unlink()  # the engine writes it before any segment
    for segment in (folder / "segments").iterdir():
        shutil.rmtree(segment)
    with pytest.raises(IndexMissing):
        EdgeStore.open(folder)
    with EdgeStore.open(folder, MANIFEST) as store:
        assert store.manifest() == MANIFEST


@pytest.mark.parametrize("step", ["journal", "set payload", "delete others"])
def test_a_commit_that_a_crash_cut_short_is_finished_at_the_next_opening(
    folder: Path, step: str
) -> None:
    old, new, other = (
        document("a.txt", "the old words"),
        document("a.txt", "the new words"),
        document("b.txt"),
    )
    with EdgeStore.open(folder, MANIFEST) as store:
        gone = serve(store, old)
        chunks, beside = stage(store, new), serve(store, other)
        store._put_reserved(
            schema.JOURNAL_ID, {"doc_id": new.id, "revision": new.revision, "tokens": 77}
        )
        this = qdrant_edge.FieldCondition("doc_id", match=qdrant_edge.MatchValue(new.id))
        revision = qdrant_edge.FieldCondition(
            "revision", match=qdrant_edge.MatchValue(new.revision)
        )
        if step != "journal":
            store._update(
                qdrant_edge.UpdateOperation.set_payload_by_filter(
                    qdrant_edge.Filter(must=[this, revision]), schema.committed(77)
                )
            )
        if step == "delete others":
            store._update(
                qdrant_edge.UpdateOperation.delete_points_by_filter(
                    qdrant_edge.Filter(must=[this], must_not=[revision])
                )
            )
    with EdgeStore.open(folder) as store:
        assert records(store) == {("a.txt", new.revision): True, ("b.txt", other.revision): True}
        assert {r.tokens for r in store.documents() if r.doc_id == new.id} == {77}
        assert store.count() == len(chunks) + len(beside)
        assert store.chunks([chunk.id for chunk in gone]) == {}
        assert store._reserved(schema.JOURNAL_ID) is None


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
@pytest.mark.parametrize(("committed", "served"), [(False, "old"), (True, "new")])
def test_a_killed_process_loses_no_call_that_had_returned(
    folder: Path, committed: bool, served: str
) -> None:
    old, new = document("a.txt", "the old words"), document("a.txt", "the new words")
    with EdgeStore.open(folder, MANIFEST) as store:
        serve(store, old)
    code = """
        import os, signal, sys
        from pathlib import Path
        import numpy as np
        from rag.embedding.lexical import SparseVector
        from rag.spans import Span
        from rag.store.edge import EdgeStore
        from rag.types import Chunk, Document

        folder, commit = Path(sys.argv[1]), sys.argv[2] == "True"
        text = "the new words"
        new = Document("file", "a.txt", "docs/a.txt", "a.txt", text)
        chunk = Chunk(new.id, new.revision, 0, Span(0, len(text)), text, name="a.txt")
        store = EdgeStore.open(folder)
        store.stage(new, [chunk], np.ones((1, 16), np.float32) / 4, [SparseVector([1], [1.0])])
        if commit:
            store.commit(new.id, new.revision, 3)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = run_python(code, str(folder), str(committed))
    assert done.returncode == -signal.SIGKILL, done.stderr
    with EdgeStore.open(folder) as store:
        revision = {"old": old, "new": new}[served].revision
        assert records(store)[("a.txt", revision)] is True
        assert records(store).get(("a.txt", new.revision)) is committed
        hits = store.rankings(ANY_VECTOR, ANY_WORD, 10).dense
        revisions = {chunk.revision for chunk in store.chunks([hit.id for hit in hits]).values()}
        assert revisions == {revision}


# --- a server alone ------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_a_store_error() -> None:
    settings = StoreSettings(url="http://127.0.0.1:9", timeout=1)
    for create in (None, MANIFEST):
        with pytest.raises(StoreError, match="Qdrant server") as caught:
            open_store(settings, create)
        assert not isinstance(caught.value, IndexMissing)
        assert "store.url" in caught.value.hint


def test_a_server_error_names_the_address_it_was_sent_to() -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9"):
        open_store(StoreSettings(url="http://127.0.0.1:9", timeout=1))


def test_a_collection_whose_making_was_cut_short_is_missing_and_is_completed() -> None:
    client = QdrantClient(":memory:")
    client.create_collection(
        "x",
        vectors_config={
            schema.DENSE: models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE)
        },
        sparse_vectors_config={
            schema.LEXICAL: models.SparseVectorParams(modifier=models.Modifier.IDF)
        },
    )
    with pytest.raises(IndexMissing, match="'x'"):
        ServerStore(client, "x").prepare(None)
    store = ServerStore(client, "x")
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Payload indexes have no effect in the local Qdrant", UserWarning
        )
        store.prepare(MANIFEST)
    serve(store, document("a.txt"))
    assert (store.manifest(), found(store)) == (MANIFEST, {"a.txt"})
    client.close()


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ({}, {}),
        ({"shards": 6, "replicas": 2}, {"shard_number": 6, "replication_factor": 2}),
        ({"quantization": "int8"}, {"scalar": {"type": "int8", "quantile": 0.99}}),
        ({"quantization": "binary"}, {"binary": {}}),
        ({"on_disk": True}, {"on_disk": True}),
    ],
    ids=["default", "shards", "int8", "binary", "on disk"],
)
def test_a_new_collection_is_laid_out_as_the_settings_say(
    layout: dict[str, Any], expected: dict[str, Any]
) -> None:
    """What the client sends is looked at: its local mode has no shards and does not quantise."""
    asked: list[dict[str, Any]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer({"result": True, "status": "ok", "time": 0.0})

        def do_GET(self) -> None:
            result = {"aliases": []} if self.path == "/aliases" else {"exists": False}
            self._answer({"result": result, "status": "ok", "time": 0.0})

        def _answer(self, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(200 if len(asked) < 2 else 500)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        settings = StoreSettings(url=f"http://127.0.0.1:{server.server_port}", **layout)
        with pytest.raises(StoreError):  # it answers no further than that
            ServerStore.open(settings, MANIFEST)
        server.shutdown()
    created = asked[0]
    dense = created["vectors"]["dense"]
    assert (dense["size"], dense["distance"]) == (DIMENSION, "Cosine")
    found = {
        key: created[key] for key in ("shard_number", "replication_factor") if created.get(key)
    }
    found |= {"on_disk": True} if dense.get("on_disk") else {}
    quantization = dense.get("quantization_config") or {}
    assert all(each.pop("always_ram") for each in quantization.values())
    assert found | quantization == expected
