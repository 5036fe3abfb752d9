"""Reindex: other vectors for the chunks that an index holds, built beside it and then swapped.

No source is read: the store holds each chunk's text, and what its header is made of. The vectors
that were served before are kept until they are served again, or forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.writing import Progress
from rag.embedding.base import Embedder
from rag.embedding.registry import load_embedder, resolved
from rag.errors import IndexMismatch, RagError, StoreError, StoreLocked, UsageError
from rag.index import Encoder, index_manifest, require_window
from rag.manifest import IndexManifest
from rag.settings import EmbeddingSettings, Settings
from rag.store import Point, Store
from rag.store.schema import LIVE, chunk_of

__all__ = [
    "Kept",
    "ReindexReport",
    "documents_of",
    "forget",
    "kept_beside",
    "reindex",
    "require_nothing_kept",
    "rollback",
]

_UNREADABLE = "unreadable"
_LINKS = 5_000  # points without tokens of their own that a window may hold
_ANEW = "choose another embedder, or ingest anew into a new index with chunking.size set"


@dataclass(slots=True)
class ReindexReport:
    """What a run did. `before` and `after` are the embedders' fingerprints."""

    before: str
    after: str
    chunks: int = 0
    links: int = 0
    tokens: int = 0
    truncated: int = 0
    """Chunks whose end the new embedder could not read."""
    seconds: float = 0.0
    swapped: bool = False
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """The index that is kept beside the one that is served.

    `differing` documents are not the same in both: they were added, changed or retired since.
    Where the kept one is damaged, `kept` is "unreadable", and nobody knows how many. `model` is
    what the manifest of the one now served records (`rag.embedding.registry.record_of`).
    """

    served: str
    kept: str
    differing: int | None
    model: Mapping[str, Any] = field(default_factory=dict)


def reindex(
    store: Store,
    settings: Settings,
    *,
    embedder: Embedder | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> ReindexReport:
    """Embed every served chunk anew, beside the index, and have that served from then on.

    Payloads, lexical vectors and links are carried over as they are; what was staged and never
    committed is left out. Killed at any moment, either the old index is served or the new one is;
    what was not finished is deleted by the next run, which begins anew.

    Args:
        store: the index, open. It stays what it is; who opens it next finds the new one.
        settings: `embedding` names the new embedder; auto is the one that is recorded, which may
            have changed, or compute in another precision here.
        embedder: the one they name, where it is loaded already.
        progress: hears of chunks.
        stop: asked after each window; true ends the run, and nothing has changed.

    Raises:
        UsageError: another index is kept already.
        ConfigError: the chunks were cut by other settings, or do not fit the embedder's window.
        StoreError: the index cannot be reached, somebody else writes into it, or another run was
            swapped in first. Nothing has changed.
        ModelError: the embedder is not there.
    """
    began = time.perf_counter()
    found = store.manifest()
    embedding = resolved(settings.embedding, found.model)
    settings = settings.model_copy(update={"embedding": embedding})
    embedder = embedder or load_embedder(embedding, offline=settings.offline)
    wanted = index_manifest(settings, embedder, found.dimension)
    found.require_same_cuts(wanted)
    report = ReindexReport(found.embedder, wanted.embedder)
    if found.embedded_by(wanted.embedder):
        if found.model != wanted.model:  # the same model, found elsewhere
            store.set_manifest(replace(found, model=wanted.model))
        return report
    require_window(settings.chunking, embedder, _ANEW)
    require_nothing_kept(store)
    beside = store.beside(replace(wanted, dimension=embedder.dimension))
    whole = False
    try:
        with beside:
            whole = _carry(store, beside, Encoder(settings, embedder), report, progress, stop)
        if whole:
            store.serve(beside.generation)
            report.swapped = True
    finally:
        if not report.swapped:
            store.abandon(beside.generation)
    report.interrupted = not whole
    report.seconds = time.perf_counter() - began
    return report


def kept_beside(store: Store) -> Kept | None:
    """What is kept beside an open index, and how far the two have gone apart.

    Raises:
        StoreError: the open index cannot be read.
        StoreLocked: another process has the kept one open.
    """
    ours = store.manifest()
    try:
        kept = store.kept()
        if kept is None:
            return None
        with kept:
            return Kept(
                ours.embedder, kept.manifest().embedder, _differing(store, kept), ours.model
            )
    except StoreLocked:
        raise
    except RagError:  # damage there must not keep this one from being looked at, or rid of it
        return Kept(ours.embedder, _UNREADABLE, None, ours.model)


def rollback(store: Store, settings: Settings, *, embedder: Embedder | None = None) -> Kept:
    """Have the index that is kept served from then on, and keep the one that is served.

    Args:
        store: the index, open.
        settings: the device and precision that embedders compute with.
        embedder: the one that the kept index names, where it is loaded already.

    Returns:
        What is served and kept from now on.

    Raises:
        UsageError: none is kept.
        IndexMismatch: the embedder that the kept index names is not the one it was built with.
        ModelError: that embedder is not there.
        StoreError: the index cannot be reached, or the kept one cannot be read.
    """
    kept = store.kept()
    if kept is None:
        raise _nothing_kept()
    with kept:
        theirs, ours = kept.manifest(), store.manifest()
        differing = _differing(store, kept)
    _require_opens(theirs, settings, embedder)
    store.serve(kept.generation)
    return Kept(theirs.embedder, ours.embedder, differing, theirs.model)


def forget(store: Store) -> Kept:
    """Delete the index that is kept.

    Returns:
        What is served, and what was kept.

    Raises:
        UsageError: none is kept.
        StoreError: the index cannot be reached.
    """
    found = kept_beside(store)
    store.forget()  # what was never finished goes with it
    if found is None:
        raise _nothing_kept()
    return found


def _carry(
    store: Store,
    beside: Store,
    encoder: Encoder,
    report: ReindexReport,
    progress: Progress | None,
    stop: Callable[[], bool],
) -> bool:
    """Write every point of `store` into `beside`, with new vectors; whether to the end."""
    if progress:
        progress.start(store.count())
    settings = encoder.settings.ingest
    unoptimized = 0
    for window in _windows(store.points(), settings.window_tokens):
        if stop():
            return False
        chunks = [point for point in window if point.payload["state"] == LIVE]
        links = [point for point in window if point.payload["state"] != LIVE]
        beside.put([*_embedded(chunks, encoder, report), *links])
        tokens = sum(point.payload["tokens"] for point in chunks)
        report.chunks += len(chunks)
        report.links += len(links)
        report.tokens += tokens
        if progress:
            progress.advance(len(chunks), tokens)
        unoptimized += len(window)
        if unoptimized >= settings.optimize_chunks:  # as an ingest does: it bounds memory
            beside.optimize()
            unoptimized = 0
    beside.optimize()
    if _differing(store, beside) or store.count() != beside.count():
        raise StoreError(
            "the index changed while its chunks were embedded: nothing was swapped",
            hint="run it again when no ingest is running",
        )
    return True


def _embedded(chunks: Sequence[Point], encoder: Encoder, report: ReindexReport) -> Iterator[Point]:
    texts = encoder.texts([chunk_of(point.payload) for point in chunks])
    report.truncated += encoder.truncated(texts)
    vectors = encoder.embedder.embed_documents(texts)
    return (
        replace(point, dense=vector.tolist()) for point, vector in zip(chunks, vectors, strict=True)
    )


def _windows(points: Iterable[Point], most_tokens: int) -> Iterator[list[Point]]:
    window: list[Point] = []
    tokens = 0
    for point in points:
        window.append(point)
        tokens += point.payload.get("tokens", 0)
        if tokens >= most_tokens or len(window) >= _LINKS:
            yield window
            window, tokens = [], 0
    if window:
        yield window


def _differing(one: Store, other: Store) -> int:
    """How many documents two indexes do not serve alike."""
    ours, theirs = documents_of(one), documents_of(other)
    return sum(ours.get(each) != theirs.get(each) for each in ours.keys() | theirs.keys())


def documents_of(store: Store) -> dict[str, tuple[str, ...]]:
    """What tells whether two looks at an index saw the same documents, by their ids."""
    return {
        each.doc_id: (each.revision, each.fingerprint, each.meta_digest, each.twin_of)
        for each in store.documents()
        if each.live
    }


def require_nothing_kept(store: Store) -> None:
    """Refuse to build another index beside one that has one beside it.

    Raises:
        UsageError: one is kept.
    """
    if (found := kept_beside(store)) is not None:
        raise UsageError(
            f"vectors of {found.kept} are kept beside the index, and there is room for one",
            hint="`rag reindex --rollback` serves them, `rag reindex --forget` deletes them",
        )


def _require_opens(kept: IndexManifest, settings: Settings, embedder: Embedder | None) -> None:
    """Refuse an index that nothing would open: its model was changed, or computes otherwise here.

    A class that it names is not asked: only the settings may name one.
    """
    if embedder is None:
        if kept.model.get("kind") == "llama_index":
            return
        computes = settings.embedding.model_dump(include={"device", "precision", "backend"})
        named = resolved(EmbeddingSettings(**computes), kept.model)
        embedder = load_embedder(named, offline=settings.offline)
    if not kept.embedded_by(embedder.fingerprint):
        raise IndexMismatch(
            f"the kept index was built with {kept.embedder}, and its model is now "
            f"{embedder.fingerprint}: nothing would open it",
            hint="put the model back as it was, or set embedding.precision and embedding.backend "
            "as they were; `rag reindex --forget` deletes those vectors",
        )


def _nothing_kept() -> UsageError:
    return UsageError(
        "no vectors are kept beside the index", hint="`rag reindex` keeps those it replaces"
    )
