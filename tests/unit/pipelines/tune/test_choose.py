from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.tune.choose import Goal, Means, choose, front

SHARES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
TOKENS = st.sampled_from([0.0, 10.0, 50.0, 200.0])


@dataclass(frozen=True)
class Tried:
    number: int
    means: Means


def tried(*means: tuple[float, float, float]) -> list[Tried]:
    return [Tried(number, Means(*each)) for number, each in enumerate(means)]


TRIALS = st.lists(st.tuples(SHARES, SHARES, TOKENS), min_size=1, max_size=12).map(
    lambda means: tried(*means)
)
GOALS = st.builds(Goal, st.none() | SHARES, st.none() | st.sampled_from([1.0, 20.0, 100.0]), SHARES)


def beats(one: Means, other: Means) -> bool:
    pairs = [(one.recall, other.recall), (one.iou, other.iou), (-one.tokens, -other.tokens)]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


@given(TRIALS)
def test_the_front_is_exactly_what_no_other_beats(trials: list[Tried]) -> None:
    kept = front(trials)
    for each in trials:
        beaten = any(beats(other.means, each.means) for other in trials)
        assert (each in kept) == (not beaten)
    for each in trials:  # whatever is left out is beaten by one that is not
        assert each in kept or any(beats(other.means, each.means) for other in kept)


@given(TRIALS, GOALS)
def test_the_chosen_one_keeps_to_what_is_asked_wherever_any_does(
    trials: list[Tried], goal: Goal
) -> None:
    chosen = choose(trials, goal)
    met = [
        each
        for each in trials
        if each.means.recall >= goal.least_recall
        and each.means.tokens <= (goal.max_tokens or float("inf"))
    ]
    assert (chosen in met) == bool(met)
    if met:
        alone = (goal.target_recall is None, goal.max_tokens is None)
        best = {
            (False, True): min(met, key=lambda each: each.means.tokens).means.tokens,
            (True, False): max(met, key=lambda each: each.means.recall).means.recall,
        }.get(alone, max(met, key=lambda each: each.means.iou).means.iou)
        reached = {(False, True): chosen.means.tokens, (True, False): chosen.means.recall}
        assert reached.get(alone, chosen.means.iou) == best
    earlier = [each for each in trials if each.means == chosen.means]
    assert chosen == earlier[0]


@given(TRIALS, GOALS, st.randoms())
def test_the_order_of_trials_does_not_matter(trials: list[Tried], goal: Goal, random) -> None:
    mixed = list(trials)
    random.shuffle(mixed)
    assert choose(mixed, goal) == choose(trials, goal)


@given(TRIALS, GOALS)
def test_the_chosen_one_is_no_worse_than_any_it_is_like(trials: list[Tried], goal: Goal) -> None:
    """Where something is met, nothing beats the chosen trial but one that does not meet it."""
    chosen = choose(trials, goal)
    if goal.met(chosen.means):
        assert not any(beats(each.means, chosen.means) for each in trials if goal.met(each.means))


def test_without_a_wish_recall_is_not_traded_for_iou() -> None:
    trials = tried((0.8, 0.3, 60), (0.7, 0.6, 30), (0.8, 0.4, 90), (0.9, 0.4, 90))
    assert choose(trials, Goal(None, None, 0.8)).number == 3


@pytest.mark.parametrize(
    ("recall", "tokens", "number"),
    [(0.95, None, 2), (None, 5.0, 1), (0.95, 5.0, 1), (0.95, 40.0, 0)],
)
def test_where_nothing_does_the_nearest_is_taken(
    recall: float | None, tokens: float | None, number: int
) -> None:
    trials = tried((0.8, 0.3, 40), (0.5, 0.5, 6), (0.9, 0.1, 400))
    goal = Goal(recall, tokens, 0.8)
    assert not goal.met(choose(trials, goal).means)
    assert choose(trials, goal).number == number
