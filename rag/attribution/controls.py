"""Controls: what any method has to beat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from math import log

import numpy as np

from rag.attribution.base import TokenScores
from rag.attribution.encoder import Encoded, FrozenEncoder

__all__ = ["Lexical", "Random"]


class Random:
    """Scores that mean nothing: the same for the same text and seed, uniform in [0, 1)."""

    name = "random"
    query_aware = False
    bias = None

    def __init__(self, encoder: FrozenEncoder, *, seed: int = 0) -> None:
        self._encoder = encoder
        self._seed = seed

    def readout(self, query: str | None = None) -> None:
        """None to choose."""

    def scores(
        self,
        texts: Sequence[str],
        *,
        query: str | None = None,
        pairs: Sequence[str] | None = None,
    ) -> list[TokenScores]:
        """Score each text; the query changes nothing."""

        def drawn(encoded: Encoded) -> np.ndarray:
            mark = blake2b(repr((self._seed, encoded.ids)).encode(), digest_size=8).digest()
            return np.random.default_rng(int.from_bytes(mark)).random(len(encoded.ids))

        return [_scored(each, drawn) for each in self._encoder.encode(texts, pairs)]


class Lexical:
    """Rarity: log((1 + N) / (1 + n)) for a token in n of the N texts that are scored together.

    With a query, tokens that stand in it come before all others. One text alone says nothing of
    rarity; its tokens then count by how seldom they come in it.
    """

    name = "lexical"
    query_aware = True
    bias = None

    def __init__(self, encoder: FrozenEncoder) -> None:
        self._encoder = encoder

    def readout(self, query: str | None = None) -> None:
        """None to choose."""

    def scores(
        self,
        texts: Sequence[str],
        *,
        query: str | None = None,
        pairs: Sequence[str] | None = None,
    ) -> list[TokenScores]:
        """Score each text."""
        if not texts:
            return []
        encoded = self._encoder.encode(texts, pairs)
        asked = set(self._encoder.encode([query])[0].ids) if query is not None else set()
        if len(encoded) > 1:
            counts = Counter(token for each in encoded for token in set(each.ids))
        else:
            counts = Counter(encoded[0].ids)
        whole = max(len(encoded), max(counts.values()))

        def rarity(each: Encoded) -> np.ndarray:
            found = [
                log((1 + whole) / (1 + counts[token])) + (log(1 + whole) if token in asked else 0.0)
                for token in each.ids
            ]
            return np.array(found)

        return [_scored(each, rarity) for each in encoded]


def _scored(encoded: Encoded, score: Callable[[Encoded], np.ndarray]) -> TokenScores:
    return TokenScores(
        encoded.tokens, encoded.offsets, np.asarray(score(encoded), np.float64), encoded.ranked
    )
