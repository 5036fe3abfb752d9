"""What the router reads of a question: its vector, and its words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.embedding.base import Embedder
from rag.embedding.lexical import LexicalEncoder

__all__ = ["HASHED", "features"]

HASHED = 2_048
"""Columns of the words."""


def features(
    texts: Sequence[str], embedder: Embedder, lexical: LexicalEncoder
) -> NDArray[np.float32]:
    """One row a text, shape (texts, dimension + HASHED): its vector, then its words.

    A text is embedded as a question, whatever it is: questions are what will come. A word is a
    column, by its hash; two may share one. Both halves have length 1, so that neither outweighs
    the other. The words are there because a general model blurs those that tell fields apart:
    without them the log loss on unseen questions is a tenth greater (`benchmarks/routing.py`).
    """
    words = np.zeros((len(texts), HASHED), dtype=np.float32)
    for row, text in zip(words, texts, strict=True):
        row[[term % HASHED for term in lexical.encode_query(text).indices]] = 1.0
    words /= np.maximum(np.linalg.norm(words, axis=1, keepdims=True), 1.0)
    return np.concatenate((embedder.embed_queries(texts), words), axis=1)
