"""Open the indexes of routes, each with what it was built with."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rag.embedding.base import Embedder
from rag.embedding.registry import load_embedder
from rag.errors import RagError, StoreError
from rag.index import CHUNKERS, Index, open_index
from rag.manifest import IndexManifest
from rag.routing.routed import RoutedIndex
from rag.routing.routes import Router, Routes
from rag.settings import ChunkingSettings, LexicalSettings, Settings
from rag.store import open_store

__all__ = ["as_built", "at_route", "open_routed", "router_embedder"]


def router_embedder(settings: Settings) -> Embedder:
    """The bundled embedder, as the settings run it: one for the questions of all routes.

    Raises:
        ModelError: it is not installed.
    """
    bundled = {"kind": "bundled", "model": "", "options": {}}
    return load_embedder(settings.embedding.model_copy(update=bundled), offline=settings.offline)


def open_routed(settings: Settings, path: Path) -> RoutedIndex:
    """Open every index of a routes file. One that cannot be opened is named in `lost`.

    Args:
        settings: of the query path.
        path: what `rag route fit` wrote.

    Raises:
        UsageError, ConfigError: the file is not there, or holds no routes.
        IndexMismatch: it was fitted with another embedder.
        ModelError: the bundled embedder is not there.
        StoreError: none of the indexes can be opened; the message says why of each.
    """
    routes = Routes.read(path)
    router = Router(routes, router_embedder(settings))
    # One model for all the indexes that were built with it, and one memory of what it embedded.
    known = {router.embedder.fingerprint: (router.embedder, router.sentences)}
    indexes: dict[str, Index] = {}
    lost: dict[str, RagError] = {}
    with ExitStack() as stack:
        for name, index in routes.indexes.items():
            try:
                opened = _open(at_route(settings, index))
            except RagError as error:
                lost[name] = error
                continue
            stack.callback(opened.close)
            own = opened.embedder, opened.sentences
            embedder, sentences = known.setdefault(opened.embedder.fingerprint, own)
            indexes[name] = Index(opened.settings, opened.store, embedder, sentences, opened.given)
        if not indexes:
            why = "; ".join(f"{name}: {error.message}" for name, error in lost.items())
            raise StoreError(
                f"no index of {path} can be opened ({why})",
                hint="bring one back, or fit the routes again with `rag route fit`",
            )
        stack.pop_all()
    return RoutedIndex(settings, router, indexes, lost)


def at_route(settings: Settings, index: str) -> Settings:
    """The settings with the store at a route's index: a folder, or a collection of the server."""
    place = {"collection": index} if settings.store.kind == "server" else {"path": Path(index)}
    return settings.model_copy(update={"store": settings.store.model_copy(update=place)})


def as_built(settings: Settings, manifest: IndexManifest) -> Settings:
    """The settings with chunks and words as the manifest has them, and its embedder.

    Each domain's index may have been built under a profile of its own; to search it, nobody should
    have to say which. What the manifest says in words of another version stays as it is set.
    """
    kind, _, rest = manifest.chunker.partition(":")
    size, _, overlap = rest.rpartition(":")[2].partition("/")
    _, _, language = manifest.lexical.partition(":")
    embedding = settings.embedding.model_copy(update={"kind": "auto"})
    update: dict[str, Any] = {"embedding": embedding}
    if kind in CHUNKERS and size.isdigit() and overlap.isdigit():
        update["chunking"] = ChunkingSettings.model_validate(
            {
                "kind": kind,
                "size": int(size),
                "overlap": int(overlap),
                "header_tokens": manifest.header_tokens,
            }
        )
    if language:
        update["lexical"] = LexicalSettings(language=language)
    return settings.model_copy(update=update)


def _open(settings: Settings) -> Index:
    with open_store(settings.store) as store:
        manifest = store.manifest()
    return open_index(as_built(settings, manifest))
