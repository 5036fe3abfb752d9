"""Scratch indexes: of a corpus that is evaluated, in the user's cache, apart from anybody's own."""

from __future__ import annotations

import shutil
from pathlib import Path

from platformdirs import user_cache_path

from rag.embedding.base import Embedder
from rag.embedding.registry import resolved
from rag.errors import IndexMismatch
from rag.ids import digest
from rag.index import Index, open_index
from rag.settings import Settings, StoreSettings

__all__ = ["INDEX_GROUPS", "embedder_named", "in_scratch", "open_scratch"]

INDEX_GROUPS = frozenset({"chunking", "embedding", "lexical"})
"""The groups of settings that an index depends on."""


def embedder_named(settings: Settings) -> Settings:
    """The settings with what an embedder of kind auto stands for where there is no index yet."""
    return settings.model_copy(update={"embedding": resolved(settings.embedding)})


def in_scratch(settings: Settings, corpora: Path) -> Settings:
    """The settings with the store set to the scratch index of a corpus.

    There is one for each corpus folder and for each value of what an index depends on. An embedder
    of kind auto is the bundled one, whatever the user's own index was built with.
    """
    settings = embedder_named(settings)
    built_with = settings.model_dump(mode="json", include=set(INDEX_GROUPS))
    name = digest([str(corpora.resolve()), built_with])[:16]
    store = StoreSettings(path=user_cache_path("spanrag") / "eval" / name)
    # What is evaluated is asked about document by document: a copy has references of its own.
    ingest = settings.ingest.model_copy(update={"duplicates": "keep"})
    return settings.model_copy(update={"store": store, "ingest": ingest})


def open_scratch(settings: Settings, embedder: Embedder | None = None) -> Index:
    """The scratch index; built by another version or on another device it is made anew.

    Args:
        settings: of `in_scratch`.
        embedder: the one they name, where it is loaded already.

    Raises:
        StoreError, ModelError, ConfigError: as `rag.index.open_index`.
    """
    try:
        return open_index(settings, create=True, embedder=embedder)
    except IndexMismatch:
        shutil.rmtree(settings.store.path)
        return open_index(settings, create=True, embedder=embedder)
