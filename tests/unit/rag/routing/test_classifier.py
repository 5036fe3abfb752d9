from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tiny_index import TinyEmbedder

from rag.embedding.lexical import LexicalEncoder
from rag.errors import IndexMismatch
from rag.routing import RouteClassifier, fewest
from rag.routing.vocabulary import COLUMNS

WEIGHTS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.floats(0.001, 1), min_size=1, max_size=8
).map(lambda found: {name: each / sum(found.values()) for name, each in found.items()})


def classifier(**changed: Any) -> RouteClassifier:
    return RouteClassifier.model_validate(
        {
            "routes": ("law", "finance"),
            "embedder": "tiny:1",
            "language": "english",
            "weights": ((1.0, 0.0), (0.0, 2.0)),
            "bias": (0.0, 0.5),
            "temperature": 2.0,
        }
        | changed
    )


def test_probabilities_by_hand() -> None:
    matrix = np.array([[3.0, 1.0], [0.0, 0.0]], dtype=np.float32)
    found = classifier().probabilities(matrix)
    law = 1 / (1 + np.exp((2.5 - 3) / 2)), 1 / (1 + np.exp(0.25))
    assert found[:, 0] == pytest.approx(law)
    assert found.sum(axis=1) == pytest.approx([1, 1])


def test_evidence_of_words_counts_as_far_as_it_is_trusted() -> None:
    matrix = np.array([[3.0, 1.0]], dtype=np.float32)
    counts = ((1,) * COLUMNS, (2,) * COLUMNS)
    found = classifier(counts=counts, trust=0.5)
    words = np.array([[-7.0, -9.0]])
    law = 1 / (1 + np.exp((2.5 - 3) / 2 + 0.5 * (-9 + 7)))
    assert found.probabilities(matrix, words)[0, 0] == pytest.approx(law)
    # Without counts, as in files of older versions, words say nothing.
    assert not classifier().evidence(["Who sued whom?"], LexicalEncoder()).any()


def test_another_embedder_is_refused_by_name() -> None:
    classifier().require(TinyEmbedder())
    with pytest.raises(IndexMismatch, match=r"fitted with other:2, not with tiny:1.*route fit"):
        classifier(embedder="other:2").require(TinyEmbedder())


@pytest.mark.parametrize(
    "changed",
    [
        {"routes": ("law", "law")},
        {"routes": ("law", "finance", "cyber")},
        {"bias": (0.0,)},
        {"weights": ((1.0, 0.0), (2.0,))},
        {"temperature": 0.0},
        {"trust": -1.0},
        {"counts": ((1, 2), (3, 4))},
        {"counts": ((1,) * COLUMNS,)},
        {"counts": ((1,) * COLUMNS, (-1,) * COLUMNS)},
        {"routes": ("law",), "weights": ((1.0,),), "bias": (0.0,)},
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        classifier(**changed)


@given(WEIGHTS, st.floats(0.01, 1), st.integers(1, 9))
def test_the_fewest_that_reach_the_coverage_are_taken(
    probabilities: dict[str, float], coverage: float, most: int
) -> None:
    taken = fewest(probabilities, coverage, most)
    reached = sum(probabilities[name] for name in taken)
    assert 1 <= len(taken) <= min(most, len(probabilities))
    # Nothing that was left out is more probable than what was taken.
    least = min(probabilities[name] for name in taken)
    assert all(each <= least for name, each in probabilities.items() if name not in taken)
    # One fewer would not have been enough, and more are taken only up to the limits.
    assert len(taken) == 1 or reached - least < coverage
    enough = reached >= coverage - 1e-9
    assert enough or len(taken) in (most, len(probabilities))


@given(WEIGHTS, st.integers(1, 9))
def test_more_coverage_takes_no_fewer(probabilities: dict[str, float], most: int) -> None:
    taken = [fewest(probabilities, coverage, most) for coverage in (0.2, 0.5, 0.9, 1.0)]
    for fewer, more in pairwise(taken):
        assert more[: len(fewer)] == fewer


def test_equals_come_in_order_of_name() -> None:
    assert fewest({"b": 0.4, "c": 0.2, "a": 0.4}, 0.8, 3) == ("a", "b")
