"""The words of each route: how often each stands in its documents, and what that says of a text.

The regression (`rag.routing.fit`) sees a few thousand sentences, which hold few of the names that
tell fields apart. Counting sees every word, and needs nothing but the counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.embedding.lexical import LexicalEncoder

__all__ = ["COLUMNS", "counted", "evidence"]

COLUMNS = 16_384
"""Words are told apart by their hash; two may share a column."""

_PRIOR = 0.3  # sentences that every word is said to stand in besides


def counted(sentences: Iterable[str], lexical: LexicalEncoder) -> NDArray[np.int64]:
    """In how many sentences each word stands, shape (COLUMNS,)."""
    counts = np.zeros(COLUMNS, dtype=np.int64)
    for sentence in sentences:
        counts[_columns(sentence, lexical)] += 1
    return counts


def evidence(
    counts: NDArray[np.int64], texts: Sequence[str], lexical: LexicalEncoder
) -> NDArray[np.float64]:
    """The log-likelihood of each text's distinct words under each route, shape (texts, routes).

    That of a multinomial naive Bayes with a flat prior; only differences between routes say
    anything. A word that no route knows says nothing: it would speak for the shortest documents.

    Args:
        counts: of each route, shape (routes, COLUMNS).
        texts: sentences or questions.
        lexical: what the words were counted with.
    """
    totals = counts.sum(axis=1) + _PRIOR * COLUMNS
    known = counts.sum(axis=0) > 0
    found = np.zeros((len(texts), len(counts)))
    for row, text in zip(found, texts, strict=True):
        columns = _columns(text, lexical)
        seen = counts[:, columns[known[columns]]]
        row[:] = np.log((seen + _PRIOR) / totals[:, None]).sum(axis=1)
    return found


def _columns(text: str, lexical: LexicalEncoder) -> NDArray[np.int64]:
    return np.unique(np.asarray(lexical.encode_query(text).indices, dtype=np.int64) % COLUMNS)
