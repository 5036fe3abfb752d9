"""Cost: tokens, calls and seconds, over the questions of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Cost", "cost"]


@dataclass(frozen=True, slots=True)
class Cost:
    """One quantity over questions: its mean, median, 95th percentile and sum."""

    mean: float
    median: float
    p95: float
    total: float


def cost(values: Sequence[float]) -> Cost:
    """Summarise one quantity; all zero where there is no question.

    >>> cost([1, 2, 6]).mean
    3.0
    """
    if not len(values):
        return Cost(0.0, 0.0, 0.0, 0.0)
    found = np.asarray(values, dtype=np.float64)
    median, p95 = np.percentile(found, (50, 95))
    return Cost(float(found.mean()), float(median), float(p95), float(found.sum()))
