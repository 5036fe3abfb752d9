"""Bags of words as vectors: the baseline that every embedder must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag.embedding.base import Vectors
from rag.embedding.lexical import LexicalEncoder

__all__ = ["HashedWords"]


class HashedWords:
    """Stemmed words, hashed into so many dimensions with signs, as unit vectors.

    A word weighs what BM25 gives it for its frequency in the text, times its rarity in the corpus.

    Args:
        corpus: the texts that words are rare in.
        dimension: with 4,096 hardly two words of a text fall together; with few, many do.
        weighted: False counts every word of a text once.
    """

    def __init__(
        self, corpus: Sequence[str], dimension: int = 4_096, *, weighted: bool = True
    ) -> None:
        self._lexical = LexicalEncoder()
        self._weighted = weighted
        self.dimension = dimension
        self._total = len(corpus)
        self._holding: dict[int, int] = {}
        for vector in self._lexical.encode_documents(corpus):
            for term in vector.indices:
                self._holding[term] = self._holding.get(term, 0) + 1

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts, shape (texts, dimension); a text without words is all zeros."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, found in zip(vectors, self._lexical.encode_documents(texts), strict=True):
            terms = np.asarray(found.indices, dtype=np.int64)
            signs = 1 - 2 * (terms // self.dimension % 2)
            weights = self._weights(found.indices, found.values)
            np.add.at(row, terms % self.dimension, signs * weights)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors

    embed_queries = embed_documents

    def _weights(self, terms: Sequence[int], frequencies: Sequence[float]) -> Vectors:
        if not self._weighted:
            return np.ones(len(terms), dtype=np.float32)
        holding = np.array([self._holding.get(term, 0) for term in terms], dtype=np.float32)
        rarity = np.log1p((self._total - holding + 0.5) / (holding + 0.5))
        return np.asarray(frequencies, dtype=np.float32) * rarity
