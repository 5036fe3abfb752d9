"""How much of what was retrieved says the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.embedding.base import Vectors

__all__ = ["redundancy"]


def redundancy(
    vectors: Vectors, passages: Sequence[int], lengths: NDArray[np.floating], alike: float
) -> float:
    """The share of the text that another passage says as well, in [0, 1].

    A sentence is said elsewhere where a sentence of another passage has at least the cosine
    `alike` with it; sentences count by their lengths.

    Args:
        vectors: of the sentences, unit length, shape (sentences, dimension).
        passages: the passage of each.
        lengths: of each.
        alike: a cosine.
    """
    if not len(vectors):
        return 0.0
    cosines = vectors @ vectors.T
    of = np.asarray(passages)
    cosines[of[:, None] == of[None, :]] = -1.0
    said = cosines.max(axis=1) >= alike
    return float(lengths[said].sum() / max(float(lengths.sum()), 1e-9))
