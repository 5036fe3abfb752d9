"""Two runs side by side: which differences are real, and which runs cannot be compared at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from eval.runs import Run, identity
from eval.score import RunScores, Scores
from eval.stats import Interval, bootstrap
from rag.errors import ConfigError
from rag.ids import digest

__all__ = ["CONTEXT", "Difference", "compare_runs", "require_comparable"]

CONTEXT = "context"
"""What the generators were given, whichever stages it came from."""

_FEWEST = 6  # of five differences all have one sign by chance once in sixteen times

FIGURES = ("iou", "precision", "recall", "precision_omega", "tokens", "seconds")


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of one stage in two runs, and the 95 % interval of `b - a` over questions."""

    stage: str
    figure: str
    a: float
    b: float
    interval: Interval
    n: int

    @property
    def difference(self) -> float:
        """B - a."""
        return self.b - self.a

    @property
    def real(self) -> bool:
        """Whether the interval leaves out nought, and there are questions enough to say so."""
        return self.n >= _FEWEST and self.interval.excludes_zero


def compare_runs(one: Run, other: Run, a: RunScores, b: RunScores) -> list[Difference]:
    """Every figure of every stage that both runs have, and of what their generators were given.

    Both runs' questions are resampled together, so the interval is of the paired difference.

    Raises:
        ConfigError: the runs are not of the same corpus and questions.
    """
    require_comparable(one, other)
    pairs = [(stage, a.stages[stage], b.stages[stage]) for stage in a.stages if stage in b.stages]
    given = one.context_stage, other.context_stage
    if given[0] != given[1] and all(given):
        pairs.append((CONTEXT, _given(one, a), _given(other, b)))
    return [difference for pair in pairs for difference in _differences(*pair)]


def _given(run: Run, scores: RunScores) -> Scores:
    """The figures of the context, with the seconds of every stage that led to it."""
    last = scores.stages[run.context_stage]
    names = run.narrowing[: run.narrowing.index(run.context_stage) + 1]
    seconds = np.sum([scores.stages[name].values["seconds"] for name in names], axis=0)
    return Scores(last.ids, {**last.values, "seconds": seconds})


def _differences(stage: str, a: Scores, b: Scores) -> Iterator[Difference]:
    order = {each: at for at, each in enumerate(b.ids)}
    places = np.array([order[each] for each in a.ids], dtype=np.int64)
    columns = np.array([b.values[name][places] - a.values[name] for name in FIGURES]).T
    for name, interval in zip(FIGURES, bootstrap(columns), strict=True):
        yield Difference(stage, name, a.means[name], b.means[name], interval, len(a.ids))


def require_comparable(one: Run, other: Run) -> None:
    """Refuse two runs whose figures do not measure the same.

    Raises:
        ConfigError: naming what differs: documents, questions, the tokenizer that counts.
    """
    differing = [*_corpus(one, other), *_questions(one, other)]
    if one.header.token_unit != other.header.token_unit:
        differing.append(f"tokens: {one.header.token_unit} against {other.header.token_unit}")
    if differing:
        raise ConfigError(
            f"{one.header.label} and {other.header.label} cannot be compared "
            f"({'; '.join(differing)})",
            hint="run both on the same corpus and questions, counted by the same tokenizer",
        )


def _corpus(one: Run, other: Run) -> Iterator[str]:
    if one.corpus_digest == other.corpus_digest:
        return
    a = {each.doc: each.digest for each in one.documents}
    b = {each.doc: each.digest for each in other.documents}
    yield _named("documents", a, b)


def _questions(one: Run, other: Run) -> Iterator[str]:
    if one.questions_digest == other.questions_digest:
        return
    if one.header.split != other.header.split:
        yield f"split: {one.header.split} against {other.header.split}"
    a = {each.question.id: digest(identity(each.question)) for each in one.questions}
    b = {each.question.id: digest(identity(each.question)) for each in other.questions}
    yield _named("questions", a, b)


def _named(what: str, a: dict[str, str], b: dict[str, str]) -> str:
    """How two sets of named things differ, with one example."""
    for only, side in ((a.keys() - b.keys(), "the first"), (b.keys() - a.keys(), "the second")):
        if only:
            return f"{what}: {len(only)} only in {side}, such as {min(only)}"
    changed = sorted(name for name in a if a[name] != b[name])
    return f"{what}: {len(changed)} differ, such as {changed[0]}" if changed else what
