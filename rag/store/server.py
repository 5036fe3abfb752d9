"""A Qdrant server or cluster, through qdrant-client.

This file and `aliases` are all that knows qdrant-client. Without a server at hand its local mode
runs the same calls, which is how the contract tests always exercise them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

import httpx
from qdrant_client import QdrantClient
from qdrant_client import models as m
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from rag.embedding.base import Vectors
from rag.embedding.lexical import SparseVector
from rag.errors import IndexMissing, StoreAway, StoreError, first_line
from rag.manifest import IndexManifest
from rag.settings import StoreSettings
from rag.store import aliases, schema
from rag.store.base import DocumentRecord, Hit, Point, Rankings
from rag.store.filters import Condition
from rag.store.generations import FIRST, Generations, new_name
from rag.store.links import Links
from rag.store.ties import ranked
from rag.types import Chunk, Document

__all__ = ["ServerStore"]

_PAGE = 1_000  # records a scroll fetches at a time
_UPLOAD = 64  # points in one request: well below the server's 32 MB
_MANIFEST = "spanrag_manifest"
_REFUSALS = (400, 409, 413, 422)  # of what was asked for: it will never be answered otherwise
_MOST_SAID = 300  # characters of a refusal
# Qdrant closes a connection that was idle for 5 s. Who keeps it as long sends into it meanwhile.
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=3)
# Searched in memory, then scored again with the whole vectors: the server's default.
_QUANTIZATIONS: Mapping[str, Any] = {
    "none": None,
    "int8": m.ScalarQuantization(
        scalar=m.ScalarQuantizationConfig(type=m.ScalarType.INT8, quantile=0.99, always_ram=True)
    ),
    "binary": m.BinaryQuantization(binary=m.BinaryQuantizationConfig(always_ram=True)),
}


class ServerStore(Links):
    """An index on a server. Open one with `ServerStore.open`; close it when done.

    A generation is settled when the index is opened: who has it open when another is served goes
    on with the vectors that belong to its embedder.
    """

    def __init__(
        self,
        client: QdrantClient,
        collection: str,
        url: str = "",
        layout: StoreSettings | None = None,
        generation: str | None = None,
    ) -> None:
        self._client = client
        self._name = collection
        self._url = url
        self._lent = generation is not None  # the client is that of the index beside this one
        self._generation = generation
        self._collection = aliases.collection_of(collection, generation or FIRST)
        self._layout = layout or StoreSettings()
        self._where = f"{url}, collection {collection!r}" if url else f"collection {collection!r}"

    @classmethod
    def open(cls, settings: StoreSettings, create: IndexManifest | None = None) -> Self:
        """Open the settings' collection, or make it.

        Raises:
            StoreError: the server does not answer, or has no such collection.
        """
        with _translated(settings.url):
            client = QdrantClient(
                url=settings.url,
                headers=_headers(settings),
                timeout=math.ceil(settings.timeout),
                limits=_LIMITS,
                check_compatibility=False,  # it warns from a thread of its own
            )
        store = cls(client, settings.collection, settings.url, settings)
        try:
            store.prepare(create)
        except BaseException:
            client.close()
            raise
        return store

    def prepare(self, create: IndexManifest | None) -> None:
        """Make the collection where there is none.

        Raises:
            IndexMissing: there is none, and `create` is None.
        """
        with self._translated():
            if self._generation is None:
                self._generation = aliases.read(self._client, self._name).served
                self._collection = aliases.collection_of(self._name, self._generation)
            exists = self._client.collection_exists(self._collection)
            if exists and self._metadata():
                return
            if exists and self._client.count(self._collection).count:
                raise StoreError(
                    f"the collection {self._collection!r} is not an index of ours",
                    hint="choose another store.collection",
                )
            if create is None:
                raise IndexMissing(
                    f"the server has no index {self._collection!r}",
                    hint="build it with `rag ingest`, or set store.collection",
                )
            if not exists:
                self._create(create.dimension)
            self._initialise(create)

    def _create(self, dimension: int) -> None:
        """A collection laid out as the settings say: shards, replicas, what lies in memory."""
        layout = self._layout
        self._client.create_collection(
            self._collection,
            vectors_config={
                schema.DENSE: m.VectorParams(
                    size=dimension,
                    distance=m.Distance.COSINE,
                    on_disk=layout.on_disk or None,
                    quantization_config=_QUANTIZATIONS[layout.quantization],
                )
            },
            sparse_vectors_config={schema.LEXICAL: m.SparseVectorParams(modifier=m.Modifier.IDF)},
            shard_number=layout.shards,
            replication_factor=layout.replicas if layout.replicas > 1 else None,
        )

    def _initialise(self, manifest: IndexManifest) -> None:
        """Indexes first, the manifest last: a collection with a manifest is complete."""
        self._index_fields()
        self.set_manifest(manifest)

    def _index_fields(self) -> None:
        wanted = dict.fromkeys(schema.KEYWORD_FIELDS, m.PayloadSchemaType.KEYWORD)
        wanted |= dict.fromkeys(schema.INTEGER_FIELDS, m.PayloadSchemaType.INTEGER)
        with self._translated():
            known = self._client.get_collection(self._collection).payload_schema
            for field, kind in wanted.items():
                if field not in known:
                    self._client.create_payload_index(self._collection, field, kind, wait=True)

    def manifest(self) -> IndexManifest:
        """What the index was built with: metadata of the collection."""
        with self._translated():
            return IndexManifest.from_payload(self._metadata())

    def set_manifest(self, manifest: IndexManifest) -> None:
        """Say anew what the index was built with."""
        with self._translated():
            self._client.update_collection(
                self._collection, metadata={_MANIFEST: manifest.to_payload()}
            )

    @property
    def generation(self) -> str:
        """What the collection's name has behind the settings': "" or `reindex-...`."""
        return self._generation or FIRST

    def beside(self, manifest: IndexManifest) -> ServerStore:
        """A new and empty collection, laid out as a new one is."""
        with self._translated():
            aliases.clear(self._client, self._name)
        return self._at(new_name(), manifest)

    def serve(self, generation: str) -> None:
        """Have the collection beside this one opened from now on, and keep this one."""
        with self._translated():
            now = aliases.read(self._client, self._name)
            aliases.write(self._client, self._name, now.swapped(self.generation, generation))

    def is_served(self) -> bool:
        """Whether the aliases lead to this collection."""
        with self._translated():
            return aliases.read(self._client, self._name).served == self.generation

    def abandon(self, generation: str) -> None:
        """Delete a collection beside this one that is not to be served."""
        with self._translated():
            aliases.abandon(self._client, self._name, generation)

    def kept(self) -> ServerStore | None:
        """The index that is kept beside this one, opened."""
        with self._translated():
            kept = aliases.read(self._client, self._name).kept
            if kept is None or not self._client.collection_exists(
                aliases.collection_of(self._name, kept)
            ):
                return None
        return self._at(kept)

    def forget(self) -> None:
        """Delete all that is beside this one."""
        with self._translated():
            now = aliases.read(self._client, self._name)
            if now.kept is not None:
                self._client.delete_collection(aliases.collection_of(self._name, now.kept))
                aliases.write(self._client, self._name, Generations(now.served))
            aliases.clear(self._client, self._name)

    def _at(self, generation: str, create: IndexManifest | None = None) -> ServerStore:
        store = ServerStore(self._client, self._name, self._url, self._layout, generation)
        store.prepare(create)
        return store

    def _metadata(self) -> dict[str, Any]:
        metadata = self._client.get_collection(self._collection).config.metadata or {}
        payload: dict[str, Any] = metadata.get(_MANIFEST, {})
        return payload

    def documents(self, namespace: str | None = None) -> Iterator[DocumentRecord]:
        """Every revision of every document, live or not."""
        must: list[m.Condition] = [_equals("ordinal", 0)]
        if namespace is not None:
            must.append(_equals("namespace", namespace))
        offset = None
        while True:
            with self._translated():
                records, offset = self._client.scroll(
                    self._collection,
                    scroll_filter=m.Filter(must=must),
                    limit=_PAGE,
                    offset=offset,
                    with_payload=schema.RECORD_FIELDS,
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
        """Write chunks that are not served yet, chunk 0 in the first request."""
        self._put(
            [
                Point(chunk.id, schema.payload_of(document, chunk, marks), vector.tolist(), terms)
                for chunk, vector, terms in zip(chunks, dense, lexical, strict=True)
            ]
        )

    def commit(self, doc_id: str, revision: str, tokens: int) -> None:
        """Serve this revision and delete all others, in one request."""
        this, of_revision = _equals("doc_id", doc_id), _equals("revision", revision)
        with self._translated():
            self._client.batch_update_points(
                self._collection,
                [
                    m.SetPayloadOperation(
                        set_payload=m.SetPayload(
                            payload=schema.committed(tokens),
                            filter=m.Filter(must=[this, of_revision]),
                        )
                    ),
                    m.DeleteOperation(
                        delete=m.FilterSelector(
                            filter=m.Filter(must=[this], must_not=[of_revision])
                        )
                    ),
                ],
                wait=True,
            )

    def discard(self, doc_id: str, revision: str) -> None:
        """Delete one revision."""
        self._drop({"doc_id": doc_id, "revision": revision})

    def retire(self, doc_id: str) -> None:
        """Delete a document, every revision of it."""
        self._drop({"doc_id": doc_id})

    def describe(self, document: Document, marks: Sequence[str] | None = None) -> None:
        """Renew source, meta and fingerprint of a served revision, and its marks where given."""
        this: list[m.Condition] = [
            _equals("doc_id", document.id),
            _equals("revision", document.revision),
        ]
        with self._translated():
            for must, payload in (
                (this, schema.description(document)),
                ([*this, _equals("ordinal", 0)], schema.document_facts(document, marks)),
            ):
                self._client.set_payload(
                    self._collection, payload, points=m.Filter(must=must), wait=True
                )

    def _find(
        self,
        equals: Mapping[str, str | int],
        *,
        any_of: tuple[str, Sequence[str]] | None = None,
        fields: Sequence[str] | None = None,
        vectors: bool | list[str] = False,
        limit: int | None = None,
    ) -> Iterator[Point]:
        must: list[m.Condition] = [_equals(field, value) for field, value in equals.items()]
        if any_of:
            field, values = any_of
            must.append(m.FieldCondition(key=field, match=m.MatchAny(any=list(values))))
        offset = None
        while True:
            with self._translated():
                records, offset = self._client.scroll(
                    self._collection,
                    scroll_filter=m.Filter(must=must),
                    limit=limit or _PAGE,
                    offset=offset,
                    with_payload=list(fields) if fields else True,
                    with_vectors=vectors,
                )
            yield from map(_point, records)
            if offset is None or limit:
                return

    def _put(self, points: Sequence[Point]) -> None:
        structs = [
            m.PointStruct(id=point.id, vector=_vectors(point), payload=dict(point.payload))
            for point in points
        ]
        with self._translated():
            for at in range(0, len(structs), _UPLOAD):
                self._client.upsert(self._collection, structs[at : at + _UPLOAD], wait=True)

    def _set(self, equals: Mapping[str, str | int], payload: Mapping[str, Any]) -> None:
        must: list[m.Condition] = [_equals(field, value) for field, value in equals.items()]
        with self._translated():
            self._client.set_payload(
                self._collection, dict(payload), points=m.Filter(must=must), wait=True
            )

    def _drop(self, equals: Mapping[str, str | int], *, spare: str | None = None) -> None:
        must: list[m.Condition] = [_equals(field, value) for field, value in equals.items()]
        must_not: list[m.Condition] = [] if spare is None else [_equals("revision", spare)]
        selector = m.FilterSelector(filter=m.Filter(must=must, must_not=must_not))
        with self._translated():
            self._client.delete(self._collection, selector, wait=True)

    def rankings(
        self,
        dense: Sequence[float],
        lexical: SparseVector,
        limit: int,
        conditions: Sequence[Condition] = (),
    ) -> Rankings:
        """The nearest live chunks, by meaning and by words, in one request where none tie."""
        where = _filter(conditions)
        terms = m.SparseVector(indices=lexical.indices, values=lexical.values)
        queries: list[tuple[str, list[float] | m.SparseVector]] = [
            (schema.DENSE, list(dense)),
            (schema.LEXICAL, terms),
        ]

        def search(asked: Sequence[Any], limit: int) -> list[list[Hit]]:
            found = self._client.query_batch_points(
                self._collection,
                [
                    m.QueryRequest(query=query, using=using, limit=limit, filter=where)
                    for using, query in asked
                ],
            )
            return [[Hit(str(point.id), point.score) for point in each.points] for each in found]

        with self._translated():
            return Rankings(*ranked(search, queries, limit))

    def chunks(self, ids: Sequence[str]) -> Mapping[str, Chunk]:
        """Chunks by id."""
        with self._translated():
            records = self._client.retrieve(
                self._collection, schema.chunk_ids(ids), with_payload=True
            )
        return {str(record.id): schema.chunk_of(record.payload or {}) for record in records}

    def count(self) -> int:
        """The number of live chunks."""
        with self._translated():
            return self._client.count(self._collection, count_filter=_filter(())).count

    def optimize(self) -> None:
        """A server does so by itself; here it is asked whether all went into what is served.

        Raises:
            StoreAway: another index has been served meanwhile, and knows nothing of it.
        """
        if not self._lent and not self.is_served():
            raise StoreAway(
                "another index is served since this one was opened: what was written is not in it",
                hint="run it again",
            )

    def close(self) -> None:
        """Close the connection, if it is this one's own."""
        if not self._lent:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with _translated(self._where):
            yield


def _headers(settings: StoreSettings) -> dict[str, str]:
    """The key; as the client's own argument it would warn at every start, inside a cluster too."""
    key = settings.api_key.get_secret_value()
    return {"api-key": key} if key else {}


def _equals(field: str, value: str | int) -> m.FieldCondition:
    return m.FieldCondition(key=field, match=m.MatchValue(value=value))


def _vectors(point: Point) -> dict[str, Any]:
    vectors: dict[str, Any] = {}
    if point.dense is not None:
        vectors[schema.DENSE] = list(point.dense)
    if point.lexical is not None:
        vectors[schema.LEXICAL] = m.SparseVector(
            indices=point.lexical.indices, values=point.lexical.values
        )
    return vectors


def _point(record: m.Record) -> Point:
    vectors: Any = record.vector or {}
    terms = vectors.get(schema.LEXICAL)
    return Point(
        str(record.id),
        record.payload or {},
        vectors.get(schema.DENSE),
        SparseVector(terms.indices, terms.values) if terms is not None else None,
    )


def _limit(name: str, condition: Condition) -> m.Range | m.DatetimeRange:
    if condition.instant:
        return m.DatetimeRange(**{name: condition.instant})
    return m.Range(**{name: condition.numbers[0]})


def _filter(conditions: Sequence[Condition]) -> m.Filter:
    """Live chunks whose document, or one copy of it, meets all conditions."""
    live = _equals("state", schema.LIVE)
    if not conditions:
        return m.Filter(must=[live])
    met = _met(conditions)
    copy = m.NestedCondition(nested=m.Nested(key="also", filter=met))
    return m.Filter(must=[live, m.Filter(should=[met, copy])])


def _met(conditions: Sequence[Condition]) -> m.Filter:
    must: list[m.Condition] = []
    must_not: list[m.Condition] = []
    bounds = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
    for condition in conditions:
        if name := bounds.get(condition.operator):
            must.append(m.FieldCondition(key=condition.path, range=_limit(name, condition)))
            continue
        should: list[Any] = [_equals(condition.path, value) for value in condition.alternatives]
        should += [
            m.FieldCondition(key=condition.path, range=m.Range(gte=value, lte=value))
            for value in condition.numbers
        ]
        (must if condition.operator == "=" else must_not).append(m.Filter(should=should))
    return m.Filter(must=must, must_not=must_not)


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """Turn the client's exceptions into ours."""
    try:
        yield
    except (ApiException, QdrantException, OSError, ValueError) as error:
        kind = StoreAway if _passes(error) else StoreError
        raise kind(
            f"Qdrant server, {where}: {first_line(error)}{_reason(error)}",
            hint="check store.url and store.api_key, and that the server is up",
        ) from error


def _passes(error: Exception) -> bool:
    """Whether the same may work later: all but what the server, or the client, would not take."""
    if isinstance(error, UnexpectedResponse):
        return error.status_code not in _REFUSALS
    return isinstance(error, (ApiException, QdrantException, OSError))


def _reason(error: Exception) -> str:
    """What the server says of a refusal, which the client's first line leaves out; "" if nothing.

    Qdrant answers {"status": {"error": "..."}}; a proxy before it may answer anything.
    """
    if not isinstance(error, UnexpectedResponse):
        return ""
    try:
        said = error.structured()["status"]["error"]
    except (ValueError, LookupError, TypeError):
        return ""
    return f": {' '.join(str(said).split())[:_MOST_SAID]}"
