"""Lexical vectors: the Qdrant engine's own BM25, the same on every backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qdrant_edge import Bm25, Bm25Config

from rag.errors import ConfigError

__all__ = ["LexicalEncoder", "SparseVector"]


class SparseVector(NamedTuple):
    """Term ids and their weights."""

    indices: list[int]
    values: list[float]


class LexicalEncoder:
    """BM25 term weights; the store multiplies by the inverse document frequency (IDF).

    Stemming and stop words are those of `language` (an English name as Qdrant spells it).

    Raises:
        ConfigError: the engine has no such language.
    """

    def __init__(self, language: str = "english") -> None:
        try:
            self._bm25 = Bm25(Bm25Config(language=language))
        except Exception as error:  # the binding raises bare Exception
            raise ConfigError(
                f"no lexical analysis for language {language!r}",
                hint="set lexical.language to an English language name, e.g. english or german",
            ) from error
        self.fingerprint = f"bm25:{language}"

    def encode_documents(self, texts: Sequence[str]) -> list[SparseVector]:
        """Term weights of passages (saturated and normalised by length)."""
        vectors = map(self._bm25.embed_document, texts)
        return [SparseVector(vector.indices, vector.values) for vector in vectors]

    def encode_query(self, text: str) -> SparseVector:
        """Term weights of a question (1 for each distinct term)."""
        vector = self._bm25.embed_query(text)
        return SparseVector(vector.indices, vector.values)
