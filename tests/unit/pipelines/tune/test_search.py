"""What is tried next, and that it does not depend on whether the search was ever interrupted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipelines.tune.bench import Figures
from pipelines.tune.choose import choose
from pipelines.tune.search import Search, Trial, propose
from pipelines.tune.space import values_of
from rag.settings import Settings

COUNT = 30


def figures(settings: Settings) -> Figures:
    """A made-up landscape: the best size is 100, the best weight 3, and half dense is right."""
    size, weight = settings.chunking.size, settings.selection.recall_weight
    off = abs(settings.retrieval.dense_weight - 1)
    recall = min(1.0, 0.4 + 0.1 * weight**0.5 - 0.2 * off)
    iou = 0.6 - abs(size - 100) / 400 - abs(weight - 3) / 100 - 0.2 * off
    if settings.selection.keep == "everything":
        recall, iou = 0.9, 0.05
    tokens = 20 * weight**0.5 + size / 10
    return Figures(("a",), (recall,), (max(iou, 0.0),), (tokens,), (0.0,))


def tried(wanted: Search, trials: list[Trial], count: int) -> list[Trial]:
    trials = list(trials)
    while len(trials) < count:
        params, settings = propose(wanted, trials)
        values = values_of(settings, wanted.space.keys)
        trials.append(Trial(len(trials), params, values, figures(settings), 0.0))
    return trials


def reread(trials: list[Trial]) -> list[Trial]:
    """As a journal gives them back."""
    return [Trial.of_line(json.loads(json.dumps(each.to_line()))) for each in trials]


@pytest.fixture(scope="module")
def wanted(make_space: Any) -> Search:
    return Search(make_space(), ())


@pytest.fixture(scope="module")
def trials(wanted: Search) -> list[Trial]:
    return tried(wanted, [], COUNT)


def test_the_settings_as_given_come_first_then_the_sensible_ones(
    wanted: Search, trials: list[Trial]
) -> None:
    assert wanted.settings(trials[0]) == wanted.space.base
    assert [each.params for each in trials[1:3]] == list(wanted.space.first)


def test_a_trial_is_the_same_after_the_journal(trials: list[Trial]) -> None:
    assert reread(trials) == trials


@pytest.mark.parametrize("killed", [1, 2, 5, 17])
def test_a_search_that_goes_on_is_the_search_that_never_stopped(
    wanted: Search, trials: list[Trial], killed: int
) -> None:
    assert tried(wanted, reread(trials[:killed]), killed + 4) == trials[: killed + 4]


def test_another_seed_is_another_search(wanted: Search, trials: list[Trial]) -> None:
    other = Search(wanted.space, (), seed=1)
    params = [each.params for each in tried(other, trials[:3], 6)]
    assert params != [each.params for each in trials[:6]]


def test_it_finds_better_settings_than_those_given(wanted: Search, trials: list[Trial]) -> None:
    chosen = choose(trials, wanted.goal(trials))
    assert chosen.means.recall >= trials[0].means.recall
    assert chosen.means.iou > trials[0].means.iou
    assert wanted.settings(chosen).chunking.size == 100


def test_it_looks_where_the_goal_is_met(wanted: Search, trials: list[Trial]) -> None:
    """With a ceiling on tokens, more of what is tried stays below it."""
    lean = Search(wanted.space, (), max_tokens=35.0)
    found, freely = (
        sum(each.means.tokens <= 35 for each in some[5:])
        for some in (tried(lean, trials[:3], COUNT), trials)
    )
    assert found > 2 * freely


def test_failures_are_told_apart_and_outlive_the_journal(
    wanted: Search, trials: list[Trial]
) -> None:
    failed = Trial(3, trials[3].params, trials[3].settings, None, 0.1, "no memory")
    assert reread([failed]) == [failed]
    assert propose(wanted, [*trials[:3], failed])  # nothing is learned from it, but it counts


def test_settings_outside_the_space_are_tried_but_teach_nothing(make_space: Any) -> None:
    base = Settings(retrieval={"top_k": 500})
    wanted = Search(make_space(base), ())
    trials = tried(wanted, [], 6)
    assert trials[0].params is None
    assert wanted.settings(trials[0]) == base
    assert reread(trials) == trials
