"""Uncertainty: percentile bootstrap over questions.

Every statistic of a run is drawn from the same resamples of its questions, and two runs that are
compared share theirs, so differences are paired. Questions are taken for independent; those about
one document are not quite, so intervals are somewhat too narrow where documents are few.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVEL", "Interval", "bootstrap"]

RESAMPLES = 5_000
LEVEL = 0.95
SEED = 20_260_101
_BLOCK = 2_000_000  # resampled values held at a time


class Interval(NamedTuple):
    """A confidence interval of a mean."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the mean is told from nought at this level."""
        return self.low > 0 or self.high < 0


def bootstrap(
    values: NDArray[np.float64], *, resamples: int = RESAMPLES, level: float = LEVEL
) -> list[Interval]:
    """The percentile interval of the mean of each column.

    Args:
        values: shape (questions, columns). For two runs: the differences, question by question.
        resamples: how often to draw as many questions, with replacement, as there are.
        level: how often such an interval should hold the true mean.

    Returns:
        One interval a column; the same for the same values, always: the seed is fixed.
    """
    count, columns = values.shape
    if not count:
        return [Interval(0.0, 0.0)] * columns
    chance = np.random.default_rng(SEED)
    block = max(1, _BLOCK // count)
    means: list[NDArray[np.float64]] = []
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = chance.integers(0, count, size=(rows, count))
        # How often each question was drawn: one product then resamples every column.
        drawn += count * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        means.append(weights @ values / count)
    tail = 50 * (1 - level)
    low, high = np.percentile(np.concatenate(means), (tail, 100 - tail), axis=0)
    return [Interval(float(a), float(b)) for a, b in zip(low, high, strict=True)]
