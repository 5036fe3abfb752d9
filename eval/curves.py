"""Operating points: what a stage would have let through, had it stopped earlier.

A stage ranks what it lets through, so a recorded run holds a whole curve: the first span of every
question, the first two, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass

from eval.located import Located
from eval.metrics.overlap import overlap
from eval.runs import Run

__all__ = ["Point", "operating_points"]


@dataclass(frozen=True, slots=True)
class Point:
    """Means over questions of the first `spans` spans each."""

    spans: int
    tokens: float
    recall: float
    precision: float
    iou: float


def operating_points(run: Run, stage: str) -> list[Point]:
    """The points of a stage, from one span a question to all of them.

    Only a stage's tokens are recorded, not each span's: those of its first spans are taken in
    proportion to their characters.
    """
    asked = [each for each in run.questions if each.question.references]
    passed = [(each.question.references, each.stage(stage)) for each in asked]
    most = max((len(record.spans or ()) for _, record in passed), default=0)
    points: list[Point] = []
    for count in range(1, most + 1):
        tokens = recall = precision = iou = 0.0
        for references, record in passed:
            spans = record.spans or ()
            found = overlap(references, spans[:count])
            recall += found.recall
            precision += found.precision
            iou += found.iou
            tokens += record.tokens * _share(spans, count)
        n = len(passed)
        points.append(Point(count, tokens / n, recall / n, precision / n, iou / n))
    return points


def _share(spans: tuple[Located, ...], count: int) -> float:
    total = sum(each.end - each.start for each in spans)
    return sum(each.end - each.start for each in spans[:count]) / total if total else 0.0
