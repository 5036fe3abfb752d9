"""Groups: the same for the same passages, and never a crash on odd ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.clustering.density import redundancy
from rag.clustering.groups import group
from rag.errors import ConfigError

POLICIES = ["fixed:1", "fixed:4", "silhouette", "sqrt"]


def around(*centres: int, spread: float = 0.05) -> np.ndarray:
    """Unit vectors near unit axes."""
    drawn = np.random.default_rng(0).normal(scale=spread, size=(len(centres), 6))
    vectors = np.eye(6)[list(centres)] + drawn
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_passages_of_a_kind_are_one_group() -> None:
    vectors = around(3, 1, 3, 1, 0, 3, 0)
    for policy in ("fixed:3", "silhouette", "sqrt"):
        assert group(vectors, policy).tolist() == [0, 1, 0, 1, 2, 0, 2], policy


@given(
    st.integers(1, 12),
    st.integers(1, 4),
    st.sampled_from(POLICIES),
)
def test_every_passage_has_a_group_and_always_the_same(
    count: int, distinct: int, policy: str
) -> None:
    vectors = around(*(at % distinct for at in range(count)), spread=0.0)
    found = group(vectors, policy)
    assert found.shape == (count,)
    assert found[0] == 0
    assert set(found.tolist()) == set(range(int(found.max()) + 1))
    assert found.tolist() == group(vectors, policy).tolist()
    for at in range(count):  # identical passages are never parted
        assert found[at] == found[at % distinct]


def test_an_unknown_policy_is_refused() -> None:
    for policy in ("fixed:0", "elbow", ""):
        with pytest.raises(ConfigError, match="no way to group"):
            group(around(0, 1), policy)


def test_redundancy_is_the_share_of_text_that_another_passage_says() -> None:
    vectors = around(0, 0, 1, 2, spread=0.0)
    lengths = np.array([10.0, 20.0, 30.0, 40.0])
    assert redundancy(vectors, [0, 1, 1, 2], lengths, 0.9) == pytest.approx(0.3)
    assert redundancy(vectors, [0, 0, 1, 2], lengths, 0.9) == 0.0
    assert redundancy(vectors[:0], [], lengths[:0], 0.9) == 0.0
