from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import create_trial

from pipelines.tune.space import FIXABLE, Embedding, Space, grid, values_of, with_values
from rag.settings import Settings

WIDE = {"pruning": True, "reader": True}


@given(st.data(), st.booleans())
def test_a_point_is_found_again_from_its_settings(
    make_space: Any, drawing: Any, data: st.DataObject, wide: bool
) -> None:
    space = make_space(**WIDE if wide else {})
    settings = space.settings(drawing(data, space))
    params = space.params(settings)
    assert params is not None
    assert space.settings(params.__getitem__) == settings
    # The optimiser takes it as one of its own.
    of = {name: space.distributions[name] for name in params}
    create_trial(values=[0.0, 0.0, 0.0], params=params, distributions=of)


@given(st.data())
def test_what_is_not_searched_stays_as_it_was_given(
    make_space: Any, drawing: Any, data: st.DataObject
) -> None:
    base = with_values(Settings(), {"retrieval.rrf_k": 7, "selection.min_evidence": 0.1})
    space = make_space(base)
    settings = space.settings(drawing(data, space))
    assert with_values(settings, values_of(base, space.keys)) == base
    assert settings.clustering.mode in ("off", "extractive")
    assert (settings.pruning, settings.selection.reader) == (base.pruning, False)
    if settings.embedding.model == "other":
        assert settings.chunking.size <= 100  # it reads no more


def test_the_settings_as_they_come_are_a_point(make_space: Any) -> None:
    assert make_space().params(Settings()) is not None
    assert make_space(**WIDE).params(Settings()) is not None


@pytest.mark.parametrize(
    "outside",
    [
        {"retrieval.top_k": 50},
        {"retrieval.dense_weight": 0.5},
        {"retrieval.dense_weight": 1.02, "retrieval.lexical_weight": 0.98},
        {"chunking.size": 120},
        {"chunking.overlap": 7},
        {"selection.budget": 40},
        {"clustering.min_redundancy": 0.52},
        {"embedding.kind": "sentence_transformers", "embedding.model": "third"},
    ],
)
def test_other_settings_are_none(make_space: Any, outside: dict[str, Any]) -> None:
    settings = with_values(Settings(), outside)
    assert make_space().params(settings) is None
    if "selection.budget" in outside:  # nor are they where they are the ones given
        assert make_space(settings).params(settings) is None


def test_a_rule_of_selection_that_was_given_gives_way_to_the_one_that_is_searched(
    make_space: Any,
) -> None:
    base = with_values(Settings(), {"selection.budget": 40})
    space = make_space(base)
    point = space.first[0]
    assert space.settings(point.__getitem__).selection.budget == 0
    assert "selection.budget" in space.keys


def test_the_first_points_are_points(make_space: Any) -> None:
    space = make_space(**WIDE)
    for point in space.first:
        assert space.params(space.settings(point.__getitem__)) == point


def test_sizes_that_are_not_read_to_their_end_are_left_out() -> None:
    assert grid((200, 5, 400, 5), 222) == ((5, 200), (400,))


def test_the_parameter_of_a_size_is_another_where_the_sizes_are() -> None:
    embedding = Settings().embedding
    one, other = (Embedding("a", embedding, sizes) for sizes in ((5, 50, 200), (5, 100, 200)))
    assert one.size != other.size
    space = Space(Settings(), (one, other))
    assert space.settings({**space.first[0]}.__getitem__).chunking.size == 50
    assert {one.size, other.size} <= set(space.distributions)


@given(st.data(), st.sampled_from(FIXABLE))
def test_a_fixed_setting_keeps_its_value_and_is_not_searched(
    make_space: Any, drawing: Any, data: st.DataObject, key: str
) -> None:
    given = with_values(
        Settings(),
        {
            "chunking.kind": "tokens",
            "retrieval.top_k": 7,
            "clustering.mode": "extractive",
            "clustering.min_redundancy": 0.35,
            "selection.keep": "evidence",
            "selection.recall_weight": 4.5,
            "selection.whole_tables": True,
        },
    )
    space = make_space(given, fixed=frozenset({key}))
    assert key not in space.distributions
    drawn = space.settings(drawing(data, space))
    assert values_of(drawn, [key]) == values_of(given, [key])
    assert space.params(given) is not None
