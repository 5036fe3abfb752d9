"""Embedders: what turns text into vectors, dense and lexical."""

from rag.embedding.base import Embedder, Vectors
from rag.embedding.context import embedded_text
from rag.embedding.lexical import LexicalEncoder, SparseVector

__all__ = ["Embedder", "LexicalEncoder", "SparseVector", "Vectors", "embedded_text"]
