"""The page: what is shown of the runs, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from eval.compare import CONTEXT, Difference, compare_runs
from eval.curves import operating_points
from eval.datasets import Question, Texts
from eval.files import writing_whole
from eval.report.excerpts import Excerpt, excerpts
from eval.report.plots import COLOURS, Bar, Curve, bars, curves
from eval.report.template import render
from eval.runs import Run
from eval.score import RunScores

__all__ = ["Entry", "write_report"]


@dataclass(frozen=True)
class Entry:
    """A run and its scores."""

    run: Run
    scores: RunScores

    @property
    def context(self) -> str:
        """The stage whose spans the generator was given."""
        return self.run.context_stage


class _Worst(NamedTuple):
    """A question that went badly."""

    question: Question
    recall: float
    iou: float
    retrieved_recall: float
    answer: str
    abstained: bool
    excerpts: list[Excerpt]


def write_report(
    path: Path, entries: Sequence[Entry], texts: Texts | None, *, worst: int = 10
) -> None:
    """Write the page.

    Args:
        path: the file; it is replaced whole, or not at all.
        entries: runs of the same questions on the same documents; the first is what the others
            are compared with, and whose worst questions are shown.
        texts: the documents; without them no worst question is shown.
        worst: how many.

    Raises:
        ExtraMissing: the plotting library is not installed.
        UsageError: the file cannot be written.
    """
    page = render("page.html.j2", _content(entries, texts, worst))
    with writing_whole(path) as stream:
        stream.write(page)


def _content(entries: Sequence[Entry], texts: Texts | None, worst: int) -> dict[str, Any]:
    first = entries[0]
    return {
        "entries": entries,
        "first": first,
        "colours": [COLOURS[at % len(COLOURS)] for at in range(len(entries))],
        "curves": curves(_curves(entries)),
        "bars": _bars(entries),
        "differences": [(entry, _context_differences(first, entry)) for entry in entries[1:]],
        "worst": _worst(first, texts, worst) if texts is not None else None,
    }


def _curves(entries: Sequence[Entry]) -> list[Curve]:
    found: list[Curve] = []
    for number, entry in enumerate(entries):
        for stage in entry.scores.stages:
            points = operating_points(entry.run, stage)
            found.append(Curve(number, points, stage == entry.context))
            if stage == entry.context:
                break
    return found


def _bars(entries: Sequence[Entry]) -> list[str]:
    """A plot of IoU and one of recall, of what the generator was given, by corpus."""
    labels = [entry.run.header.label for entry in entries]
    corpora = list(entries[0].scores.by_corpus)
    if not all(entry.context for entry in entries):
        return []
    return [
        bars(
            title,
            {
                corpus or "all": [_bar(entry, corpus, figure) for entry in entries]
                for corpus in corpora
            },
            labels,
        )
        for figure, title in (("iou", "IoU"), ("recall", "recall"))
    ]


def _bar(entry: Entry, corpus: str, figure: str) -> Bar:
    scores = entry.scores.by_corpus[corpus][entry.context]
    return Bar(scores.means[figure], scores.intervals[figure])


def _context_differences(first: Entry, other: Entry) -> list[Difference]:
    """What the generators of two runs were given, compared."""
    found = compare_runs(first.run, other.run, first.scores, other.scores)
    stage = first.context if first.context == other.context else CONTEXT
    return [each for each in found if each.stage == stage]


def _worst(entry: Entry, texts: Texts, count: int) -> list[_Worst]:
    """The questions with the least recall, then the least IoU, of what the generator was given."""
    if not entry.context:
        return []
    scores = entry.scores.stages[entry.context]
    retrieved = entry.scores.stages[entry.run.stages[0]]
    recall, iou = scores.values["recall"], scores.values["iou"]
    order = sorted(range(len(scores.ids)), key=lambda at: (recall[at], iou[at], scores.ids[at]))
    records = {each.question.id: each for each in entry.run.questions}
    found: list[_Worst] = []
    for at in order[:count]:
        record = records[scores.ids[at]]
        found.append(
            _Worst(
                record.question,
                float(recall[at]),
                float(iou[at]),
                float(retrieved.values["recall"][at]),
                record.answer,
                record.abstained,
                list(
                    excerpts(
                        record.question.references, record.stage(entry.context).spans or (), texts
                    )
                ),
            )
        )
    return found
