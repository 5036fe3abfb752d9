from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from eval.compare import compare_runs
from eval.datasets import Question
from eval.located import Located
from eval.metrics.overlap import ChunkMap
from eval.runs import Run
from eval.score import METRICS, score_retrieval, score_run
from eval.summary import summarize, summarize_differences, summarize_retrieval
from eval.units import TokenRuler
from rag.tokens import TokenCounter


@pytest.fixture
def summary(worked: Run) -> dict[str, Any]:
    return summarize(worked, score_run(worked))


def test_every_stage_has_its_figures_costs_and_intervals(summary: dict[str, Any]) -> None:
    assert [stage["stage"] for stage in summary["stages"]] == ["retrieve", "select", "verify"]
    retrieve = summary["stages"][0]
    assert set(retrieve) == {"stage", *METRICS, "tokens", "seconds", "ci", "per_token"}
    assert (retrieve["tokens"], retrieve["seconds"]) == (40, 0.5)
    assert retrieve["recall"] == pytest.approx(5 / 9)
    assert set(retrieve["ci"]) == {*METRICS, "tokens", "seconds"}
    for figure, (low, high) in retrieve["ci"].items():
        assert low <= retrieve[figure] <= high
    assert retrieve["per_token"] is None


def test_a_summary_says_what_it_is_of(worked: Run, summary: dict[str, Any]) -> None:
    assert (summary["label"], summary["config_hash"], summary["split"]) == ("worked", "cafe", "all")
    assert (summary["n"], summary["unanswerable"], summary["abstained"]) == (3, 1, 2)
    assert (summary["unit"], summary["token_unit"]) == ("char", "all-MiniLM-L6-v2")
    assert summary["manifest"]["corpus"] == worked.corpus_digest
    assert summary["manifest"]["questions"] == worked.questions_digest
    assert summary["degraded"] == {"select": 2}


def test_failed_questions_are_counted(worked: Run) -> None:
    failed = replace(worked.questions[0], failed="no answer")
    run = replace(worked, questions=(failed, *worked.questions[1:]))
    assert summarize(run, score_run(run))["failed"] == 1
    assert summarize(worked, score_run(worked))["failed"] == 0


def test_the_other_figures_say_of_how_many_questions_they_are(summary: dict[str, Any]) -> None:
    assert [summary[name]["n"] for name in ("ranking", "answer", "grounding")] == [3, 2, 2]
    assert summary["grounding"]["citation_recall"] == 0.75
    assert set(summary["cost"]["seconds"]) == {"mean", "median", "p95", "total"}
    x, y = summary["by_corpus"]["x"][0], summary["by_corpus"]["y"][0]
    assert (x["stage"], x["n"], x["iou"]) == ("retrieve", 2, 0.25)
    assert (y["stage"], y["n"], y["iou"]) == ("retrieve", 1, 0.2)


def test_figures_per_token_stand_apart(
    worked: Run, texts: dict[str, str], counter: TokenCounter
) -> None:
    scores = score_run(worked, ruler=TokenRuler(counter, texts))
    stage = summarize(worked, scores)["stages"][0]
    assert set(stage["per_token"]) == set(METRICS)
    assert stage["per_token"]["recall"] == scores.stages["retrieve"].means["token_recall"]
    assert not [key for key in (*stage, *stage["ci"]) if key.startswith("token_")]


def test_what_was_not_measured_is_none(worked: Run) -> None:
    run = replace(worked, questions=worked.questions[3:])
    summary = summarize(run, score_run(run))
    assert summary["n"] == 0
    assert (summary["answer"]["exact_match"], summary["answer"]["ci"]) == (None, {})
    assert (summary["ranking"]["mrr"], summary["grounding"]["citation_recall"]) == (None, None)


def test_a_stage_without_a_question_to_score_has_no_figures(worked: Run) -> None:
    run = replace(worked, questions=worked.questions[3:])
    (retrieve, _) = summarize(run, score_run(run))["stages"]
    assert {retrieve[metric] for metric in METRICS} == {None}


def test_a_retrieval_has_a_row_for_each_question() -> None:
    questions = [
        Question("q1", "?", (Located("a", 10, 20),)),
        Question("none", "?", ()),
        Question("q2", "?", (Located("a", 10, 30),)),
    ]
    retrieved = {"q1": [Located("a", 0, 20)], "q2": []}
    scores = score_retrieval(questions, retrieved, ChunkMap([Located("a", 0, 20)]))
    found = summarize_retrieval(questions, retrieved, scores, "char")
    assert (found["n"], found["unanswerable"], found["nothing_retrieved"]) == (2, 1, 1)
    assert (found["iou"], found["recall"], found["unit"]) == (0.25, 0.5, "char")
    assert found["per_question"] == [
        {"question_id": "q1", "iou": 0.5, "precision": 0.5, "recall": 1.0, "precision_omega": 0.5},
        {"question_id": "q2", "iou": 0, "precision": 0, "recall": 0, "precision_omega": 1 / 3},
    ]


def test_without_chunks_precision_omega_is_none() -> None:
    questions = [Question("q1", "?", (Located("a", 10, 20),))]
    found = summarize_retrieval(questions, {}, score_retrieval(questions, {}), "char")
    assert found["precision_omega"] is None
    assert found["per_question"][0]["precision_omega"] is None


def test_differences_name_stage_figure_and_whether_they_are_real(worked: Run) -> None:
    scores = score_run(worked)
    found = summarize_differences(worked, compare_runs(worked, worked, scores, scores))
    assert found["n"] == 3
    first = found["differences"][0]
    assert first == {
        "stage": "retrieve", "figure": "iou", "a": first["b"], "b": pytest.approx(0.7 / 3),
        "difference": 0.0, "ci": [0.0, 0.0], "real": False,
    }  # fmt: skip


def test_everything_is_plain_json(worked: Run, texts: dict[str, str]) -> None:
    scores = score_run(worked, texts=texts)
    for found in (
        summarize(worked, scores),
        summarize_differences(worked, compare_runs(worked, worked, scores, scores)),
    ):
        assert json.loads(json.dumps(found, allow_nan=False)) == found
