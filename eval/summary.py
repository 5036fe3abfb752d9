"""Scores as JSON: what the commands print and people's scripts read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from eval.compare import Difference
from eval.datasets import Question
from eval.located import Located
from eval.runs import Run
from eval.score import METRICS, RunScores, Scores

__all__ = ["summarize", "summarize_differences", "summarize_retrieval"]

_TOKEN = "token_"


def summarize(run: Run, scores: RunScores) -> dict[str, Any]:
    """A run's scores. Intervals are 95 %, under `ci`; what was not measured is None."""
    return {
        "label": run.header.label,
        "n": scores.n,
        "unanswerable": scores.unanswerable,
        "abstained": scores.abstained,
        "failed": sum(bool(each.failed) for each in run.questions),
        "unit": "char",
        "token_unit": run.header.token_unit,
        "stages": [_stage(name, stage) for name, stage in scores.stages.items()],
        "ranking": _estimates(scores.ranking),
        "answer": _estimates(scores.answer),
        "grounding": _estimates(scores.grounding),
        "rounds": {stage: _estimates(each) for stage, each in scores.rounds.items()},
        "cost": {name: asdict(each) for name, each in scores.cost.items()},
        "by_corpus": {
            corpus: [
                {"stage": name, "n": len(stage.ids), **_means(stage)}
                for name, stage in stages.items()
            ]
            for corpus, stages in scores.by_corpus.items()
        },
        "degraded": scores.degraded,
        "split": run.header.split,
        "config_hash": run.header.config_hash,
        "manifest": {
            **run.header.manifest,
            "corpus": run.corpus_digest,
            "questions": run.questions_digest,
        },
        "notes": run.header.notes,
    }


def summarize_retrieval(
    questions: Sequence[Question],
    retrieved: Mapping[str, Sequence[Located]],
    scores: Scores,
    unit: str,
    tokenizer: str | None = None,
) -> dict[str, Any]:
    """The scores of anybody's retrieval, and of each question."""
    return {
        "n": len(scores.ids),
        **{name: scores.means.get(name) for name in METRICS},
        "unit": unit,
        "tokenizer": tokenizer,
        "ci": {name: list(interval) for name, interval in scores.intervals.items()},
        "unanswerable": len(questions) - len(scores.ids),
        "nothing_retrieved": sum(not retrieved.get(each) for each in scores.ids),
        "per_question": [
            {"question_id": question, **dict.fromkeys(METRICS), **_row(scores, at)}
            for at, question in enumerate(scores.ids)
        ],
    }


def summarize_differences(run: Run, differences: Sequence[Difference]) -> dict[str, Any]:
    """What two runs of the same questions differ in."""
    return {
        "n": sum(bool(each.question.references) for each in run.questions),
        "differences": [
            {
                "stage": each.stage,
                "figure": each.figure,
                "a": each.a,
                "b": each.b,
                "difference": each.difference,
                "ci": list(each.interval),
                "real": each.real,
            }
            for each in differences
        ],
    }


def _stage(name: str, scores: Scores) -> dict[str, Any]:
    own = {figure: scores.intervals[figure] for figure in _names(scores)}
    return {
        "stage": name,
        **_means(scores),
        "ci": {figure: list(interval) for figure, interval in own.items()},
        "per_token": {
            figure.removeprefix(_TOKEN): value
            for figure, value in scores.means.items()
            if figure.startswith(_TOKEN)
        }
        or None,
    }


def _means(scores: Scores) -> dict[str, float | None]:
    return {figure: scores.means[figure] if scores.ids else None for figure in _names(scores)}


def _names(scores: Scores) -> list[str]:
    """The figures in characters, and the costs."""
    return [figure for figure in scores.means if not figure.startswith(_TOKEN)]


def _row(scores: Scores, at: int) -> dict[str, float]:
    return {name: float(values[at]) for name, values in scores.values.items()}


def _estimates(scores: Scores) -> dict[str, Any]:
    return {
        "n": len(scores.ids),
        **(scores.means if scores.ids else dict.fromkeys(scores.means)),
        "ci": {name: list(interval) for name, interval in scores.intervals.items()}
        if scores.ids
        else {},
    }
