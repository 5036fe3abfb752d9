"""Plain exact retrieval over any chunks: by the bundled embedder in float32, or by BM25."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from report import say
from scipy.sparse import csr_array  # type: ignore[import-untyped]

from eval.located import Located
from rag.embedding.base import Embedder, Vectors
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.lexical import LexicalEncoder, SparseVector
from rag.embedding.registry import BUNDLED, bundled_model
from rag.ids import digest

__all__ = [
    "CACHE",
    "DenseSearch",
    "LexicalSearch",
    "document_vectors",
    "plain_embedder",
    "texts_of",
]

CACHE = Path(tempfile.gettempdir()) / "spanrag-benchmarks"
_PART = 2_000  # texts embedded between two lines of progress


def plain_embedder() -> SentenceTransformerEmbedder:
    """The bundled model as everybody else loads it: float32, texts cut at 256 tokens."""
    return SentenceTransformerEmbedder(bundled_model(), name=BUNDLED, precision="float32")


def texts_of(chunks: Sequence[Located], texts: Mapping[str, str]) -> list[str]:
    """What stands in each chunk."""
    return [chunk.span.text_in(texts[chunk.doc]) for chunk in chunks]


class DenseSearch:
    """Exact search by cosine.

    Args:
        embedder: of texts and questions.
        texts: what is searched.
        cache: a folder where vectors are kept, under a digest of embedder and texts.
        what: names the texts in lines of progress.
    """

    def __init__(
        self, embedder: SentenceTransformerEmbedder, texts: Sequence[str], cache: Path, what: str
    ) -> None:
        self._embedder = embedder
        self._vectors = document_vectors(embedder, texts, cache, what)

    def rank(self, question: str, top: int) -> list[int]:
        """The numbers of the best texts, best first; of equals the first."""
        return self.rank_all([question], top)[0]

    def rank_all(self, questions: Sequence[str], top: int) -> list[list[int]]:
        """`rank` of each question."""
        scores = self._embedder.embed_queries(questions) @ self._vectors.T
        return [_best(row, top) for row in scores]


def document_vectors(embedder: Embedder, texts: Sequence[str], cache: Path, what: str) -> Vectors:
    """Vectors of texts, kept in the folder `cache` under a digest of embedder and texts."""
    path = cache / "vectors" / f"{digest([embedder.fingerprint, list(texts)])[:24]}.npy"
    if not path.is_file():
        parts: list[Vectors] = []
        for start in range(0, len(texts), _PART):
            say(f"embedding {what}: {start:,} of {len(texts):,} chunks")
            parts.append(embedder.embed_documents(texts[start : start + _PART]))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.concatenate(parts))
    vectors: Vectors = np.load(path)
    return vectors


class LexicalSearch:
    """BM25 over all texts, with the term weights of spanrag's index and the engine's IDF.

    idf(t) = ln(1 + (N - n + 0.5) / (n + 0.5)), n of N texts hold t.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._encoder = LexicalEncoder()
        found = self._encoder.encode_documents(texts)
        terms = {term for vector in found for term in vector.indices}
        self._columns = {term: column for column, term in enumerate(sorted(terms))}
        self._weights = self._matrix(found)
        holding = np.bincount(self._weights.indices, minlength=len(self._columns))
        self._idf = np.log1p((len(texts) - holding + 0.5) / (holding + 0.5))

    def rank(self, question: str, top: int) -> list[int]:
        """The numbers of the best texts, best first; only such as share a term with it."""
        asked = self._matrix([self._encoder.encode_query(question)]).toarray()[0]
        scores = self._weights @ (asked * self._idf)
        return [at for at in _best(scores, top) if scores[at] > 0]

    def _matrix(self, vectors: Sequence[SparseVector]) -> csr_array:
        """Shape (texts, terms); a term no text holds is left out."""
        triples = [
            (value, row, self._columns[term])
            for row, vector in enumerate(vectors)
            for term, value in zip(vector.indices, vector.values, strict=True)
            if term in self._columns
        ]
        values, rows, columns = zip(*triples, strict=True) if triples else ((), (), ())
        return csr_array((values, (rows, columns)), (len(vectors), len(self._columns)))


def _best(scores: NDArray[np.floating], top: int) -> list[int]:
    found: list[int] = np.argsort(-scores, kind="stable")[:top].tolist()
    return found
