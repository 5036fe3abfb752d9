from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from eval.datasets import read_questions
from pipelines.synthesize.corpus import Corpus
from pipelines.synthesize.draft import Draft, Rejected, Task, Usage
from pipelines.synthesize.rules import RulesEngine
from pipelines.synthesize.run import Budget, Synthesis, synthesize
from rag.errors import ConfigError, ModelError, UsageError
from rag.settings import SynthesisSettings

SETTINGS = SynthesisSettings(window=400, min_similarity=0.2)


def made(corpus: Corpus, out: Path, n: int, seed: int = 0, **budget: int) -> Synthesis:
    limit = Budget(n, budget.get("attempts", 200), budget.get("llm_tokens", 0))
    return synthesize(corpus, RulesEngine(), SETTINGS, limit, out, seed=seed)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_questions_are_as_the_evaluation_reads_them(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "q.jsonl"
    report = made(corpus, out, 6)
    texts = {each.name: each.text for each in corpus.documents}
    questions = read_questions(out, texts)  # checks every reference against its document
    assert len(questions) == len(report.lines) == 6
    assert all(question.answers for question in questions)
    assert len({question.id for question in questions}) == 6
    for line in lines_of(out):
        assert line["provenance"]["engine"] == "rules"
        assert line["provenance"]["seed"] == 0
        assert line["corpus"] == "docs"
        start, end = line["provenance"]["window"]
        first = line["references"][0]
        assert line["kind"] == "comparison" or start <= first["start"] < first["end"] <= end


def test_every_attempt_is_counted_once(corpus: Corpus, tmp_path: Path) -> None:
    report = made(corpus, tmp_path / "q.jsonl", 100)
    assert report.exhausted
    assert report.attempts == 200
    assert sum(report.rejected.values()) + len(report.lines) == 200
    assert report.rejected["nothing to ask"] > 0
    assert sum(report.kinds.values()) == len(report.lines)


def test_in_two_sittings_as_in_one(corpus: Corpus, tmp_path: Path) -> None:
    whole = made(corpus, tmp_path / "whole.jsonl", 8)
    made(corpus, tmp_path / "parts.jsonl", 3)
    parts = made(corpus, tmp_path / "parts.jsonl", 8)
    assert (tmp_path / "parts.jsonl").read_text() == (tmp_path / "whole.jsonl").read_text()
    assert (parts.attempts, parts.rejected) == (whole.attempts, whole.rejected)


def test_fewer_than_there_are_costs_nothing(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "q.jsonl"
    made(corpus, out, 6)
    before = lines_of(out)
    journal = (tmp_path / "q.jsonl.journal").read_bytes()
    assert len(made(corpus, out, 4).lines) == 4
    assert lines_of(out) == before[:4]
    assert (tmp_path / "q.jsonl.journal").read_bytes() == journal


def test_another_seed_is_another_run_and_asks_elsewhere(corpus: Corpus, tmp_path: Path) -> None:
    made(corpus, tmp_path / "one.jsonl", 5, seed=1)
    made(corpus, tmp_path / "two.jsonl", 5, seed=2)
    one, two = (lines_of(tmp_path / f"{name}.jsonl") for name in ("one", "two"))
    assert [each["question"] for each in one] != [each["question"] for each in two]
    with pytest.raises(ConfigError, match="seed: there 1, here 2"):
        made(corpus, tmp_path / "one.jsonl", 5, seed=2)


def test_a_place_where_nothing_can_be_written_is_said_first(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        made(corpus, tmp_path, 5)


class Failing:
    """An engine whose model fails so many times, then asks by rules, at a price."""

    name = "llm"
    signature = "failing"
    batch = 2

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.rules = RulesEngine()

    def draft(self, tasks: Sequence[Task]) -> list[Draft | Rejected]:
        if self.failures:
            self.failures -= 1
            raise ModelError("no answer")
        return self.rules.draft(tasks)

    def remember(self, document: str, question: str) -> None:
        self.rules.remember(document, question)

    def confirm(self, draft: Draft) -> tuple[bool, Usage]:
        return draft.kind != "definition", Usage(1, 50)


def test_a_model_that_fails_now_and_then_costs_attempts_and_no_more(
    corpus: Corpus, tmp_path: Path
) -> None:
    report = synthesize(corpus, Failing(3), SETTINGS, Budget(4, 200), tmp_path / "q.jsonl")
    assert len(report.lines) == 4
    assert report.rejected["no answer"] == 6
    assert not any(line["kind"] == "definition" for line in report.lines)
    assert report.usage.calls >= 4
    assert report.usage.tokens == 50 * report.usage.calls


def test_a_model_that_is_gone_ends_the_run_and_what_was_made_stays(
    corpus: Corpus, tmp_path: Path
) -> None:
    out = tmp_path / "q.jsonl"
    synthesize(corpus, Failing(0), SETTINGS, Budget(2, 200), out)
    with pytest.raises(ModelError, match="10 times in a row"):
        synthesize(corpus, Failing(99), SETTINGS, Budget(5, 200), out)
    assert len(lines_of(out)) == 2
    assert len(synthesize(corpus, Failing(0), SETTINGS, Budget(5, 200), out).lines) == 5


def test_a_budget_of_tokens_ends_the_run(corpus: Corpus, tmp_path: Path) -> None:
    budget = Budget(50, 400, llm_tokens=150)
    report = synthesize(corpus, Failing(0), SETTINGS, budget, tmp_path / "q.jsonl")
    assert report.exhausted
    assert 150 <= report.usage.tokens <= 200
