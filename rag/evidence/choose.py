"""From the probability that each unit is evidence to the set that is kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_iou", "enough_recall"]

Vector = NDArray[np.floating]


def best_iou(probabilities: Vector, lengths: Vector, recall_weight: float = 1.0) -> int:
    """How many of the ranked units to keep for the greatest expected IoU, at least one.

    With p_i the share of unit i that is expected to be reference and l_i its length, the first k
    have E[IoU] ~ sum_{i<=k} p_i l_i / (sum_{i<=k} l_i + w sum_{i>k} p_i l_i): the expected
    overlap over what is kept or expected to be missed. w = 1 is the IoU itself; a greater w makes
    what is missed cost more.

    Args:
        probabilities: of the units, best first.
        lengths: of the same, in any unit.
        recall_weight: w.
    """
    mass = probabilities * lengths
    held = np.cumsum(mass)
    expected = held / (np.cumsum(lengths) + recall_weight * (held[-1] - held))
    return int(np.argmax(expected)) + 1


def enough_recall(probabilities: Vector, lengths: Vector, target: float) -> int:
    """How many of the ranked units hold the share `target` of what is expected, at least one."""
    held = np.cumsum(probabilities * lengths)
    return min(int(np.searchsorted(held, target * held[-1] - 1e-12)) + 1, len(held))
