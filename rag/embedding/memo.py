"""An embedder that remembers: stages of one question look at the same sentences."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

import numpy as np

from rag.embedding.base import Embedder, Vectors
from rag.tokens import TokenCounter

__all__ = ["RememberingEmbedder"]


class RememberingEmbedder:
    """Embeds no text again that it embedded lately. Otherwise as the embedder it is made of.

    Args:
        embedder: who embeds.
        remembered: how many texts, questions and passages each; 20,000 vectors of 384 numbers
            take 30 MB.
    """

    def __init__(self, embedder: Embedder, remembered: int = 20_000) -> None:
        self._embedder = embedder
        self._remembered = remembered
        self._documents: OrderedDict[str, Vectors] = OrderedDict()
        self._queries: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = Lock()  # several questions may be under way at once

    @property
    def name(self) -> str:
        """Of the embedder."""
        return self._embedder.name

    @property
    def fingerprint(self) -> str:
        """Of the embedder."""
        return self._embedder.fingerprint

    @property
    def dimension(self) -> int:
        """Of the embedder."""
        return self._embedder.dimension

    @property
    def max_tokens(self) -> int:
        """Of the embedder."""
        return self._embedder.max_tokens

    @property
    def reserved_tokens(self) -> int:
        """Of the embedder."""
        return self._embedder.reserved_tokens

    @property
    def counter(self) -> TokenCounter:
        """Of the embedder."""
        return self._embedder.counter

    def load(self) -> None:
        """As the embedder."""
        self._embedder.load()

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages, shape (texts, dimension)."""
        return self._recalled(texts, self._documents, self._embedder.embed_documents)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions, shape (texts, dimension)."""
        return self._recalled(texts, self._queries, self._embedder.embed_queries)

    def _recalled(
        self,
        texts: Sequence[str],
        known: OrderedDict[str, Vectors],
        embed: Callable[[Sequence[str]], Vectors],
    ) -> Vectors:
        with self._lock:
            new = [text for text in dict.fromkeys(texts) if text not in known]
            found = dict(zip(new, embed(new), strict=True)) if new else {}
            for text in dict.fromkeys(texts):
                if text in known:
                    known.move_to_end(text)
                    found[text] = known[text]
                known[text] = found[text]
            while len(known) > self._remembered:
                known.popitem(last=False)
        rows = [found[text] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), self.dimension)
