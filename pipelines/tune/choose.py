"""Choosing: which trials no other beats, and which of them is taken. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

__all__ = ["Goal", "Means", "choose", "front"]


class Means(NamedTuple):
    """What counts of a trial: means over questions; tokens are of the context."""

    recall: float
    iou: float
    tokens: float


class Tried(Protocol):
    """A trial that came to an end."""

    @property
    def number(self) -> int:
        """In the order of trying."""

    @property
    def means(self) -> Means:
        """What it came to."""


_Trial = TypeVar("_Trial", bound=Tried)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted of the settings.

    With `target_recall` alone, the fewest tokens with that recall; with `max_tokens` alone, the
    greatest recall within them; with both, the greatest IoU that keeps to both; with neither, the
    greatest IoU that loses no recall against the settings as they were given, of the trials whose
    gain is no chance.

    Args:
        target_recall: the least mean recall.
        max_tokens: the most tokens of context, in the mean.
        given: the mean recall of the settings as they were given.
    """

    target_recall: float | None
    max_tokens: float | None
    given: float

    @property
    def least_recall(self) -> float:
        """The recall that is asked for, said or not."""
        if self.target_recall is not None:
            return self.target_recall
        return self.given if self.max_tokens is None else 0.0

    @property
    def keeps_recall(self) -> bool:
        """Whether nothing was asked for, so that nothing may be lost."""
        return self.target_recall is None and self.max_tokens is None

    def excess(self, means: Means) -> tuple[float, float]:
        """By how much, as a share of what is asked, recall is too low and tokens too many.

        Up to 0 it is met.
        """
        recall = (self.least_recall - means.recall) / max(self.least_recall, 1e-9)
        if self.max_tokens is None:
            return recall, 0.0
        return recall, (means.tokens - self.max_tokens) / max(self.max_tokens, 1e-9)

    def met(self, means: Means) -> bool:
        """Whether a trial keeps to what is asked."""
        return max(self.excess(means)) <= 0

    def worth(self, means: Means) -> tuple[float, ...]:
        """What is greatest for the best trial of those that meet it, ties told apart."""
        recall, iou, tokens = means
        if self.target_recall is not None and self.max_tokens is None:
            return -tokens, iou, recall
        if self.max_tokens is not None and self.target_recall is None:
            return recall, iou, -tokens
        return iou, recall, -tokens

    def __str__(self) -> str:
        if self.keeps_recall:
            return f"the greatest IoU with no less recall than before ({self.given:.1%})"
        if self.max_tokens is None:
            return f"the fewest tokens with at least {self.least_recall:.1%} recall"
        if self.target_recall is None:
            return f"the greatest recall in at most {self.max_tokens:g} tokens"
        return (
            f"the greatest IoU with at least {self.target_recall:.1%} recall in at most "
            f"{self.max_tokens:g} tokens"
        )


def choose(trials: Sequence[_Trial], goal: Goal) -> _Trial:
    """The trial that serves the goal best; the earliest of equals.

    Where none meets it, the one that comes nearest, and of those as near the best.
    """
    met = [each for each in trials if goal.met(each.means)]
    if met:
        return max(met, key=lambda each: (goal.worth(each.means), -each.number))

    def far(trial: _Trial) -> float:
        return sum(max(by, 0.0) for by in goal.excess(trial.means))

    return min(
        trials,
        key=lambda each: (far(each), tuple(-x for x in goal.worth(each.means)), each.number),
    )


def front(trials: Sequence[_Trial]) -> list[_Trial]:
    """The trials that no other beats: as good in recall, IoU and tokens, and better in one."""
    return [each for each in trials if not any(_beats(other.means, each.means) for other in trials)]


def _beats(one: Means, other: Means) -> bool:
    as_good = one.recall >= other.recall and one.iou >= other.iou and one.tokens <= other.tokens
    return as_good and one != other
