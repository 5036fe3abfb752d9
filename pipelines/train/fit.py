"""Fit the scorer of sentences to somebody's own questions, and say whether that helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from connectors.registry import open_source
from eval.datasets import Question
from eval.files import writing_whole
from eval.metrics.overlap import overlap
from eval.stats import Interval, bootstrap
from pipelines.evaluate import Plan, Watch, located
from pipelines.ingest import ingest
from pipelines.scratch import open_scratch
from pipelines.train.examples import Asked
from pipelines.train.scorer import documents_of, fit, rows_of
from rag.engine import merging_stages, selection_stage
from rag.errors import UsageError
from rag.evidence.features import FEATURES, READER_FEATURES
from rag.evidence.reader import load_reader
from rag.index import Index
from rag.settings import Settings
from rag.types import Context

__all__ = ["Fitted", "fit_scorer"]

_FEWEST = 5
"""Tuning questions with evidence among what was found; fewer teach nothing."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What fitting came to, on the testing side: means of IoU and recall, before and after.

    `gain` is the paired difference in IoU with its 95 % bootstrap interval.
    """

    learned: int
    tested: int
    iou: tuple[float, float]
    recall: tuple[float, float]
    gain: Interval


def fit_scorer(plan: Plan, out: Path, watch: Watch | None = None) -> Fitted:
    """Fit a scorer to the plan's tuning questions, write it, and compare it on the others.

    With `selection.reader` it is a scorer on top of the joint reader.

    Raises:
        UsageError: too few tuning questions found their evidence; the file cannot be written.
    """
    watch = watch or Watch()
    settings = plan.settings
    reader = load_reader() if settings.selection.reader else None
    names = FEATURES if reader is None else (*FEATURES, *READER_FEATURES)
    with open_scratch(settings) as index:
        source = open_source(str(plan.corpora), ignore=settings.ingest.ignore)
        ingest(index, [source], prune=True, yes=True, progress=watch.documents)
        rows = [
            rows_of(index, Asked(each, index.search(each.text)), reader)
            for each in plan.tune
            if each.references
        ]
        taught = sum(bool((each.share > 0).any()) for each in rows)
        if taught < _FEWEST:
            raise UsageError(
                f"{taught} tuning questions found their evidence, {_FEWEST} are needed",
                hint="write down more questions, about more documents",
            )
        scorer = fit(rows, names, {"documents": documents_of(plan.tune), "questions": taught})
        with writing_whole(out) as stream:
            stream.write(scorer.model_dump_json(indent=1) + "\n")
        asked = [each for each in plan.questions if each.references]
        before, after = (
            _figures(index, asked, settings, path) for path in (settings.selection.scorer, str(out))
        )
    gain = bootstrap((after - before)[:, :1])[0]
    iou, recall = zip(before.mean(axis=0).tolist(), after.mean(axis=0).tolist(), strict=True)
    return Fitted(taught, len(asked), iou, recall, gain)


def _figures(
    index: Index, questions: Sequence[Question], settings: Settings, scorer: str
) -> np.ndarray:
    """IoU and recall of each question's selection with a scorer, shape (questions, 2)."""
    selection = settings.selection.model_copy(update={"scorer": scorer})
    select = selection_stage(index, selection)
    found: list[tuple[float, float]] = []
    for question in questions:
        context = Context.of(index.search(question.text))
        for stage in merging_stages(index):
            context = stage(question.text, context)
        overlapped = overlap(question.references, located(select(question.text, context)))
        found.append((overlapped.iou, overlapped.recall))
    return np.array(found)
