"""What an embedder is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.tokens import TokenCounter

__all__ = ["Embedder", "Vectors"]

Vectors = NDArray[np.float32]
"""Shape (texts, dimension); every row has length 1."""


class Embedder(Protocol):
    """Turns texts into unit vectors. Documents and questions are embedded differently."""

    @property
    def name(self) -> str:
        """The model, as a user would name it."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    @property
    def max_tokens(self) -> int:
        """The most tokens it reads, special tokens and prompt included."""

    @property
    def reserved_tokens(self) -> int:
        """How many of those its special tokens and its document prompt take."""

    @property
    def counter(self) -> TokenCounter:
        """Its own tokenizer, to measure with."""

    @property
    def fingerprint(self) -> str:
        """Names all that changes a vector: weights, precision, prompts, dimension."""

    def load(self) -> None:
        """Read the weights now, rather than when a vector is first asked for."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages, in the order given."""

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions, in the order given."""
