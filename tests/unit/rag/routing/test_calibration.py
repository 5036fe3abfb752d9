from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag.routing.calibration import (
    expected_calibration_error,
    fitted_temperature,
    log_loss,
    softmax,
)

LOGITS = st.integers(1, 30).flatmap(
    lambda count: arrays(np.float64, (count, 3), elements=st.floats(-20, 20))
)


def drawn(count: int, sharpness: float, seed: int = 0):
    """Logits that say the truth, times `sharpness`, and labels drawn by the truth."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(scale=2, size=(count, 3))
    labels = np.array([chance.choice(3, p=row) for row in softmax(logits)])
    return logits * sharpness, labels


def test_softmax_by_hand() -> None:
    row = softmax(np.log([[1.0, 2.0, 5.0]]) + 1_000)
    assert row[0] == pytest.approx([0.125, 0.25, 0.625])


@given(LOGITS)
def test_a_temperature_never_makes_the_loss_greater_nor_changes_an_order(logits) -> None:
    labels = np.arange(len(logits)) % 3
    temperature = fitted_temperature(logits, labels)
    assert log_loss(logits / temperature, labels) <= log_loss(logits, labels)
    assert (np.argsort(logits / temperature) == np.argsort(logits)).all()


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_the_temperature_undoes_what_makes_probabilities_wrong(sharpness: float) -> None:
    logits, labels = drawn(3_000, sharpness)
    temperature = fitted_temperature(logits, labels)
    assert temperature == pytest.approx(sharpness, rel=0.12)
    after = expected_calibration_error(softmax(logits / temperature), labels)
    assert after < 0.025
    if sharpness != 1:
        assert expected_calibration_error(softmax(logits), labels) > 3 * after


def test_a_dozen_texts_all_told_right_do_not_make_it_certain() -> None:
    logits, labels = np.eye(3)[[0, 1, 2] * 4], np.array([0, 1, 2] * 4)
    sure = softmax(logits / fitted_temperature(logits, labels)).max(axis=1)
    assert sure == pytest.approx(13 / 14, abs=1e-3)  # (n + 1) / (n + 2)


def test_the_loss_of_a_doubting_target_by_hand() -> None:
    # One text: its target is 2/3, and 1/3 for the other; both routes get 1/2.
    assert log_loss(np.zeros((1, 2)), np.array([0])) == pytest.approx(np.log(2))
    # p = (0.9, 0.1): -(2/3 ln 0.9 + 1/3 ln 0.1).
    row = np.log([[0.9, 0.1]])
    expected = -(2 * np.log(0.9) + np.log(0.1)) / 3
    assert log_loss(row, np.array([0])) == pytest.approx(expected)


def test_the_loss_of_weighted_texts_by_hand() -> None:
    # p = (0.9, 0.1) and (0.5, 0.5), weights 3 and 1: they say as much as 16 / 10 texts.
    doubt = 1 / 3.6
    sure = -((1 - doubt) * np.log(0.9) + doubt * np.log(0.1))
    logits = np.log([[0.9, 0.1], [0.5, 0.5]])
    found = log_loss(logits, np.array([0, 1]), np.array([3.0, 1.0]))
    assert found == pytest.approx((3 * sure + np.log(2)) / 4)


def test_a_weight_is_worth_as_many_texts() -> None:
    logits, labels = drawn(600, 3.0)
    times = np.where(labels == 0, 5, 1)
    weights = times.astype(np.float64)
    many, theirs = np.repeat(logits, times, axis=0), np.repeat(labels, times)
    alike = fitted_temperature(logits, labels)
    found = fitted_temperature(logits, labels, weights)
    assert found == pytest.approx(fitted_temperature(many, theirs), rel=0.02)
    assert found != pytest.approx(alike, rel=0.02)
    assert expected_calibration_error(softmax(logits), labels, weights) == pytest.approx(
        expected_calibration_error(softmax(many), theirs)
    )


def test_the_calibration_error_by_hand() -> None:
    # Two sure of 0.95, one of them right; two sure of 0.65, both right.
    probabilities = np.array([[0.95, 0.05], [0.05, 0.95], [0.65, 0.35], [0.35, 0.65]])
    labels = np.array([0, 0, 0, 1])
    expected = 0.5 * (0.95 - 0.5) + 0.5 * (1 - 0.65)
    assert expected_calibration_error(probabilities, labels) == pytest.approx(expected)


def test_being_sure_and_right_is_no_error() -> None:
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0.0
