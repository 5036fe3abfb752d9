"""Groups of passages by k-means over their embeddings, and how many groups to make.

Source: Akesson and Santos, "Clustered Retrieved Augmented Generation" (2406.00029): k-means over
sentence embeddings. Its k is said to be 4 by one re-implementation, and not confirmed. Departures:
vectors have unit length, so that distance is cosine; k can follow the data.
"""

from __future__ import annotations

import re
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from rag.embedding.base import Vectors
from rag.errors import ConfigError

__all__ = ["group"]

_MOST = 8  # groups that `silhouette` tries
_POLICY = re.compile(r"fixed:([1-9]\d*)|silhouette|sqrt")


def group(vectors: Vectors, policy: str, seed: int = 0) -> NDArray[np.int64]:
    """The group of each passage, numbered in the order of their first (best) passage.

    Args:
        vectors: unit length, best passage first, shape (passages, dimension).
        policy: "fixed:4" (or another number), "silhouette" (the best silhouette of 2 to 8 groups)
            or "sqrt" (of the number of passages, rounded up).
        seed: of k-means; the same passages are always grouped alike.

    Raises:
        ConfigError: there is no such policy.

    >>> import numpy as np
    >>> group(np.eye(3, dtype=np.float32)[[2, 0, 2, 0]], "fixed:2").tolist()
    [0, 1, 0, 1]
    """
    match = _POLICY.fullmatch(policy)
    if match is None:
        raise ConfigError(
            f"no way to group called {policy!r}", hint="set fixed:4, silhouette or sqrt"
        )
    distinct, of = np.unique(vectors.round(5), axis=0, return_inverse=True)
    if len(distinct) < 2:
        return np.zeros(len(vectors), dtype=np.int64)
    if policy == "silhouette":
        labels = _by_silhouette(distinct, seed)
    else:
        wanted = int(match[1]) if match[1] else _ceil_sqrt(len(vectors))
        labels = _k_means(distinct, min(wanted, len(distinct)), seed)
    return _renumbered(labels[of.reshape(-1)])


def _by_silhouette(vectors: Vectors, seed: int) -> NDArray[np.int64]:
    from sklearn.metrics import silhouette_score  # type: ignore[import-untyped]

    tried = [_k_means(vectors, count, seed) for count in range(2, min(_MOST, len(vectors) - 1) + 1)]
    if not tried:  # two passages are two groups
        return np.arange(len(vectors), dtype=np.int64)
    return max(tried, key=lambda labels: float(silhouette_score(vectors, labels)))


def _k_means(vectors: Vectors, count: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans  # type: ignore[import-untyped]

    if count >= len(vectors):
        return np.arange(len(vectors), dtype=np.int64)
    found = KMeans(count, n_init=10, random_state=seed).fit(vectors)
    return np.asarray(found.labels_, dtype=np.int64)


def _ceil_sqrt(number: int) -> int:
    return isqrt(number - 1) + 1


def _renumbered(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    order = {label: number for number, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([order[label] for label in labels.tolist()], dtype=np.int64)
