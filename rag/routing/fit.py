"""Fit the classifier of questions to texts of every route; no labels but where a text stands.

Multinomial logistic regression with soft targets and a ridge, then one temperature, and one factor
for counted words, found on texts of documents that neither has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.routing.calibration import (
    expected_calibration_error,
    fitted_temperature,
    fitted_trust,
    log_loss,
    softmax,
)
from rag.routing.classifier import RouteClassifier

__all__ = [
    "SHARPNESS",
    "SMOOTHING",
    "Calibration",
    "Examples",
    "Vocabulary",
    "fit",
    "measure",
    "smoothed",
]

SMOOTHING = 0.1
"""The share of a text that is said to belong to other routes: many a sentence could stand there."""

SHARPNESS = 1.0
"""How much more of it the likelier route gets: at 10 nearly all, which is worse than none."""

_RIDGE = 3.0  # variance of the prior of a weight
_DIGITS = 5  # of a weight in the file
_STEPS = 500  # of the optimiser at most; it takes about 100

Matrix = NDArray[np.float64]
Features = NDArray[np.float32]


class Examples(NamedTuple):
    """Features of one route's texts, shape (texts, features); `held` are of other documents."""

    fitted: Features
    held: Features


class Vocabulary(NamedTuple):
    """The counts of words of each route's documents, shape (routes, COLUMNS).

    `held` is the evidence of the held texts, in order of the routes, by the counts of the fitted
    documents alone: shape (held texts of all routes, routes).
    """

    counts: NDArray[np.int64]
    held: Matrix


class Calibration(NamedTuple):
    """How the classifier does on the texts that were held out, before and after the temperature.

    The temperature, and the trust in words, are fitted to those same texts. They are two numbers,
    but what is said of it after is no proof on unseen texts. Every route counts the same, as in
    fitting.

    `accuracy` is of each route, in order: the share of its texts that it is the most probable for.
    """

    accuracy: tuple[float, ...]
    ece_before: float
    ece: float
    log_loss_before: float
    log_loss: float


def fit(
    routes: Sequence[str],
    examples: Sequence[Examples],
    embedder: str,
    language: str,
    smoothing: float = SMOOTHING,
    sharpness: float = SHARPNESS,
    vocabulary: Vocabulary | None = None,
) -> RouteClassifier:
    """Fit and calibrate.

    Every route counts the same, however many texts it has, in the regression and in the
    temperature: which of them will be asked most is not known.

    Args:
        routes: their names.
        examples: of each route, at least one text fitted and one held.
        embedder: the fingerprint of what made the features.
        language: of the features' words.
        smoothing: the mass of `smoothed`; 0 for none.
        sharpness: the same.
        vocabulary: the words of the routes, where they are to count besides.
    """
    matrix, labels = _stacked([each.fitted for each in examples])
    centroids = np.stack([each.fitted.mean(axis=0) for each in examples]).astype(np.float64)
    targets = smoothed(centroids, smoothing, sharpness)[labels]
    weights, bias = _regression(matrix, targets, _balanced(labels))
    plain = RouteClassifier(
        routes=tuple(routes),
        embedder=embedder,
        language=language,
        weights=tuple(map(tuple, weights.round(_DIGITS).tolist())),
        bias=tuple(bias.round(_DIGITS).tolist()),
        temperature=1.0,
    )
    held, their = _stacked([each.held for each in examples])
    if vocabulary is None:
        temperature = fitted_temperature(plain.logits(held), their, _balanced(their))
        return plain.model_copy(update={"temperature": temperature})
    temperature, trust = fitted_trust(plain.logits(held), vocabulary.held, their, _balanced(their))
    counts = tuple(map(tuple, vocabulary.counts.tolist()))
    return plain.model_copy(update={"temperature": temperature, "trust": trust, "counts": counts})


def measure(
    classifier: RouteClassifier, held: Sequence[Features], words: Matrix | float = 0.0
) -> Calibration:
    """How a classifier does on texts of each route, in order.

    Args:
        classifier: fitted.
        held: features of each route's texts.
        words: the evidence of all of them, where that is to count.
    """
    matrix, labels = _stacked(held)
    weight = _balanced(labels)
    before = classifier.logits(matrix)
    after = before / classifier.temperature + classifier.trust * words
    right = after.argmax(axis=1) == labels
    return Calibration(
        accuracy=tuple(float(right[labels == each].mean()) for each in range(len(held))),
        ece_before=expected_calibration_error(softmax(before), labels, weight),
        ece=expected_calibration_error(softmax(after), labels, weight),
        log_loss_before=log_loss(before, labels, weight),
        log_loss=log_loss(after, labels, weight),
    )


def smoothed(centroids: Matrix, mass: float, sharpness: float = SHARPNESS) -> Matrix:
    """Targets of each route's texts: 1 - mass for it, and the mass shared out by likeness.

    The other routes share in proportion to exp(sharpness * cosine of their centroid and its own),
    so that neighbours, between which a text may well be in doubt, get more than routes far off.

    Args:
        centroids: shape (routes, features); there are at least two.
        mass: 0 for one-hot targets.
        sharpness: 0 to share alike.

    Returns:
        Shape (routes, routes); every row sums to 1.
    """
    unit = centroids / np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-12)
    share = np.exp(sharpness * (unit @ unit.T))
    np.fill_diagonal(share, 0.0)
    share /= share.sum(axis=1, keepdims=True)
    return np.asarray((1 - mass) * np.eye(len(unit)) + mass * share)


def _stacked(each: Sequence[Features]) -> tuple[Features, NDArray[np.intp]]:
    labels = np.repeat(np.arange(len(each)), [len(matrix) for matrix in each])
    return np.concatenate(each), labels


def _balanced(labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """A weight for each text, by which all routes come to the same; 1 on average."""
    counts = np.bincount(labels)
    return np.asarray((len(labels) / len(counts) / counts)[labels])


def _regression(
    matrix: Features, targets: Matrix, weight: NDArray[np.float64]
) -> tuple[Matrix, NDArray[np.float64]]:
    """Weights, shape (routes, features), and bias, for soft targets, which scikit-learn has not."""
    from scipy.optimize import minimize  # type: ignore[import-untyped]
    from scipy.sparse import csr_array  # type: ignore[import-untyped]

    routes, columns = targets.shape[1], matrix.shape[1]
    rows = csr_array(matrix, dtype=np.float64)  # most words are in no text
    across = rows.T.tocsr()

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, bias = flat[:-routes].reshape(columns, routes), flat[-routes:]
        logits = rows @ weights + bias
        logits -= logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        value = -(weight[:, None] * targets * logs).sum() + (weights**2).sum() / (2 * _RIDGE)
        error = weight[:, None] * (np.exp(logs) - targets)
        slope = across @ error + weights / _RIDGE
        return float(value), np.concatenate((slope.ravel(), error.sum(axis=0)))

    start = np.zeros(columns * routes + routes)
    options = {"maxiter": _STEPS}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    return found[:-routes].reshape(columns, routes).T, found[-routes:]
