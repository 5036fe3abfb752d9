"""The embedded engine: Qdrant in this process, one folder, one owner.

This file and the BM25 encoder are all that knows qdrant-edge (beta API, pinned). What needs care:
every call holds the GIL, every error is a bare `Exception`, a second opening of the folder fails
on the write-ahead log's lock, and an operation is atomic but there are no batches of operations.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any, Self

import qdrant_edge as q

from rag.embedding.base import Vectors
from rag.embedding.lexical import SparseVector
from rag.errors import IndexMissing, StoreError, StoreLocked, first_line
from rag.manifest import IndexManifest
from rag.store import generations, schema
from rag.store.base import DocumentRecord, Hit, Point, Rankings
from rag.store.filters import Condition
from rag.store.generations import Generations
from rag.store.links import Links
from rag.store.ties import ranked
from rag.types import Chunk, Document

__all__ = ["EdgeStore"]

_PAGE = 1_000  # records a scroll fetches at a time


class EdgeStore(Links):
    """An embedded index. Open one with `EdgeStore.open`; close it when done."""

    def __init__(self, shard: q.EdgeShard, root: Path, generation: str) -> None:
        self._shard = shard
        self._root = root
        self._generation = generation
        self._path = root / generation
        self._lock = RLock()  # optimising swaps the shard under whoever reads

    @classmethod
    def open(cls, path: Path, create: IndexManifest | None = None) -> Self:
        """Open the index in `path`, or make it there.

        Raises:
            IndexMissing: there is none, and `create` is None.
            StoreError: `path` holds something else.
            StoreLocked: another process has it open.
        """
        while True:
            served = generations.read(path).served
            store = cls._open(path, served, create)
            if generations.read(path).served == served:
                return store
            store.close()  # while it was being opened, its owner put another in its place

    @classmethod
    def _open(cls, root: Path, generation: str, create: IndexManifest | None = None) -> Self:
        path = root / generation
        exists = (path / "edge_config.json").is_file()
        if not exists and create is None:
            raise _missing(path)
        if not exists and path.exists() and not (path.is_dir() and _clear_unfinished(path)):
            raise StoreError(
                f"{path} is a file, or a folder with other things in it",
                hint="choose an empty or new folder for the index",
            )
        with _translated(path):
            if exists:
                shard = q.EdgeShard.load(str(path))
            else:
                assert create is not None
                path.mkdir(parents=True, exist_ok=True)
                shard = q.EdgeShard.create(str(path), _config(create.dimension))
        store = cls(shard, root, generation)
        if store._reserved(schema.MANIFEST_ID) is None:  # new, or its making was cut short
            if create is None:
                store.close()
                raise _missing(path)
            store._initialise(create)
        store._finish_commit()
        return store

    def _initialise(self, manifest: IndexManifest) -> None:
        """Indexes first, the manifest last: an index with a manifest is complete."""
        self._index_fields()
        self.set_manifest(manifest)

    def _index_fields(self) -> None:
        with self._engine():
            known = self._shard.info().payload_schema
        for fields, kind in (
            (schema.KEYWORD_FIELDS, q.PayloadSchemaType.Keyword),
            (schema.INTEGER_FIELDS, q.PayloadSchemaType.Integer),
        ):
            for field in fields:
                if field not in known:
                    self._update(q.UpdateOperation.create_field_index(field, kind))

    def manifest(self) -> IndexManifest:
        """What the index was built with: the payload of a reserved point."""
        return IndexManifest.from_payload(self._reserved(schema.MANIFEST_ID) or {})

    def set_manifest(self, manifest: IndexManifest) -> None:
        """Say anew what the index was built with."""
        self._put_reserved(schema.MANIFEST_ID, manifest.to_payload())

    @property
    def generation(self) -> str:
        """The folder inside that of the first: "" or `reindex-...`."""
        return self._generation

    def beside(self, manifest: IndexManifest) -> EdgeStore:
        """A new and empty index in a folder of this one's."""
        with _translated(self._root):
            generations.clear(self._root)
        return self._open(self._root, generations.new_name(), manifest)

    def serve(self, generation: str) -> None:
        """Have the index beside this one opened from now on, and keep this one."""
        with _translated(self._root):
            now = replace(generations.read(self._root), kept=self._kept())
            generations.write(self._root, now.swapped(self._generation, generation))

    def is_served(self) -> bool:
        """Whether this is what is opened now."""
        return generations.read(self._root).served == self._generation

    def abandon(self, generation: str) -> None:
        """Delete an index beside this one that is not to be served."""
        with _translated(self._root):
            generations.abandon(self._root, generation)

    def kept(self) -> EdgeStore | None:
        """The index that is kept beside this one, opened."""
        kept = self._kept()
        return None if kept is None else self._open(self._root, kept)

    def _kept(self) -> str | None:
        """Which one is kept, if it is still there."""
        kept = generations.read(self._root).kept
        there = kept is not None and (self._root / kept / "edge_config.json").is_file()
        return kept if there else None

    def forget(self) -> None:
        """Delete all that is beside this one."""
        with _translated(self._root):
            now = generations.read(self._root)
            if now.kept is not None:
                generations.write(self._root, Generations(now.served))
            generations.clear(self._root)

    def copied(self) -> str:
        """A copy beside this one, for another process to write to; nobody opens it until `moved`.

        Nothing may be written to this one meanwhile. The copy's folder is a whole index by itself.

        Raises:
            StoreError: there is no room for it, and for what would be written.
        """
        name = generations.new_name()
        with self._engine():
            self._shard.flush()
        with _translated(self._root):
            generations.clear(self._root)
            generations.require_room(self._path)
            try:
                generations.copy(self._path, self._root / name)
            except OSError:  # a full disk is not to stay full of it
                generations.abandon(self._root, name)
                raise
        return name

    def moved(self, generation: str) -> EdgeStore:
        """The copy of this name, opened, and served in the place of this one from now on.

        In one atomic step. This one stays open; once it is closed, `tidy` of the copy deletes it.
        """
        copy = self._open(self._root, generation)
        with _translated(self._root):
            now = generations.read(self._root)
            generations.write(self._root, replace(now, served=generation))
        return copy

    def tidy(self) -> None:
        """Delete what lies beside this one and is neither served nor kept."""
        with _translated(self._root):
            generations.clear(self._root)

    def documents(self, namespace: str | None = None) -> Iterator[DocumentRecord]:
        """Every revision of every document, live or not."""
        must: list[Any] = [_equals("ordinal", 0)]
        if namespace is not None:
            must.append(_equals("namespace", namespace))
        offset = None
        while True:
            with self._engine():
                records, offset = self._shard.scroll(
                    q.ScrollRequest(
                        limit=_PAGE,
                        offset=offset,
                        filter=q.Filter(must=must),
                        with_payload=schema.RECORD_FIELDS,
                        with_vector=False,
                    )
                )
            yield from (schema.record_of(record.payload or {}) for record in records)
            if offset is None:
                return

    def stage(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        dense: Vectors,
        lexical: Sequence[SparseVector],
        marks: Sequence[str] = (),
    ) -> None:
        """Write chunks that are not served yet, in one atomic operation."""
        self._put(
            [
                Point(chunk.id, schema.payload_of(document, chunk, marks), vector.tolist(), terms)
                for chunk, vector, terms in zip(chunks, dense, lexical, strict=True)
            ]
        )

    def commit(self, doc_id: str, revision: str, tokens: int) -> None:
        """Serve this revision and delete all others.

        Two operations, so a journal point goes before them: whoever opens the index after a
        crash in between finishes the job before anything is searched.
        """
        journal = {"doc_id": doc_id, "revision": revision, "tokens": tokens}
        self._put_reserved(schema.JOURNAL_ID, journal)
        self._finish_commit()

    def _finish_commit(self) -> None:
        journal = self._reserved(schema.JOURNAL_ID)
        if not journal:
            return
        this = _equals("doc_id", journal["doc_id"])
        revision = _equals("revision", journal["revision"])
        self._update(
            q.UpdateOperation.set_payload_by_filter(
                q.Filter(must=[this, revision]), schema.committed(journal["tokens"])
            )
        )
        self._update(
            q.UpdateOperation.delete_points_by_filter(q.Filter(must=[this], must_not=[revision]))
        )
        self._update(q.UpdateOperation.delete_points([schema.JOURNAL_ID]))

    def discard(self, doc_id: str, revision: str) -> None:
        """Delete one revision."""
        self._drop({"doc_id": doc_id, "revision": revision})

    def retire(self, doc_id: str) -> None:
        """Delete a document, every revision of it."""
        self._drop({"doc_id": doc_id})

    def describe(self, document: Document, marks: Sequence[str] | None = None) -> None:
        """Renew source, meta and fingerprint of a served revision, and its marks where given."""
        this: list[Any] = [_equals("doc_id", document.id), _equals("revision", document.revision)]
        for must, payload in (
            (this, schema.description(document)),
            ([*this, _equals("ordinal", 0)], schema.document_facts(document, marks)),
        ):
            self._update(q.UpdateOperation.set_payload_by_filter(q.Filter(must=must), payload))

    def rankings(
        self,
        dense: Sequence[float],
        lexical: SparseVector,
        limit: int,
        conditions: Sequence[Condition] = (),
    ) -> Rankings:
        """The nearest live chunks, by meaning and by words."""
        where = _filter(conditions)
        queries: list[q.Query] = [
            q.Query.Nearest(list(dense), using=schema.DENSE),
            q.Query.Nearest(q.SparseVector(lexical.indices, lexical.values), using=schema.LEXICAL),
        ]

        def search(asked: Sequence[q.Query], limit: int) -> list[list[Hit]]:
            found = [
                self._shard.query(q.QueryRequest(limit=limit, query=query, filter=where))
                for query in asked
            ]
            return [[Hit(str(point.id), point.score) for point in each] for each in found]

        with self._engine():
            return Rankings(*ranked(search, queries, limit))

    def chunks(self, ids: Sequence[str]) -> Mapping[str, Chunk]:
        """Chunks by id."""
        with self._engine():
            records = self._shard.retrieve(
                [*schema.chunk_ids(ids)], with_payload=True, with_vector=False
            )
        return {str(record.id): schema.chunk_of(record.payload or {}) for record in records}

    def count(self) -> int:
        """The number of live chunks."""
        with self._engine():
            return self._shard.count(q.CountRequest(filter=_filter(())))

    def optimize(self) -> None:
        """Build the HNSW graph. Holds the GIL to its end.

        And open the shard anew: until then the engine counts deleted points in its IDF, so what
        was replaced would go on weighing on the lexical scores.
        """
        with self._engine():
            self._shard.optimize()
            self._shard.flush()
            self._shard.close()
            self._shard = q.EdgeShard.load(str(self._path))

    def close(self) -> None:
        """Flush, and let go of the folder."""
        with self._engine():
            self._shard.flush()
            self._shard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _find(
        self,
        equals: Mapping[str, str | int],
        *,
        any_of: tuple[str, Sequence[str]] | None = None,
        fields: Sequence[str] | None = None,
        vectors: bool | list[str] = False,
        limit: int | None = None,
    ) -> Iterator[Point]:
        must: list[Any] = [_equals(field, value) for field, value in equals.items()]
        if any_of:
            field, values = any_of
            must.append(q.FieldCondition(field, match=q.MatchAny(list(values))))
        offset = None
        while True:
            with self._engine():
                records, offset = self._shard.scroll(
                    q.ScrollRequest(
                        limit=limit or _PAGE,
                        offset=offset,
                        filter=q.Filter(must=must),
                        with_payload=list(fields) if fields else True,
                        with_vector=vectors,
                    )
                )
            yield from map(_point, records)
            if offset is None or limit:
                return

    def _put(self, points: Sequence[Point]) -> None:
        """Write points in one atomic operation."""
        self._update(
            q.UpdateOperation.upsert_points(
                [q.Point(point.id, _vectors(point), dict(point.payload)) for point in points]
            )
        )

    def _set(self, equals: Mapping[str, str | int], payload: Mapping[str, Any]) -> None:
        must: list[Any] = [_equals(field, value) for field, value in equals.items()]
        self._update(q.UpdateOperation.set_payload_by_filter(q.Filter(must=must), dict(payload)))

    def _drop(self, equals: Mapping[str, str | int], *, spare: str | None = None) -> None:
        must: list[Any] = [_equals(field, value) for field, value in equals.items()]
        must_not: list[Any] = [] if spare is None else [_equals("revision", spare)]
        which = q.Filter(must=must, must_not=must_not)
        self._update(q.UpdateOperation.delete_points_by_filter(which))

    @contextmanager
    def _engine(self) -> Iterator[None]:
        """One call at a time, its errors ours."""
        with self._lock, _translated(self._path):
            yield

    def _update(self, operation: q.UpdateOperation) -> None:
        with self._engine():
            self._shard.update(operation)

    def _reserved(self, point_id: str) -> dict[str, Any] | None:
        with self._engine():
            found = self._shard.retrieve([point_id], with_payload=True, with_vector=False)
        return found[0].payload if found else None

    def _put_reserved(self, point_id: str, payload: dict[str, Any]) -> None:
        """A point without vectors: no search finds it, and it lives and dies with the shard."""
        self._update(q.UpdateOperation.upsert_points([q.Point(point_id, {}, payload)]))


def _clear_unfinished(path: Path) -> bool:
    """Make a folder empty that holds at most what a killed `EdgeShard.create` left there.

    The engine makes its log first, `edge_config.json` next, and the segments last; so without
    that file there is no segment, and nothing to lose.
    """
    entries = list(path.iterdir())
    foreign = [e for e in entries if not generations.is_engines(e.name)]
    segments = path / "segments"
    if foreign or (segments.is_dir() and any(segments.iterdir())):
        return False
    for entry in entries:
        shutil.rmtree(entry)
    return True


def _missing(path: Path) -> IndexMissing:
    return IndexMissing(
        f"no index at {path}", hint="build one with `rag ingest`, or name it with --where"
    )


def _config(dimension: int) -> q.EdgeConfig:
    return q.EdgeConfig(
        vectors={schema.DENSE: q.EdgeVectorParams(size=dimension, distance=q.Distance.Cosine)},
        sparse_vectors={schema.LEXICAL: q.EdgeSparseVectorParams(modifier=q.Modifier.Idf)},
        wal_enabled=True,  # without it a kill loses everything since the last flush
    )


def _equals(field: str, value: str | int) -> q.FieldCondition:
    return q.FieldCondition(field, match=q.MatchValue(value))


def _vectors(point: Point) -> dict[str, Any]:
    vectors: dict[str, Any] = {}
    if point.dense is not None:
        vectors[schema.DENSE] = list(point.dense)
    if point.lexical is not None:
        vectors[schema.LEXICAL] = q.SparseVector(point.lexical.indices, point.lexical.values)
    return vectors


def _point(record: Any) -> Point:
    vectors = record.vector or {}
    terms = vectors.get(schema.LEXICAL)
    return Point(
        str(record.id),
        record.payload or {},
        vectors.get(schema.DENSE),
        SparseVector(terms.indices, terms.values) if terms is not None else None,
    )


def _limit(name: str, condition: Condition) -> q.RangeFloat | q.RangeDateTime:
    if condition.instant:
        return q.RangeDateTime(**{name: condition.instant.isoformat()})
    return q.RangeFloat(**{name: condition.numbers[0]})


def _filter(conditions: Sequence[Condition]) -> q.Filter:
    """Live chunks whose document, or one copy of it, meets all conditions."""
    live = _equals("state", schema.LIVE)
    if not conditions:
        return q.Filter(must=[live])
    met = _met(conditions)
    either: list[Any] = [met, q.NestedCondition("also", met)]
    return q.Filter(must=[live, q.Filter(should=either)])


def _met(conditions: Sequence[Condition]) -> q.Filter:
    must: list[Any] = []
    must_not: list[Any] = []
    bounds = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
    for condition in conditions:
        if name := bounds.get(condition.operator):
            must.append(q.FieldCondition(condition.path, range=_limit(name, condition)))
            continue
        should: list[Any] = [_equals(condition.path, value) for value in condition.alternatives]
        should += [
            q.FieldCondition(condition.path, range=q.RangeFloat(gte=value, lte=value))
            for value in condition.numbers
        ]
        (must if condition.operator == "=" else must_not).append(q.Filter(should=should))
    return q.Filter(must=must, must_not=must_not)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn the binding's bare exceptions into ours."""
    try:
        yield
    except Exception as error:
        if type(error) is not Exception and not isinstance(error, OSError):
            raise  # a bug of ours (TypeError), not the engine's word
        if "WouldBlock" in str(error):
            raise StoreLocked(
                f"the index {path} is open in another process",
                hint="it has one owner at a time: wait for that to end, or stop it; where it is "
                "`rag serve`, add --server URL",
            ) from None
        raise StoreError(f"index {path}: {first_line(error)}", hint="see `rag doctor`") from error
