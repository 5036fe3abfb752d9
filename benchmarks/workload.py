"""What the benchmarks work on: real texts, texts made of their sentences, and an index for them."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from report import say

from connectors.base import SourceRef
from connectors.registry import open_source
from rag.embedding.base import Embedder
from rag.embedding.lexical import LexicalEncoder
from rag.ids import digest
from rag.index import Index
from rag.manifest import IndexManifest
from rag.sentences import sentence_spans
from rag.settings import Settings, StoreSettings
from rag.store import open_store
from rag.types import Document

__all__ = [
    "DEMO",
    "SHARED",
    "TextsConnector",
    "available",
    "manifest_of",
    "named",
    "new_index",
    "read_sentences",
    "read_texts",
    "recombined",
]

_REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = (_REPOSITORY.parent / "shared" / "data").resolve()  # an index kept knows it by path
DEMO = _REPOSITORY / "pipelines" / "demo" / "documents"


class TextsConnector:
    """Documents from a function: nothing lies on disk, and nothing is held.

    Args:
        count: how many documents there are.
        text: the text of document number n, always the same.
    """

    namespace = "benchmark"

    def __init__(self, count: int, text: Callable[[int], str]) -> None:
        self._count = count
        self._text = text

    def list(self) -> Iterator[SourceRef]:
        """Every document, by number."""
        for number in range(self._count):
            key = f"{number:06}"
            yield SourceRef(key, f"benchmark/{key}.txt", f"{key}.txt", fingerprint="1")

    def covers(self, key: str) -> bool:
        """All of them."""
        return True

    def fetch(self, ref: SourceRef) -> Document:
        """Make one document."""
        return Document(
            namespace=self.namespace,
            key=ref.key,
            source=ref.source,
            name=ref.name,
            text=self._text(int(ref.key)),
            fingerprint=ref.fingerprint,
        )


def available(*folders: Path) -> list[Path]:
    """Those of the folders that are there; the demo's documents, where none is."""
    found = [folder for folder in folders if folder.is_dir()]
    for folder in folders:
        if folder not in found:
            say(f"skipping {folder}: it is not there")
    if not found:
        say(f"reading the demo's documents instead: {DEMO}")
    return found or [DEMO]


def named(folder: Path) -> str:
    """A folder as seen from the repository."""
    return os.path.relpath(folder, _REPOSITORY)


def read_texts(folder: Path) -> list[str]:
    """The text of every document in a folder."""
    connector = open_source(str(folder))
    return [connector.fetch(ref).text for ref in connector.list()]


def read_sentences(folders: Sequence[Path]) -> list[str]:
    """Every sentence of the documents in some folders, on one line each."""
    return [
        " ".join(span.text_in(text).split())
        for folder in folders
        for text in read_texts(folder)
        for span in sentence_spans(text)
    ]


def recombined(sentences: Sequence[str], length: int, seed: int) -> str:
    """A text of about `length` characters: sentences drawn at random, five to a paragraph."""
    chance = random.Random(seed)
    paragraphs: list[str] = []
    total = 0
    while total < length:
        paragraphs.append(" ".join(chance.choices(sentences, k=5)))
        total += len(paragraphs[-1]) + 2
    return "\n\n".join(paragraphs)


def new_index(folder: Path, embedder: Embedder) -> Index:
    """The embedded index in `folder`, made where there is none, with all settings at defaults.

    Unlike `open_index` it takes an embedder: one that is loaded already, or no model at all.
    """
    settings = Settings(store=StoreSettings(path=folder))
    manifest = manifest_of(settings, embedder)
    store = open_store(settings.store, manifest)
    store.manifest().require(manifest)
    return Index(settings, store, embedder)


def manifest_of(settings: Settings, embedder: Embedder) -> IndexManifest:
    """What an index with these settings is built with."""
    return IndexManifest(
        embedder=embedder.fingerprint,
        dimension=embedder.dimension,
        lexical=LexicalEncoder(settings.lexical.language).fingerprint,
        chunker=digest(settings.chunking.model_dump()),
        header_tokens=settings.chunking.header_tokens,
    )
