"""Texts of like length together: bounded memory, little padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rag.attribution.base import TokenScores
from rag.attribution.encoder import Encoded

if TYPE_CHECKING:
    import torch

__all__ = ["score_in_batches"]

_BATCH_POSITIONS = 2_048  # padded positions in one pass
_BATCH_PAIRS = 1 << 19  # padded pairs of positions: attention is quadratic


def score_in_batches(
    encoded: Sequence[Encoded], score: Callable[[Sequence[Encoded]], torch.Tensor]
) -> list[TokenScores]:
    """Score texts in batches and hand them back in their order.

    Args:
        encoded: the texts.
        score: scores of a batch, shape (B, T), padded on the right.
    """
    found: dict[int, TokenScores] = {}
    for batch in _batches([len(each.ids) for each in encoded]):
        rows = score([encoded[at] for at in batch]).double().cpu().numpy()
        for at, row in zip(batch, rows, strict=True):
            each = encoded[at]
            found[at] = TokenScores(
                each.tokens, each.offsets, np.array(row[: len(each.ids)]), each.ranked
            )
    return [found[at] for at in range(len(encoded))]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    for at in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        width = lengths[batch[0] if batch else at]
        rows = len(batch) + 1
        if batch and (rows * width > _BATCH_POSITIONS or rows * width**2 > _BATCH_PAIRS):
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch
