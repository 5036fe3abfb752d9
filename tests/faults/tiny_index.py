"""An index with a real but tiny embedder: a run over it takes milliseconds, not seconds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from rag.embedding.base import Vectors
from rag.embedding.lexical import LexicalEncoder
from rag.embedding.registry import bundled_tokenizer
from rag.index import CHUNKERS, Index
from rag.manifest import IndexManifest
from rag.settings import Settings
from rag.store import Store
from rag.store.edge import EdgeStore
from rag.tokens import TokenCounter

_WORD = re.compile(r"\w+")


class TinyEmbedder:
    """A hashed bag of words, measured by the bundled model's tokenizer. Counts what it embeds."""

    name = "tiny"
    dimension = 32
    max_tokens = 256
    reserved_tokens = 2
    fingerprint = "tiny:1"

    def __init__(self) -> None:
        self.counter = _counter(self.name)
        self.embedded: list[str] = []

    def load(self) -> None:
        """There is nothing to read."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.embedded += texts
        return self.embed_queries(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        vectors[:, 0] = 0.1  # a text without words has a direction too
        for row, text in zip(vectors, texts, strict=True):
            for word in _WORD.findall(text.lower()):
                drawn = crc32(word.encode())
                row[drawn % self.dimension] += 1 if drawn & 1024 else -1
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors


class OtherEmbedder(TinyEmbedder):
    """Another length of vector, and a tokenizer of another name."""

    name = "other"
    dimension = 48
    fingerprint = "other:1"


@cache
def _counter(name: str) -> TokenCounter:
    return TokenCounter.from_file(bundled_tokenizer(), name)


def open_tiny(
    path: Path,
    *,
    window_tokens: int = 65_536,
    chunk_size: int = 40,
    max_delete_fraction: float = 0.2,
    wrap: Callable[[Store], Any] = lambda store: store,
    kind: type[TinyEmbedder] = TinyEmbedder,
) -> Index:
    """Open the index in `path`, or make it there; `wrap` stands between it and its store."""
    settings = Settings(
        store={"path": path},
        chunking={"size": chunk_size},
        ingest={"window_tokens": window_tokens, "max_delete_fraction": max_delete_fraction},
    )
    embedder = kind()
    chunking = settings.chunking
    chunker = CHUNKERS[chunking.kind](embedder.counter, chunking.size, chunking.overlap)
    manifest = IndexManifest(
        embedder=embedder.fingerprint,
        dimension=embedder.dimension,
        lexical=LexicalEncoder(settings.lexical.language).fingerprint,
        chunker=chunker.fingerprint,
        header_tokens=chunking.header_tokens,
    )
    return Index(settings, wrap(EdgeStore.open(path, manifest)), embedder)


Point = tuple[dict[str, Any], tuple[float, ...], tuple[tuple[int, float], ...]]


def dump(index: Index) -> dict[str, Point]:
    """Every point that an edge index holds, by id: payload, dense vector, lexical vector."""
    import qdrant_edge as q

    store = index.store
    while not isinstance(store, EdgeStore):
        store = store.wrapped
    found: dict[str, Point] = {}
    offset = None
    while True:
        records, offset = store._shard.scroll(
            q.ScrollRequest(limit=1000, offset=offset, with_payload=True, with_vector=True)
        )
        for record in records:
            vectors = record.vector or {}
            dense = tuple(vectors.get("dense", ()))
            lexical = vectors.get("lexical")
            terms = sorted(zip(lexical.indices, lexical.values, strict=True)) if lexical else ()
            found[str(record.id)] = (dict(record.payload or {}), dense, tuple(terms))
        if offset is None:
            return found
