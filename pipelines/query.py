"""Query: from settings to an engine that answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rag.engine import QueryEngine
from rag.generation import load_generator
from rag.index import open_index
from rag.settings import Settings

__all__ = ["open_engine"]


@contextmanager
def open_engine(settings: Settings) -> Iterator[QueryEngine]:
    """The query engine the settings describe, over the index they name.

    Raises:
        StoreError, IndexMismatch, ModelError: as `rag.index.open_index` and
            `rag.generation.load_generator` say.
    """
    with open_index(settings) as index:
        generator = load_generator(
            settings.generation,
            index.embedder.counter,
            settings.models.path,
            offline=settings.offline,
        )
        index.embedder.load()  # here, so that no question's ledger is charged with it
        yield QueryEngine(index, generator)
