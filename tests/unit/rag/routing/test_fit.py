from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.linear_model import LogisticRegression

from rag.routing.calibration import softmax
from rag.routing.fit import Examples, Vocabulary, fit, measure, smoothed
from rag.routing.vocabulary import COLUMNS

NAMES = ("law", "finance", "cyber")
CENTRES = np.array([[1.0, 0.8, 0.0, 0.0], [0.8, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])


def texts(route: int, count: int, seed: int, spread: float = 0.5):
    """Features around the centre of a route; the first two lie close to each other."""
    chance = np.random.default_rng([route, seed])
    noise = chance.normal(scale=spread, size=(count, 4))
    return (CENTRES[route] + noise).astype(np.float32)


def examples(counts: tuple[int, int, int] = (300, 300, 300)) -> list[Examples]:
    return [
        Examples(texts(route, count, 1), texts(route, 200, 2)) for route, count in enumerate(counts)
    ]


@given(
    arrays(np.float64, (4, 5), elements=st.floats(-1, 1)),
    st.floats(0, 1),
)
def test_targets_are_probabilities_that_leave_the_route_its_own(centroids, mass: float) -> None:
    targets = smoothed(centroids, mass)
    assert targets.sum(axis=1) == pytest.approx([1] * 4)
    assert (targets >= 0).all()
    assert np.diag(targets) == pytest.approx([1 - mass] * 4)


def test_the_likelier_neighbour_gets_more_of_the_mass() -> None:
    law, finance, cyber = smoothed(CENTRES, 0.1)
    assert law[1] > law[2]
    assert finance[0] > finance[2]
    cosine = 1.6 / 1.64  # of law and finance; that of law and cyber is 0
    assert law[1] / law[2] == pytest.approx(np.exp(cosine))
    assert cyber[0] == pytest.approx(cyber[1])
    sharp, alike = (smoothed(CENTRES, 0.1, sharpness)[0] for sharpness in (5.0, 0.0))
    assert sharp[1] / sharp[2] == pytest.approx(np.exp(5 * cosine))
    assert alike[1] == pytest.approx(alike[2])


def test_without_smoothing_it_is_what_scikit_learn_fits() -> None:
    given_ = examples()
    classifier = fit(NAMES, given_, "tiny:1", "english", smoothing=0.0)
    matrix = np.concatenate([each.fitted for each in given_]).astype(np.float64)
    known = LogisticRegression(C=3.0, tol=1e-8, max_iter=5_000).fit(
        matrix, np.repeat(np.arange(3), 300)
    )
    held = given_[0].held
    ours = softmax(classifier.logits(held))
    assert ours == pytest.approx(known.predict_proba(held), abs=2e-3)


def test_what_it_fitted_tells_unseen_texts_apart_and_says_how_sure_it_is() -> None:
    given_ = examples()
    classifier = fit(NAMES, given_, "tiny:1", "english")
    found = measure(classifier, [each.held for each in given_])
    assert found.accuracy[2] > 0.85 > min(found.accuracy[:2]) > 0.5  # two of them overlap
    assert found.log_loss < found.log_loss_before
    assert found.ece < 0.05 < found.ece_before
    assert classifier.temperature < 1  # smoothed targets ask for too little


def test_smoothing_moves_doubt_to_the_neighbour() -> None:
    plain, smooth = (
        fit(NAMES, examples(), "tiny:1", "english", smoothing=mass) for mass in (0.0, 0.3)
    )
    typical = CENTRES[:1].astype(np.float32)
    before, after = (softmax(each.logits(typical))[0] for each in (plain, smooth))
    assert after[0] < before[0]
    assert after[1] > after[2]


def test_a_route_with_few_texts_is_not_drowned() -> None:
    classifier = fit(NAMES, examples((30, 900, 900)), "tiny:1", "english")
    found = measure(classifier, [texts(route, 400, 3) for route in range(3)])
    assert found.accuracy[0] > 0.45  # its neighbour has 0.58; were texts counted as they come, 0.0


def test_a_route_with_many_held_texts_has_no_more_say_in_the_temperature() -> None:
    even = examples()
    many = [even[0]._replace(held=np.tile(even[0].held, (30, 1))), *even[1:]]
    plain, heavy = (fit(NAMES, each, "tiny:1", "english") for each in (even, many))
    assert heavy.temperature == pytest.approx(plain.temperature, rel=0.01)
    before, after = (measure(plain, [each.held for each in given_]) for given_ in (even, many))
    assert (after.ece_before, after.ece) == pytest.approx((before.ece_before, before.ece))
    assert after.log_loss == pytest.approx(before.log_loss, rel=0.01)


def words_of(given_: list[Examples], sure: float) -> Vocabulary:
    """Evidence that points to the route of each held text, so surely."""
    held = sure * np.repeat(np.eye(3), [len(each.held) for each in given_], axis=0)
    return Vocabulary(np.ones((3, COLUMNS), dtype=np.int64), held)


def test_words_are_trusted_as_far_as_they_tell_held_texts_apart() -> None:
    given_ = examples()
    plain = fit(NAMES, given_, "tiny:1", "english")
    telling, misleading = (words_of(given_, sure) for sure in (5.0, -5.0))
    found = fit(NAMES, given_, "tiny:1", "english", vocabulary=telling)
    assert found.trust > 0.5
    assert found.counts == ((1,) * COLUMNS,) * 3
    before, after = (
        measure(each, [route.held for route in given_], telling.held) for each in (plain, found)
    )
    assert after.accuracy == (1.0, 1.0, 1.0)
    assert after.log_loss < before.log_loss / 5
    # The temperature alone is never beaten by less.
    lost = fit(NAMES, given_, "tiny:1", "english", vocabulary=misleading)
    assert (lost.trust, lost.temperature) == (0.0, plain.temperature)


def test_it_is_the_same_each_time() -> None:
    one, other = (fit(NAMES, examples(), "tiny:1", "english") for _ in range(2))
    assert one == other
