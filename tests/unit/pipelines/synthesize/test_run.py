from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
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
    return synthesize(corpus, RulesEngine(SETTINGS), SETTINGS, limit, out, seed=seed)


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


def test_every_attempt_is_counted_once_and_a_corpus_runs_dry(
    corpus: Corpus, tmp_path: Path
) -> None:
    report = made(corpus, tmp_path / "q.jsonl", 100, attempts=2_000)
    assert report.exhausted
    assert 200 < report.attempts < 400  # two hundred in a row found nothing new
    assert sum(report.rejected.values()) + len(report.lines) == report.attempts
    assert report.rejected["nothing to ask"] >= 200
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


class Telling:
    """An engine that asks by rules, at a price, and differently for what it has been told of.

    So many of its calls fail; and it always fails at the attempts in `unreadable`.
    """

    name = "llm"
    signature = "telling"

    def __init__(self, failures: int = 0, batch: int = 2, unreadable: tuple[int, ...] = ()) -> None:
        self.failures = failures
        self.batch = batch
        self.unreadable = unreadable
        self.rules = RulesEngine(SETTINGS)
        self.told: list[str] = []

    def draft(self, tasks: Sequence[Task]) -> list[Draft | Rejected]:
        if self.failures or {task.number for task in tasks} & {*self.unreadable}:
            self.failures = max(self.failures - 1, 0)
            raise ModelError("connection refused", hint="start it")
        drafts = self.rules.draft([task._replace(number=len(self.told)) for task in tasks])
        made = [replace(each, task=task) for each, task in zip(drafts, tasks, strict=True)]
        self.told += [each.question for each in made if each.question]
        return made

    def remember(self, document: str, question: str) -> None:
        self.rules.remember(document, question)
        self.told.append(question)

    def confirm(self, draft: Draft) -> tuple[bool, Usage]:
        return draft.kind != "definition", Usage(1, 50)


def synthesized(corpus: Corpus, engine: Telling, out: Path, n: int, **limits: int) -> Synthesis:
    return synthesize(corpus, engine, SETTINGS, Budget(n, 200, **limits), out)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_model_in_several_sittings_as_in_one(corpus: Corpus, tmp_path: Path, batch: int) -> None:
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    synthesized(corpus, Telling(batch=batch), whole, 8)
    for n in (2, 5):
        synthesized(corpus, Telling(batch=batch), parts, n)
        journal = tmp_path / "parts.jsonl.journal"
        journal.write_bytes(journal.read_bytes()[:-30])  # killed in the middle of the last batch
    synthesized(corpus, Telling(batch=batch), parts, 8)
    assert parts.read_text() == whole.read_text()


def test_a_text_that_a_model_cannot_take_costs_an_attempt_and_not_its_batch(
    corpus: Corpus, tmp_path: Path
) -> None:
    engine = Telling(unreadable=(0, 3))
    report = synthesized(corpus, engine, tmp_path / "q.jsonl", 4)
    assert len(report.lines) == 4
    assert report.rejected["no answer"] == 2
    assert not any(line["kind"] == "definition" for line in report.lines)
    assert report.usage.tokens == 50 * report.usage.calls > 0


def test_a_model_that_is_gone_ends_the_run_with_its_reason_and_nothing_is_lost(
    corpus: Corpus, tmp_path: Path
) -> None:
    out, journal = tmp_path / "q.jsonl", tmp_path / "q.jsonl.journal"
    synthesized(corpus, Telling(), out, 2)
    before = journal.read_bytes()
    with pytest.raises(ModelError, match="telling: connection refused") as failed:
        synthesized(corpus, Telling(failures=999), out, 5)
    assert failed.value.hint == "start it; run it again to go on"
    assert journal.read_bytes() == before  # no attempt is spent on a model that is not there
    assert len(lines_of(out)) == 2
    assert len(synthesized(corpus, Telling(), out, 5).lines) == 5


def test_a_model_that_is_gone_is_no_empty_result(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "q.jsonl"
    with pytest.raises(ModelError, match="connection refused"):
        synthesize(corpus, Telling(failures=999), SETTINGS, Budget(1, 4), out)
    assert not out.exists()


def test_nothing_kept_is_said(corpus: Corpus, tmp_path: Path) -> None:
    strict = SETTINGS.model_copy(update={"min_similarity": 0.999})
    with pytest.raises(UsageError, match=r"no question was kept of 12 attempts \(.*evidence"):
        synthesize(corpus, RulesEngine(strict), strict, Budget(2, 12), tmp_path / "q.jsonl")


def test_other_settings_of_the_search_are_another_run(corpus: Corpus, tmp_path: Path) -> None:
    made(corpus, tmp_path / "q.jsonl", 2)
    before = corpus.index.settings
    retrieval = before.retrieval.model_copy(update={"rrf_k": 5})
    corpus.index.settings = before.model_copy(update={"retrieval": retrieval})
    try:
        with pytest.raises(ConfigError, match="index: there"):
            made(corpus, tmp_path / "q.jsonl", 2)
    finally:
        corpus.index.settings = before


def test_a_budget_of_tokens_ends_the_run(corpus: Corpus, tmp_path: Path) -> None:
    report = synthesized(corpus, Telling(), tmp_path / "q.jsonl", 50, llm_tokens=150)
    assert report.exhausted
    assert 150 <= report.usage.tokens <= 200
