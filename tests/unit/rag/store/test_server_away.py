"""Whatever is asked of a server that is away: it says so, and that it may work later."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from qdrant_client import QdrantClient

from rag.embedding.lexical import SparseVector
from rag.errors import StoreAway
from rag.manifest import IndexManifest
from rag.store.base import Point
from rag.store.server import ServerStore

MANIFEST = IndexManifest("model", 2, "bm25", "chunker", 0)
WORDS = SparseVector([1], [1.0])


@pytest.fixture(scope="module")
def store() -> Iterator[ServerStore]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listened at: refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        client = QdrantClient(url=url, check_compatibility=False, trust_env=False)
        with ServerStore(client, "facts", url) as store:
            yield store


ASKED: dict[str, Callable[[ServerStore], object]] = {
    "prepare": lambda store: store.prepare(None),
    "manifest": lambda store: store.manifest(),
    "set_manifest": lambda store: store.set_manifest(MANIFEST),
    "documents": lambda store: list(store.documents()),
    "retire": lambda store: store.retire("d"),
    "served": lambda store: store.served("d"),
    "alike": lambda store: store.alike(["mark"]),  # looks for the indexes of fields first
    "links": lambda store: list(store.links()),
    "rankings": lambda store: store.rankings([1.0, 0.0], WORDS, 1),
    "chunks": lambda store: store.chunks(["00000000-0000-0000-0000-000000000000"]),
    "count": lambda store: store.count(),
    "put": lambda store: store.put([Point("1", {})]),
    "points": lambda store: list(store.points()),
    "beside": lambda store: store.beside(MANIFEST),
    "serve": lambda store: store.serve("reindex-1"),
    "is_served": lambda store: store.is_served(),
    "kept": lambda store: store.kept(),
    "forget": lambda store: store.forget(),
    "optimize": lambda store: store.optimize(),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=list(ASKED))
def test_it_is_told_to_be_away(store: ServerStore, ask: Callable[[ServerStore], object]) -> None:
    with pytest.raises(StoreAway, match="collection 'facts'"):
        ask(store)
