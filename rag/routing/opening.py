"""Open the indexes of routes, each with what it was built with."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from rag.embedding.base import Embedder
from rag.embedding.registry import load_embedder
from rag.errors import RagError, StoreError
from rag.index import Index, open_index
from rag.routing.routed import RoutedIndex
from rag.routing.routes import Router, Routes
from rag.settings import Settings

__all__ = ["at_route", "open_routed", "router_embedder"]


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
                opened = open_index(at_route(settings, index), as_built=True)
            except RagError as error:
                lost[name] = error
                continue
            stack.callback(opened.close)
            own = opened.embedder, opened.sentences
            embedder, sentences = known.setdefault(opened.embedder.fingerprint, own)
            indexes[name] = opened.sharing(embedder, sentences)
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
