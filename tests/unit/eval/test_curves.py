"""Operating points: what a stage would have let through, had it stopped earlier."""

from __future__ import annotations

import pytest

from eval.curves import operating_points
from eval.datasets import Question
from eval.located import Located
from eval.runs import DocumentRecord, Header, QuestionRecord, Run, StageRecord

DOCUMENT = DocumentRecord.of("doc", "x" * 100, [(0, 50), (50, 100)])


def run(*questions: QuestionRecord) -> Run:
    return Run(Header("run", "characters"), (DOCUMENT,), questions)


def asked(number: int, *spans: Located, tokens: int = 0) -> QuestionRecord:
    question = Question(f"q{number}", "?", (Located("doc", 0, 10),))
    return QuestionRecord(question, (StageRecord("retrieve", spans, tokens),))


def test_each_point_has_one_span_more() -> None:
    first = asked(1, Located("doc", 50, 70), Located("doc", 0, 20), tokens=40)
    second = asked(2, Located("doc", 0, 10), tokens=10)
    one, two = operating_points(run(first, second), "retrieve")
    assert (one.spans, one.recall, one.precision, one.iou) == (1, 0.5, 0.5, 0.5)
    assert one.tokens == pytest.approx((20 + 10) / 2)
    assert (two.spans, two.recall) == (2, 1.0)
    assert two.precision == pytest.approx((10 / 40 + 1) / 2)
    assert two.tokens == pytest.approx((40 + 10) / 2)


def test_a_stage_that_let_nothing_through_has_no_points() -> None:
    assert operating_points(run(asked(1)), "retrieve") == []


def test_questions_without_references_do_not_count() -> None:
    unanswerable = QuestionRecord(
        Question("none", "?", ()), (StageRecord("retrieve", (Located("doc", 0, 100),), 100),)
    )
    (point,) = operating_points(
        run(asked(1, Located("doc", 0, 10), tokens=5), unanswerable), "retrieve"
    )
    assert (point.iou, point.tokens) == (1.0, 5.0)
