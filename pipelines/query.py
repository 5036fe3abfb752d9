"""Query: from settings to an engine that answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag.engine import QueryEngine, Searched
from rag.generation import load_generator
from rag.generation.base import Generator
from rag.index import open_index
from rag.routing import RoutedIndex, open_routed
from rag.settings import Settings

__all__ = ["open_engine", "open_parts", "open_searched"]


def open_searched(settings: Settings, routes: Path | None = None) -> Searched:
    """The index that the settings name or, in its place, those of a routes file.

    Raises:
        StoreError, IndexMismatch, ModelError: as `rag.index.open_index` and
            `rag.routing.open_routed` say.
    """
    return open_index(settings) if routes is None else open_routed(settings, routes)


@contextmanager
def open_engine(settings: Settings, routes: Path | None = None) -> Iterator[QueryEngine]:
    """The query engine the settings describe, over the index they name or those of a routes file.

    Raises:
        StoreError, IndexMismatch, ModelError: as `open_searched` and
            `rag.generation.load_generator` say.
    """
    with open_searched(settings, routes) as index:
        yield QueryEngine(index, _generator(settings, index))


def open_parts(
    settings: Settings, routes: Path | None = None, *, create: bool = False
) -> tuple[Searched, Generator]:
    """The parts of a query engine, for who makes several of them, and closes the index.

    They are to last: where one of the indexes of a routes file cannot be opened, none is, and every
    embedder is loaded.

    Args:
        settings: which index and which generator.
        routes: a routes file, whose indexes take the place of that one.
        create: make a new index where there is none, and no routes file is named.

    Raises:
        StoreError, IndexMismatch, ModelError: as `open_engine`.
    """
    index: Searched
    index = open_index(settings, create=create) if routes is None else open_routed(settings, routes)
    try:
        if isinstance(index, RoutedIndex):
            index.require_whole()
        return index, _generator(settings, index)
    except BaseException:
        index.close()
        raise


def _generator(settings: Settings, index: Searched) -> Generator:
    generator = load_generator(
        settings.generation,
        index.embedder.counter,
        settings.models.path,
        offline=settings.offline,
    )
    index.embedder.load()  # here, so that no question's ledger is charged with it
    return generator
