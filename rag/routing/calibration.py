"""Whether probabilities are what they say, and the few numbers that make them so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "expected_calibration_error",
    "fitted_temperature",
    "fitted_trust",
    "log_loss",
    "softmax",
]

Matrix = NDArray[np.float64]
Labels = NDArray[np.intp]
Weights = NDArray[np.float64]

_COLDEST, _HOTTEST = -4.0, 4.0  # log of the temperature


def softmax(logits: Matrix) -> Matrix:
    """Rows of probabilities, shape (texts, routes)."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def log_loss(logits: Matrix, labels: Labels, weights: Weights | None = None) -> float:
    """Mean of -log p of the true route, in nats, by targets that allow for doubt.

    With n texts the true route's target is not 1 but (n + 1) / (n + 2), the others share the rest:
    a dozen texts that were all told right do not prove that none will ever be told wrong. Where
    `weights`, shape (texts,), are not alike, n is how many texts of one weight would say as much
    (Kish's effective size), so that few texts of great weight do not pass for many.
    Source: Platt, "Probabilistic Outputs for Support Vector Machines" (1999), section 2.2.
    """
    count, routes = logits.shape
    weight = np.ones(count) if weights is None else weights
    doubt = 1 / (weight.sum() ** 2 / (weight**2).sum() + 2)
    targets = np.full((count, routes), doubt / (routes - 1))
    targets[np.arange(count), labels] = 1 - doubt
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(np.average(-(targets * logs).sum(axis=1), weights=weight))


def fitted_temperature(logits: Matrix, labels: Labels, weights: Weights | None = None) -> float:
    """What to divide logits by for the least log loss; never a greater one than undivided.

    It changes no order, so no decision for one route, only how sure it sounds.
    Source: Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017), section 4.2.
    """
    from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

    def loss(heat: float) -> float:
        return log_loss(logits / np.exp(heat), labels, weights)

    found = minimize_scalar(loss, bounds=(_COLDEST, _HOTTEST), method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0


def fitted_trust(
    logits: Matrix, words: Matrix, labels: Labels, weights: Weights | None = None
) -> tuple[float, float]:
    """A temperature for the logits and a factor for the words, together of the least log loss.

    Words are counted as if each spoke for itself, which exaggerates: the factor is to be small. It
    is 0 where the temperature alone does better.
    """
    from scipy.optimize import minimize

    def loss(heat: float, factor: float) -> float:
        return log_loss(logits / np.exp(heat) + np.exp(factor) * words, labels, weights)

    alone = fitted_temperature(logits, labels, weights)
    bounds = [(_COLDEST, _HOTTEST)] * 2
    start = (np.log(alone), np.log(0.1))
    found = minimize(lambda at: loss(*at), start, method="Nelder-Mead", bounds=bounds)
    if found.fun < log_loss(logits / alone, labels, weights):
        return float(np.exp(found.x[0])), float(np.exp(found.x[1]))
    return alone, 0.0


def expected_calibration_error(
    probabilities: Matrix, labels: Labels, weights: Weights | None = None, bins: int = 10
) -> float:
    """How far, on average, the best route's probability is from how often it is right, 0 to 1.

    Texts are put in bins of equal width by that probability; a bin weighs what is in it.
    Source: Guo et al. (ICML 2017), section 2.
    """
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((sure * bins).astype(int), bins - 1)
    weight = np.ones(len(labels)) if weights is None else weights
    gaps = np.bincount(bin_of, weights=weight * (right - sure), minlength=bins)
    return float(np.abs(gaps).sum() / weight.sum())
