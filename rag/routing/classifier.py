"""The classifier of questions: how probable each route is, and how many of them to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

from rag.embedding.base import Embedder
from rag.embedding.lexical import LexicalEncoder
from rag.errors import IndexMismatch
from rag.routing.calibration import softmax
from rag.routing.vocabulary import COLUMNS, evidence

__all__ = ["RouteClassifier", "fewest"]


class RouteClassifier(BaseModel):
    """p(route) = softmax((weights @ features + bias) / temperature + trust x evidence of words).

    `weights` has a row for each of the `routes` and a column for each feature; `counts` has a row
    of `rag.routing.vocabulary`'s. `embedder` is the fingerprint of the one model that embeds the
    questions of all routes, `language` that of the words: with others the numbers mean nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    routes: tuple[str, ...] = Field(min_length=2)
    embedder: str
    language: str
    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    temperature: float = Field(gt=0, allow_inf_nan=False)
    counts: tuple[tuple[NonNegativeInt, ...], ...] = ()
    trust: float = Field(0.0, ge=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_of_each(self) -> RouteClassifier:
        if not len(set(self.routes)) == len(self.weights) == len(self.bias) == len(self.routes):
            raise ValueError("a row of weights and a bias for each route, no route twice")
        if len({len(row) for row in self.weights}) != 1:
            raise ValueError("rows of weights of different lengths")
        if self.counts and [len(row) for row in self.counts] != [COLUMNS] * len(self.routes):
            raise ValueError(f"counts that are not {COLUMNS} for each route")
        return self

    def require(self, embedder: Embedder) -> None:
        """Refuse any embedder but the one it was fitted with.

        Raises:
            IndexMismatch: naming both.
        """
        if embedder.fingerprint != self.embedder:
            raise IndexMismatch(
                f"the routes were fitted with {self.embedder}, not with {embedder.fingerprint}",
                hint="fit them again with `rag route fit`, or set embedding.precision, "
                "embedding.backend and embedding.device as they were",
            )

    def logits(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Before calibration, shape (texts, features) -> (texts, routes)."""
        product = matrix.astype(np.float64) @ np.array(self.weights).T
        return np.asarray(product + np.array(self.bias))

    def evidence(self, texts: Sequence[str], lexical: LexicalEncoder) -> NDArray[np.float64]:
        """What the texts' words say of each route, shape (texts, routes)."""
        if not self.counts:
            return np.zeros((len(texts), len(self.routes)))
        return evidence(self._counts, texts, lexical)

    def probabilities(
        self, matrix: NDArray[np.float32], words: NDArray[np.float64] | float = 0.0
    ) -> NDArray[np.float64]:
        """Of each route, shape (texts, routes); a row sums to 1.

        Args:
            matrix: features, shape (texts, features).
            words: the evidence of the same texts, where that is to count.
        """
        return softmax(self.logits(matrix) / self.temperature + self.trust * words)

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        return np.array(self.counts, dtype=np.int64)


def fewest(probabilities: Mapping[str, float], coverage: float, most: int) -> tuple[str, ...]:
    """The fewest of the most probable that together reach `coverage`, and at most `most`.

    Best first; of equals in order of name. At least one.

    >>> fewest({"law": 0.3, "finance": 0.6, "cyber": 0.1}, coverage=0.8, most=3)
    ('finance', 'law')
    """
    taken: list[str] = []
    reached = 0.0
    for name in sorted(probabilities, key=lambda each: (-probabilities[each], each)):
        if taken and (reached >= coverage or len(taken) == most):
            break
        taken.append(name)
        reached += probabilities[name]
    return tuple(taken)
