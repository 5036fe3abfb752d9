"""What a store is: the same calls, with the same results, on every backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self

from rag.embedding.base import Vectors
from rag.embedding.lexical import SparseVector
from rag.manifest import IndexManifest
from rag.settings import StoreSettings
from rag.spans import Span
from rag.store.filters import Condition
from rag.types import Chunk, Document

__all__ = ["DocumentRecord", "Hit", "Point", "Rankings", "Store", "open_store"]


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """One revision of a document as the store holds it.

    `live` revisions are searched; the others were being written when a run ended (their `tokens`
    are 0: nobody had counted to the end). One with `twin_of` is a link: it says that the document
    is a copy of that other one, `stands` in its text, and has no chunks of its own.
    """

    doc_id: str
    namespace: str
    key: str
    source: str
    name: str
    revision: str
    fingerprint: str
    meta_digest: str
    tokens: int
    live: bool
    twin_of: str = ""
    title: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)
    stands: Span | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A chunk or a link as either backend has it; a link has no vectors."""

    id: str
    payload: Mapping[str, Any]
    dense: Sequence[float] | None = None
    lexical: SparseVector | None = None


class Hit(NamedTuple):
    """A chunk's id and its score in one ranking."""

    id: str
    score: float


class Rankings(NamedTuple):
    """What each way of searching found, best first."""

    dense: list[Hit]
    lexical: list[Hit]


class Store(Protocol):
    """An open index. Every write is durable when the call returns.

    The life of a revision: `stage` its chunks (nothing sees them), then `commit` (it is searched,
    and every other revision of the document is gone). A crash between any two calls leaves the
    old revision served.

    An index may have another beside it, of the same chunks under other vectors: one that is being
    built (`beside`) and is served from `serve` on, or the one that was served before (`kept`).
    A crash between any two calls leaves one of them served.

    Raises:
        StoreError: any call, where the backend cannot be reached or refuses.
    """

    @property
    def generation(self) -> str:
        """Which of the indexes that lie beside each other this is; "" is the first."""

    def manifest(self) -> IndexManifest:
        """What the index was built with."""

    def documents(self, namespace: str | None = None) -> Iterator[DocumentRecord]:
        """Every revision of every document (of one namespace), live or not."""

    def stage(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        dense: Vectors,
        lexical: Sequence[SparseVector],
        marks: Sequence[str] = (),
    ) -> None:
        """Write chunks of a revision that is not served yet. The first call holds chunk 0.

        `marks` are those of the document (`rag.duplicates`), and go with chunk 0.
        """

    def commit(self, doc_id: str, revision: str, tokens: int) -> None:
        """Serve this revision, of so many tokens, and delete all others of the document."""

    def discard(self, doc_id: str, revision: str) -> None:
        """Delete one revision."""

    def retire(self, doc_id: str) -> None:
        """Delete a document, every revision of it."""

    def describe(self, document: Document, marks: Sequence[str] | None = None) -> None:
        """Renew what is said of a served revision (source, meta, fingerprint), not its vectors.

        Its marks stay as they are, where none are given.
        """

    def served(self, doc_id: str) -> DocumentRecord | None:
        """The revision of a document that is served, or its link."""

    def text(self, record: DocumentRecord) -> str:
        """The text of a revision, put together from its chunks, every letter in its place."""

    def alike(self, marks: Sequence[str]) -> list[DocumentRecord]:
        """Served documents that share one of these marks, links apart; the first few."""

    def links(self) -> Iterator[DocumentRecord]:
        """Every link there is."""

    def copied_whole(self, original: DocumentRecord) -> bool:
        """Whether every copy of a document says all that it says."""

    def link(self, document: Document, original: str, stands: Span) -> None:
        """Keep of `document` only that it is a copy of `original`, and where in it it stands.

        No other revision of it is left.
        """

    def tell(self, original: str, revision: str | None = None) -> None:
        """Have the chunks of an original tell of its copies; `revision` if it is only staged."""

    def unlink(self, link: DocumentRecord) -> None:
        """Have the original forget a copy that is about to go its own way."""

    def bequeath(self, original: DocumentRecord) -> str | None:
        """Give the chunks of a document that is about to go to one of its copies, if it has any.

        The heir, whose id is returned, is served in its stead, without a fingerprint: the next
        sync reads its own text.
        """

    def rankings(
        self,
        dense: Sequence[float],
        lexical: SparseVector,
        limit: int,
        conditions: Sequence[Condition] = (),
    ) -> Rankings:
        """The `limit` nearest live chunks, by meaning and by words, that meet all conditions."""

    def chunks(self, ids: Sequence[str]) -> Mapping[str, Chunk]:
        """Chunks by id; an id the store does not hold is not in the result."""

    def count(self) -> int:
        """The number of live chunks."""

    def set_manifest(self, manifest: IndexManifest) -> None:
        """Say anew what the index was built with."""

    def points(self, *, dense: bool = False) -> Iterator[Point]:
        """Every served chunk with its lexical vector, or with both, and every link; in no order."""

    def put(self, points: Sequence[Point]) -> None:
        """Write points as they are."""

    def beside(self, manifest: IndexManifest) -> Store:
        """A new and empty index beside this one, which nobody opens until it is served.

        What a build that was cut short has left is deleted.
        """

    def serve(self, generation: str) -> None:
        """Have the index beside this one opened from now on, and keep this one.

        One atomic step. Who has this one open goes on with it.

        Raises:
            StoreError: another one has been served or kept since this one was opened.
        """

    def is_served(self) -> bool:
        """Whether this is what is opened now; on a server, others may have another served."""

    def abandon(self, generation: str) -> None:
        """Delete an index beside this one that is not to be served; never one served or kept."""

    def kept(self) -> Store | None:
        """The index that is kept beside this one, opened."""

    def forget(self) -> None:
        """Delete all that is beside this one: what is kept, and what was never finished."""

    def optimize(self) -> None:
        """Build what makes searching fast. Long; only what writes much calls it.

        Raises:
            StoreError: another index is served since, which lacks what was written.
        """

    def close(self) -> None:
        """Let go of the index."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...


def open_store(settings: StoreSettings, create: IndexManifest | None = None) -> Store:
    """Open the index the settings name.

    Args:
        settings: which backend, and where.
        create: what to build a new index with where there is none; without it, no index is an
            error.

    Raises:
        IndexMissing: there is no index and `create` is None.
        StoreError: it cannot be reached.
        StoreLocked: another process owns the embedded index.
    """
    if settings.kind == "edge":
        from rag.store.edge import EdgeStore

        return EdgeStore.open(settings.path, create)
    from rag.store.server import ServerStore  # slow: 1.7 s

    return ServerStore.open(settings, create)
