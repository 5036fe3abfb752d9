"""The search: what to try next, trying it, and writing down what came of it.

What a trial tries depends on the trials before it and on the seed, and on nothing else: a search
that was killed and goes on is the search that was never killed.

Source: the multi-objective tree-structured Parzen estimator of Optuna (Ozaki et al.,
"Multiobjective Tree-Structured Parzen Estimator", JAIR 2022), with the goal as its constraint.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.trial import create_trial

from eval.datasets import Question
from pipelines.ingest import Progress
from pipelines.journal import Journal
from pipelines.tune.bench import Bench, Figures
from pipelines.tune.choose import Goal, Means
from pipelines.tune.space import Params, Space, values_of
from rag.errors import ModelError, StoreError, StoreLocked
from rag.settings import Settings

__all__ = ["Search", "Trial", "propose", "search"]


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings that were tried.

    Args:
        number: 0 has the settings as they were given.
        params: its point of the space; None where it lies outside.
        settings: what it sets, by dotted key.
        figures: what came of it; None where it failed.
        seconds: what it took, with the index where it had to be built.
        failed: why it failed, or "".
    """

    number: int
    params: Params | None
    settings: Mapping[str, Any]
    figures: Figures | None
    seconds: float
    failed: str = ""

    @property
    def means(self) -> Means:
        """What it came to. Only of a trial that did not fail."""
        assert self.figures is not None
        return self.figures.means

    def to_line(self) -> dict[str, Any]:
        """The trial as its line of the journal has it."""
        means = self.figures.means._asdict() if self.figures else {}
        return {
            "number": self.number,
            "params": self.params,
            "settings": self.settings,
            **means,
            "seconds": self.seconds,
            "failed": self.failed,
            "values": self.figures.by_question() if self.figures else {},
        }

    @classmethod
    def of_line(cls, line: Mapping[str, Any]) -> Trial:
        """The trial of a line."""
        figures = Figures.of_questions(line["values"]) if line["values"] else None
        return cls(
            line["number"],
            line["params"],
            line["settings"],
            figures,
            line["seconds"],
            line["failed"],
        )


@dataclass(frozen=True, slots=True)
class Search:
    """A search over a space, on some questions.

    Args:
        space: what may be tried.
        questions: what it is tried on.
        target_recall: as `Goal` has it.
        max_tokens: as `Goal` has it.
        seed: another seed is another search.
    """

    space: Space
    questions: Sequence[Question]
    target_recall: float | None = None
    max_tokens: float | None = None
    seed: int = 0

    def goal(self, trials: Sequence[Trial]) -> Goal:
        """What is wanted, once the settings as they were given have been tried."""
        return Goal(self.target_recall, self.max_tokens, trials[0].means.recall)

    def settings(self, trial: Trial) -> Settings:
        """All the settings of a trial."""
        if trial.number == 0 or trial.params is None:
            return self.space.base
        return self.space.settings(trial.params.__getitem__)


def search(
    wanted: Search,
    bench: Bench,
    journal: Journal,
    count: int,
    *,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Trial]:
    """Go on from the journal until there are so many trials.

    Raises:
        KeyboardInterrupt: `stop` said so after a trial.
        StoreError, ModelError: the settings as they were given cannot be run; or another process
            has the index. Of any other trial it is that trial's failure.
    """
    trials = [Trial.of_line(line) for line in journal.entries][:count]
    if progress:
        progress.start(count - len(trials))
    while len(trials) < count:
        trial = _tried(wanted, bench, trials)
        journal.append(trial.to_line())
        trials.append(trial)
        if progress:
            progress.advance(1)
        if stop():
            raise KeyboardInterrupt
    return trials


def propose(wanted: Search, trials: Sequence[Trial]) -> tuple[Params | None, Settings]:
    """What to try after these trials: its point of the space, and its settings."""
    space, number = wanted.space, len(trials)
    if number == 0:
        return space.params(space.base), space.base
    if number <= len(space.first):
        point = space.first[number - 1]
        return point, space.settings(point.__getitem__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of the constraint
        study = _study(wanted, trials)
    asked = study.ask()
    settings = space.settings(lambda name: _drawn(asked, space, name))
    return dict(asked.params), settings


def _tried(wanted: Search, bench: Bench, trials: Sequence[Trial]) -> Trial:
    began = time.perf_counter()
    params, settings = propose(wanted, trials)
    values = values_of(settings, wanted.space.keys)
    figures, failed = _known(values, trials), ""
    if figures is None:
        try:
            figures = bench.measure(settings, wanted.questions)
        except StoreLocked:  # which says nothing of the settings
            raise
        except (ModelError, StoreError) as error:
            if not trials:
                raise
            failed = error.message
    seconds = round(time.perf_counter() - began, 3)
    return Trial(len(trials), params, values, figures, seconds, failed)


def _known(values: Mapping[str, Any], trials: Sequence[Trial]) -> Figures | None:
    """The figures of the same settings, if they were tried before."""
    same = (each.figures for each in trials if each.settings == values and each.figures)
    return next(same, None)


def _study(wanted: Search, trials: Sequence[Trial]) -> optuna.Study:
    """A study that knows these trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    goal = wanted.goal(trials)
    sampler = TPESampler(
        seed=(wanted.seed * 1_000_003 + len(trials)) % 2**32,
        constraints_func=lambda trial: trial.system_attrs["constraints"],
    )
    study = optuna.create_study(sampler=sampler, directions=["maximize", "maximize", "minimize"])
    for each in trials:
        if each.figures and each.params is not None:
            study.add_trial(
                create_trial(
                    values=each.means,
                    params=dict(each.params),
                    distributions={name: wanted.space.distributions[name] for name in each.params},
                    system_attrs={"constraints": goal.excess(each.means)},
                )
            )
    return study


def _drawn(asked: optuna.Trial, space: Space, name: str) -> Any:
    distribution = space.distributions[name]
    if isinstance(distribution, CategoricalDistribution):
        return asked.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return asked.suggest_int(name, distribution.low, distribution.high)
    assert isinstance(distribution, FloatDistribution)
    return asked.suggest_float(
        name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
    )
