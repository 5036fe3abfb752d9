"""What an attribution method is, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Attributor", "TokenScores"]


@dataclass(frozen=True, slots=True)
class TokenScores:
    """A score for every position of a text as the model read it, special tokens included.

    Args:
        tokens: the tokens.
        offsets: where each stands in its own text, shape (T, 2); [0, 0] of special tokens.
        scores: higher is more salient; only their order and proportion inside one text mean
            something. Shape (T,).
        ranked: which positions belong to the text that is to be pruned: not special tokens, not
            the first text of a pair. Shape (T,).
    """

    tokens: tuple[str, ...]
    offsets: NDArray[np.int64]
    scores: NDArray[np.float64]
    ranked: NDArray[np.bool_]


class Attributor(Protocol):
    """Scores the tokens of texts."""

    @property
    def name(self) -> str:
        """The method."""

    @property
    def query_aware(self) -> bool:
        """Whether a query changes its scores."""

    @property
    def bias(self) -> str | None:
        """Where it puts biases; None where there is no choice."""

    def readout(self, query: str | None = None) -> str | None:
        """What it makes of contributions, with or without a query; None where nothing."""

    def scores(
        self,
        texts: Sequence[str],
        *,
        query: str | None = None,
        pairs: Sequence[str] | None = None,
    ) -> list[TokenScores]:
        """Score each text.

        Args:
            texts: what is to be scored; with `pairs`, the first text of each pair.
            query: what the scores should be about; methods without a use for it say so and
                refuse one.
            pairs: the second texts, which are then the ones to be ranked.

        Raises:
            UsageError: the method needs a query, or can do nothing with one.
            ModelError: the encoder is not of a kind it knows, or a text is longer than it reads.
        """
