from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from eval.stats import Interval, bootstrap

columns = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12)


def one(values: list[float] | NDArray[np.float64], **options: float) -> Interval:
    """The interval of a single column."""
    (found,) = bootstrap(np.asarray(values, dtype=np.float64).reshape(-1, 1), **options)  # type: ignore[arg-type]
    return found


@hypothesis_settings(max_examples=40)
@given(columns)
def test_an_interval_lies_within_the_values(values: list[float]) -> None:
    low, high = one(values, resamples=200)
    slack = 1e-9 + 1e-9 * max(map(abs, values))
    assert min(values) - slack <= low <= high <= max(values) + slack


def test_an_interval_holds_the_mean() -> None:
    chance = np.random.default_rng(1)
    for _ in range(20):
        values = chance.exponential(size=50)
        low, high = one(values, resamples=1_000)
        assert low < values.mean() < high


def test_the_same_values_have_the_same_interval() -> None:
    values = np.random.default_rng(2).normal(size=(40, 3))
    assert bootstrap(values) == bootstrap(values.copy())


def test_equal_values_leave_no_doubt() -> None:
    assert one([0.3] * 9) == pytest.approx((0.3, 0.3))
    assert one([5.0]) == (5.0, 5.0)


def test_each_column_has_an_interval_and_all_are_drawn_from_the_same_resamples() -> None:
    values = np.random.default_rng(3).normal(size=(30, 1))
    found = bootstrap(np.hstack([values, 2 * values + 1, -values]))
    assert found[1] == pytest.approx([2 * edge + 1 for edge in found[0]])
    assert found[2] == pytest.approx([-found[0].high, -found[0].low])
    assert found[0] == pytest.approx(one(values[:, 0]))


def test_more_data_is_a_narrower_interval_by_the_root_of_its_count() -> None:
    values = np.random.default_rng(4).normal(size=6_400)
    widths = []
    for count in (100, 400, 1_600, 6_400):
        low, high = one(values[:count], resamples=1_000)
        widths.append(high - low)
    for wide, narrow in pairwise(widths):
        assert narrow == pytest.approx(wide / 2, rel=0.25)


def test_a_higher_level_is_a_wider_interval() -> None:
    values = np.random.default_rng(5).normal(size=50)
    narrow, wide = one(values, level=0.8), one(values, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_it_is_as_wide_as_theory_has_it() -> None:
    values = np.random.default_rng(6).normal(size=2_000)
    low, high = one(values)
    error = values.std() / np.sqrt(len(values))
    assert (values.mean() - low, high - values.mean()) == pytest.approx([1.96 * error] * 2, rel=0.1)


@pytest.mark.parametrize(
    ("name", "true_mean"), [("normal", 0.0), ("coins", 0.3), ("skewed", 1.0), ("difference", 0.1)]
)
def test_about_nineteen_intervals_in_twenty_hold_the_true_mean(name: str, true_mean: float) -> None:
    chance = np.random.default_rng(7)
    draws = {
        "normal": lambda: chance.normal(size=80),
        "coins": lambda: (chance.random(80) < 0.3).astype(float),
        "skewed": lambda: chance.exponential(size=80),
        "difference": lambda: chance.normal(0.6, 0.5, size=80) - chance.normal(0.5, 0.5, size=80),
    }
    held = 0
    for _ in range(300):
        low, high = one(draws[name](), resamples=500)
        held += low <= true_mean <= high
    assert 0.91 <= held / 300 <= 0.98


def test_large_sets_are_drawn_in_blocks_that_change_nothing() -> None:
    values = np.random.default_rng(8).normal(size=30_000)  # 66 resamples a block
    low, high = one(values, resamples=400)
    error = values.std() / np.sqrt(len(values))
    assert (values.mean() - low, high - values.mean()) == pytest.approx([1.96 * error] * 2, rel=0.2)


def test_of_no_question_there_is_an_interval_of_nothing() -> None:
    assert bootstrap(np.zeros((0, 2))) == [(0.0, 0.0), (0.0, 0.0)]
    assert bootstrap(np.zeros((0, 0))) == []


@pytest.mark.parametrize(
    ("interval", "wanted"),
    [((0.1, 0.2), True), ((-0.2, -0.1), True), ((-0.1, 0.1), False), ((0, 0.1), False),
     ((-0.1, 0), False), ((0, 0), False)],
)  # fmt: skip
def test_nought_is_left_out_only_by_an_interval_on_one_side_of_it(
    interval: tuple[float, float], wanted: bool
) -> None:
    assert Interval(*interval).excludes_zero is wanted
