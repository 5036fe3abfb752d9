from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.cost import Cost, cost

amounts = st.lists(st.floats(0, 1e6), min_size=1, max_size=20)


def test_a_quantity_worked_by_hand() -> None:
    found = cost([6, 1, 2, 11])
    assert (found.mean, found.median, found.total) == (5.0, 4.0, 20.0)
    assert found.p95 == pytest.approx(6 + 0.85 * 5)  # at 2.85 of the ranks 0 to 3


def test_of_one_question_every_summary_is_its_own() -> None:
    assert cost([7]) == Cost(7.0, 7.0, 7.0, 7.0)


def test_of_no_question_all_is_nought() -> None:
    assert cost([]) == Cost(0.0, 0.0, 0.0, 0.0)


@given(amounts)
def test_summaries_lie_within_the_values(values: list[float]) -> None:
    found = cost(values)
    low, high = min(values), max(values)
    for each in (found.mean, found.median, found.p95):
        assert low - 1e-6 <= each <= high + 1e-6
    assert found.total == pytest.approx(sum(values))
    assert found.median <= found.p95
