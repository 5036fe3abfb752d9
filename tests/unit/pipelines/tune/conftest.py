from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from pipelines.tune.space import Embedding, Space
from rag.settings import EmbeddingSettings, Settings

MakeSpace = Callable[..., Space]


@pytest.fixture(scope="session")
def make_space() -> MakeSpace:
    """A space around some settings, with another embedder that reads less."""

    def make(base: Settings | None = None, **options: Any) -> Space:
        base = base or Settings()
        other = EmbeddingSettings(kind="sentence_transformers", model="other")
        sizes = (5, 50, 100, 200)
        embeddings = (
            Embedding("first", base.embedding, sizes), Embedding("other", other, sizes[:3]),
        )  # fmt: skip
        return Space(base, embeddings, **options)

    return make


@pytest.fixture(scope="session")
def drawing() -> Callable[[st.DataObject, Space], Callable[[str], Any]]:
    """From Hypothesis's data to what draws a parameter of a space."""

    def of(data: st.DataObject, space: Space) -> Callable[[str], Any]:
        def draw(name: str) -> Any:
            distribution = space.distributions[name]
            if isinstance(distribution, CategoricalDistribution):
                return data.draw(st.sampled_from(distribution.choices), name)
            assert isinstance(distribution, IntDistribution | FloatDistribution)
            if isinstance(distribution, IntDistribution):
                return data.draw(st.integers(distribution.low, distribution.high), name)
            if distribution.step:
                last = round((distribution.high - distribution.low) / distribution.step)
                steps = data.draw(st.integers(0, last), name)
                return distribution.low + steps * distribution.step
            return data.draw(st.floats(distribution.low, distribution.high), name)

        return draw

    return of
