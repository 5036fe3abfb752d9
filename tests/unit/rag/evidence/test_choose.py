"""The rule that turns probabilities into a set, against trying every prefix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.evidence.choose import best_iou, enough_recall

UNITS = st.lists(
    st.tuples(st.floats(0.001, 0.999), st.integers(1, 400)), min_size=1, max_size=12
).map(lambda found: sorted(found, reverse=True))


def split(units: list[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p for p, _ in units]), np.array([float(length) for _, length in units])


@given(UNITS, st.floats(0.1, 10))
def test_the_best_prefix_is_found(units: list[tuple[float, int]], weight: float) -> None:
    def expected(count: int) -> float:
        held = sum(p * length for p, length in units[:count])
        missed = sum(p * length for p, length in units[count:])
        return held / (sum(length for _, length in units[:count]) + weight * missed)

    count = best_iou(*split(units), weight)
    assert 1 <= count <= len(units)
    assert expected(count) == pytest.approx(max(map(expected, range(1, len(units) + 1))))


@given(UNITS, st.floats(0.01, 1))
def test_no_shorter_prefix_holds_the_target(units: list[tuple[float, int]], target: float) -> None:
    mass = [p * length for p, length in units]
    count = enough_recall(*split(units), target)
    assert sum(mass[:count]) >= target * sum(mass) - 1e-9
    assert count == 1 or sum(mass[: count - 1]) < target * sum(mass)


def test_a_certain_unit_is_kept_alone_and_equal_doubt_is_kept_together() -> None:
    lengths = np.full(4, 100.0)
    assert best_iou(np.array([0.99, 0.01, 0.01, 0.01]), lengths) == 1
    assert best_iou(np.full(4, 0.3), lengths) == 4
