"""An open index: the store, and the models it was built with, kept together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from rag.chunking import Chunker, RecursiveChunker, SentenceChunker, TokenChunker
from rag.embedding.base import Embedder, Vectors
from rag.embedding.context import embedded_text
from rag.embedding.lexical import LexicalEncoder, SparseVector
from rag.embedding.memo import RememberingEmbedder
from rag.embedding.registry import load_embedder, record_of, resolved
from rag.errors import ConfigError, IndexMismatch, IndexMissing
from rag.manifest import IndexManifest
from rag.retrieval.hybrid import HybridRetriever
from rag.settings import ChunkingSettings, LexicalSettings, Settings
from rag.store import Condition, Store, open_store
from rag.types import Chunk, Document, ScoredChunk

__all__ = [
    "EmbeddedChunks",
    "Encoder",
    "Index",
    "index_manifest",
    "largest_chunk",
    "open_again",
    "open_index",
    "require_window",
    "settings_as_built",
]

CHUNKERS = {kind.kind: kind for kind in (SentenceChunker, RecursiveChunker, TokenChunker)}


@dataclass(frozen=True, slots=True)
class EmbeddedChunks:
    """Vectors of chunks, and how many of them the embedder could not read to their end."""

    dense: Vectors
    lexical: Sequence[SparseVector]
    truncated: int


class Encoder:
    """How documents become vectors: cut, then embedded, by meaning and by words.

    Args:
        settings: what the index is built with.
        embedder: the one they name.
    """

    def __init__(self, settings: Settings, embedder: Embedder) -> None:
        self.settings = settings
        self.embedder = embedder
        self.lexical = LexicalEncoder(settings.lexical.language)

    @cached_property
    def chunker(self) -> Chunker:
        """The chunker of the settings, measuring with the embedder's tokenizer."""
        chunking = self.settings.chunking
        kind = CHUNKERS[chunking.kind]
        return kind(self.embedder.counter, chunking.size, chunking.overlap)

    def chunk(self, document: Document) -> Iterator[Chunk]:
        """Cut a document as this index has it."""
        return self.chunker.split(document)

    def embed(self, chunks: Sequence[Chunk]) -> EmbeddedChunks:
        """Dense and lexical vectors of chunks, each read under its header."""
        texts = self.texts(chunks)
        return EmbeddedChunks(
            dense=self.embedder.embed_documents(texts),
            lexical=self.lexical.encode_documents(texts),
            truncated=self.truncated(texts),
        )

    def texts(self, chunks: Sequence[Chunk]) -> list[str]:
        """What is read of chunks: their text, under their header."""
        counter = self.embedder.counter
        header_tokens = self.settings.chunking.header_tokens
        return [embedded_text(chunk, counter, header_tokens) for chunk in chunks]

    def truncated(self, texts: Sequence[str]) -> int:
        """How many of these texts the embedder cannot read to their end."""
        room = self.embedder.max_tokens - self.embedder.reserved_tokens
        return sum(tokens > room for tokens in self.embedder.counter.count_all(texts))


class Index(Encoder):
    """What `open_index` returns. A context manager; models load when they are first needed.

    Args:
        settings: of the query path, and what the index was built with.
        store: an open store.
        embedder: the one it was built with.
        sentences: the same embedder with a memory, where others share it: stages look at the
            same sentences, and often again.
        given: the settings before `auto` was found out: with them, whatever is served is opened.
        as_built: as `open_index` was told.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        embedder: Embedder,
        sentences: RememberingEmbedder | None = None,
        given: Settings | None = None,
        *,
        as_built: bool = False,
    ) -> None:
        super().__init__(settings, embedder)
        self.as_built = as_built
        self.store = store
        self.given = given or settings
        self.sentences = sentences or RememberingEmbedder(embedder)

    @cached_property
    def retriever(self) -> HybridRetriever:
        """Hybrid retrieval over this index."""
        return HybridRetriever(self.store, self.sentences, self.lexical, self.settings.retrieval)

    def search(
        self, question: str, *, top_k: int | None = None, conditions: Sequence[Condition] = ()
    ) -> list[ScoredChunk]:
        """The chunks nearest to a question, best first."""
        return self.retriever.retrieve(question, top_k=top_k, conditions=conditions)

    def over(self, store: Store) -> Index:
        """The same over another store that holds what this one's does, or more."""
        return self._with(store=store)

    def under(self, settings: Settings) -> Index:
        """The same with another query path, so long as nobody closes this one."""
        return self._with(settings=settings)

    def sharing(self, embedder: Embedder, sentences: RememberingEmbedder) -> Index:
        """The same with an embedder, and its memory, that others use as well."""
        return self._with(embedder=embedder, sentences=sentences)

    def _with(self, **changed: Any) -> Index:
        parts: dict[str, Any] = {
            "settings": self.settings,
            "store": self.store,
            "embedder": self.embedder,
            "sentences": self.sentences,
            "given": self.given,
            "as_built": self.as_built,
        }
        return Index(**parts | changed)

    def close(self) -> None:
        """Let go of the index."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def open_index(
    settings: Settings,
    *,
    create: bool = False,
    embedder: Embedder | None = None,
    as_built: bool = False,
) -> Index:
    """Open the index the settings name, built with the models the settings name.

    Where `embedding.kind` is auto, that is the embedder which the index's manifest records; the
    settings of the index that comes back name it.

    Args:
        settings: from `rag.settings.load_settings`.
        create: make a new index where there is none.
        embedder: the one the settings name, where it is loaded already.
        as_built: chunks, words and embedder are those of its manifest, whatever the settings say:
            several indexes may each have been built under a profile of its own.

    Raises:
        IndexMissing: there is no index, and `create` is false.
        ConfigError: a new index's chunks would not fit the embedder's window; or the index was
            built with a class that only the settings may name.
        StoreError: it cannot be reached, or another process owns it.
        IndexMismatch: it was built with other settings; the message names each difference.
        ModelError: the embedder is not there.
    """
    try:
        store = open_store(settings.store)
    except IndexMissing:
        if not create:
            raise
        embedder = embedder or load_embedder(settings.embedding, offline=settings.offline)
        require_window(settings.chunking, embedder)
        store = open_store(settings.store, index_manifest(settings, embedder, embedder.dimension))
    try:
        found = store.manifest()
        given, settings = settings, settings_as_built(settings, found) if as_built else settings
        embedding = resolved(settings.embedding, found.model)
        settings = settings.model_copy(update={"embedding": embedding})
        embedder = embedder or load_embedder(embedding, offline=settings.offline)
        found.require(index_manifest(settings, embedder, found.dimension))
        return Index(settings, store, embedder, given=given, as_built=as_built)
    except BaseException:
        store.close()
        raise


def open_again(
    settings: Settings, embedder: Embedder, *, create: bool = False, as_built: bool = False
) -> Index:
    """Open the index the settings name, with an embedder that is loaded if it is still the one.

    Raises:
        StoreError, IndexMismatch, ModelError: as `open_index`.
    """
    try:
        return open_index(settings, create=create, embedder=embedder, as_built=as_built)
    except IndexMismatch:
        return open_index(settings, create=create, as_built=as_built)


def settings_as_built(settings: Settings, manifest: IndexManifest) -> Settings:
    """The settings with chunks and words as the manifest has them, and its embedder.

    What the manifest says in words of another version stays as it is set.
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


def largest_chunk(embedder: Embedder, header_tokens: int) -> int:
    """Tokens of the largest chunk that the embedder reads to its end, under a header."""
    return embedder.max_tokens - embedder.reserved_tokens - header_tokens


def require_window(
    chunking: ChunkingSettings, embedder: Embedder, mend: str = "lower chunking.size"
) -> None:
    """Refuse chunks that the embedder would not read to their end.

    Args:
        chunking: how large they may be.
        embedder: who is to read them.
        mend: what to do, "to at most" so many tokens.

    Raises:
        ConfigError: saying how large they may be.
    """
    room = largest_chunk(embedder, chunking.header_tokens)
    if chunking.size > room:
        raise ConfigError(
            f"chunks of {chunking.size} tokens with a header of {chunking.header_tokens} do "
            f"not fit {embedder.name}, which reads {embedder.max_tokens}",
            hint=f"{mend} to at most {room}",
        )


def index_manifest(settings: Settings, embedder: Embedder, dimension: int) -> IndexManifest:
    """What an index with these settings is built with; the fingerprint implies the dimension."""
    chunking = settings.chunking
    kind = CHUNKERS[chunking.kind]
    return IndexManifest(
        embedder=embedder.fingerprint,
        dimension=dimension,
        lexical=LexicalEncoder(settings.lexical.language).fingerprint,
        chunker=kind(embedder.counter, chunking.size, chunking.overlap).fingerprint,
        header_tokens=chunking.header_tokens,
        model=record_of(settings.embedding),
    )
