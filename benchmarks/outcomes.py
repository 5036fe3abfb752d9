"""A figure of one system on one task, with what it was made from, so that two can be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from report import interval

from eval.stats import Interval, bootstrap

__all__ = ["Outcome", "Values", "cell", "mean_of", "precision_of", "spearman_of"]

Values = NDArray[np.float64]
Statistic = Callable[[Values], float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a statistic finds in some samples.

    Args:
        samples: shape (units, columns); units are what is drawn again: questions, pairs, chunks.
        statistic: of such an array.
    """

    samples: Values
    statistic: Statistic

    @property
    def value(self) -> float:
        """The figure."""
        return self.statistic(self.samples)

    @property
    def bounds(self) -> Interval:
        """Its 95 % bootstrap interval."""
        if self.statistic is _mean:
            return bootstrap(self.samples)[0]
        return Interval(*interval(self.statistic, self.samples))

    def gain(self, base: Outcome) -> tuple[float, Interval]:
        """By how much it is above another system's on the same units, paired; and the interval."""
        gain = self.value - base.value
        if self.statistic is _mean:
            return gain, bootstrap(self.samples - base.samples)[0]
        width = self.samples.shape[1]

        def difference(rows: Values) -> float:
            return self.statistic(rows[:, :width]) - base.statistic(rows[:, width:])

        return gain, Interval(*interval(difference, np.hstack([self.samples, base.samples])))


def cell(value: float, bounds: Interval, sign: str = "") -> str:
    """A figure and its interval, for a table."""
    low, high = bounds
    return f"{value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def mean_of(values: Sequence[float] | Values) -> Outcome:
    """The mean over units."""
    return Outcome(np.asarray(values, dtype=np.float64)[:, None], _mean)


def spearman_of(given: Sequence[float], found: Sequence[float] | Values) -> Outcome:
    """The rank correlation of what people said of pairs with what a system says."""
    return Outcome(np.column_stack([given, found]), _spearman)


def precision_of(labels: Sequence[bool], found: Sequence[float] | Values) -> Outcome:
    """Average precision of a ranking of pairs by similarity, against labels."""
    return Outcome(np.column_stack([labels, found]), _precision)


def _mean(rows: Values) -> float:
    return float(rows.mean())


def _spearman(rows: Values) -> float:
    from scipy.stats import spearmanr  # type: ignore[import-untyped]

    return float(spearmanr(rows[:, 0], rows[:, 1]).statistic)


def _precision(rows: Values) -> float:
    from sklearn.metrics import average_precision_score  # type: ignore[import-untyped]

    return float(average_precision_score(rows[:, 0], rows[:, 1]))
