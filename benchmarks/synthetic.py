"""As many chunks as a benchmark asks for, shaped like real ones.

Each is made from a real chunk: about half of its sentences are swapped for others of the corpora,
so that terms are as frequent as in real text, and its vector is the real chunk's plus noise, so
that vectors lie in clusters as real ones do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from report import say
from workload import read_texts

from rag.chunking import SentenceChunker
from rag.embedding.base import Embedder, Vectors
from rag.ids import digest
from rag.sentences import sentence_spans
from rag.spans import Span
from rag.types import Chunk, Document

__all__ = ["Made", "RealChunks", "made_documents", "real_chunks"]

_DOCUMENT = 50  # chunks in a document
_COSINE = 0.9  # of a made vector and the real one it was made from


class RealChunks(NamedTuple):
    """Chunks of real documents: the sentences of each, and its vector."""

    sentences: list[list[str]]
    vectors: Vectors


class Made(NamedTuple):
    """A document that nobody wrote, its chunks and their vectors."""

    document: Document
    chunks: list[Chunk]
    dense: Vectors


def real_chunks(folders: Sequence[Path], count: int, embedder: Embedder, cache: Path) -> RealChunks:
    """At most `count` chunks of the documents in some folders; vectors are kept in `cache`."""
    chunker = SentenceChunker(embedder.counter)
    texts = [
        chunk.text
        for folder in folders
        for number, text in enumerate(read_texts(folder))
        for chunk in chunker.split(_document(number, text))
    ]
    texts = random.Random(0).sample(texts, min(count, len(texts)))
    file = cache / f"vectors-{digest([embedder.fingerprint, texts])[:8]}.npy"
    if not file.is_file():
        say(f"embedding {len(texts):,} real chunks")
        np.save(file, embedder.embed_documents(texts))
    sentences = [
        [" ".join(span.text_in(text).split()) for span in sentence_spans(text)] for text in texts
    ]
    return RealChunks(sentences, np.load(file))


def made_documents(real: RealChunks, chunks: int) -> Iterator[Made]:
    """Documents with `chunks` chunks in all, the same on every call."""
    pool = [sentence for sentences in real.sentences for sentence in sentences]
    for number, start in enumerate(range(0, chunks, _DOCUMENT)):
        chance = random.Random(number)
        picked = chance.choices(range(len(real.sentences)), k=min(_DOCUMENT, chunks - start))
        texts = [
            " ".join(
                chance.choice(pool) if chance.random() < 0.5 else sentence
                for sentence in real.sentences[at]
            )
            for at in picked
        ]
        document = _document(number, "\n".join(texts))
        yield Made(document, _lines(document), _near(real.vectors[picked], number))


def _near(vectors: Vectors, seed: int) -> Vectors:
    """Unit vectors at about the cosine `_COSINE` to those given."""
    noise = np.random.default_rng(seed).standard_normal(vectors.shape, dtype=np.float32)
    noise *= (1 - _COSINE**2) ** 0.5 / np.linalg.norm(noise, axis=1, keepdims=True)
    near: Vectors = _COSINE * vectors + noise
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    return near


def _document(number: int, text: str) -> Document:
    name = f"{number:06}.txt"
    return Document("benchmark", name, f"benchmark/{name}", name, text)


def _lines(document: Document) -> list[Chunk]:
    """One chunk a line."""
    chunks: list[Chunk] = []
    start = 0
    for ordinal, line in enumerate(document.text.split("\n")):
        span = Span(start, start + len(line))
        chunks.append(
            Chunk(
                doc_id=document.id,
                revision=document.revision,
                ordinal=ordinal,
                span=span,
                text=line,
                source=document.source,
                name=document.name,
                places=document.places(span),
            )
        )
        start = span.end + 1
    return chunks
