"""Tuning from end to end on eight short documents, with the real embedder and real indexes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.datasets import read_questions
from eval.score import score_run
from eval.split import split_questions
from pipelines.evaluate import Watch, prepare, record_run
from pipelines.scratch import in_scratch
from pipelines.tune.bench import Figures
from pipelines.tune.search import Trial
from pipelines.tune.space import with_values
from pipelines.tune.tuning import Asked, Outcome, told_apart, tune
from rag.embedding.registry import bundled_model
from rag.errors import ConfigError, ModelError, StoreError, UsageError
from rag.settings import Settings

ANIMALS = ("otter", "badger", "heron", "lynx", "marten", "vole", "adder", "grebe")
FACTS = (
    "The {} sleeps {} hours a day in winter.",
    "Every {} keeps a territory of {} hectares.",
    "A young {} leaves its mother after {} weeks.",
)


def text_of(animal: str, number: int) -> str:
    facts = [fact.format(animal, number + 7 * at) for at, fact in enumerate(FACTS)]
    filler = f"Nobody has counted how many of them there are near the {animal} river."
    return " ".join(f"{fact} {filler}" for fact in facts)


def questions_about(animals: tuple[str, ...], prefix: str = "") -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for animal in animals:
        text = text_of(animal, 3 + ANIMALS.index(animal))
        asked = (f"How long does the {animal} sleep?", f"How large is a {animal}'s territory?")
        for at, question in enumerate(asked):
            sentence = text.split(". ")[2 * at] + "."
            start = text.index(sentence)
            reference = {"doc": f"{animal}.txt", "start": start, "end": start + len(sentence)}
            name = f"{prefix}{animal}-{at}"
            lines.append({"question_id": name, "question": question, "references": [reference]})
    return lines


def write_questions(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    root = tmp_path_factory.mktemp("animals")
    (root / "corpora").mkdir()
    for number, animal in enumerate(ANIMALS, start=3):
        (root / "corpora" / f"{animal}.txt").write_text(text_of(animal, number), "utf-8")
    questions = write_questions(root / "questions.jsonl", questions_about(ANIMALS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        yield Asked(questions, root / "corpora", root / "trials.jsonl", 5, sizes=(20, 50))


@pytest.fixture(scope="module")
def outcome(asked: Asked) -> Outcome:
    return tune(Settings(), asked)


def lines_of(asked: Asked) -> list[dict[str, Any]]:
    return [json.loads(line) for line in asked.journal.read_text("utf-8").splitlines()]


def test_every_trial_is_on_the_tuning_side_and_every_figure_in_the_journal(
    asked: Asked, outcome: Outcome
) -> None:
    _, *lines = lines_of(asked)
    assert [line["number"] for line in lines] == list(range(5))
    tuning = [each.id for each in split_questions(read_questions(asked.questions), "tune")]
    for line, trial in zip(lines, outcome.trials, strict=True):
        assert list(line["values"]) == tuning
        recalls = [values[0] for values in line["values"].values()]
        assert line["recall"] == pytest.approx(sum(recalls) / len(recalls)) == trial.means.recall
    assert {line["settings"]["chunking.size"] for line in lines} <= {20, 50, 200}
    testing = {each.id for each in split_questions(read_questions(asked.questions), "test")}
    assert set(outcome.before.ids) == set(outcome.after.ids) == testing


def test_its_figures_are_those_of_a_recorded_run(asked: Asked, outcome: Outcome) -> None:
    for settings, figures in ((Settings(), outcome.before), (outcome.settings, outcome.after)):
        run = record_run(prepare(settings, asked.questions, asked.corpora, split="test"))
        selected = score_run(run).stages["select"]
        assert selected.ids == figures.ids
        for name in ("recall", "iou", "tokens"):
            assert selected.values[name].tolist() == pytest.approx(getattr(figures, name))


def test_the_gain_is_of_the_questions_side_by_side(outcome: Outcome) -> None:
    for each in outcome.gain:
        before, after = (getattr(side, each.figure) for side in (outcome.before, outcome.after))
        mean = sum(b - a for a, b in zip(before, after, strict=True)) / len(before)
        assert each.difference == pytest.approx(mean)
        assert each.interval.low <= mean <= each.interval.high


def test_a_real_loss_on_the_other_side_is_named(outcome: Outcome) -> None:
    ids = tuple(str(number) for number in range(20))
    many = (1.0,) * 20

    def side(recall: float, iou: float, tokens: float) -> Figures:
        rows = ((value,) * 20 for value in (recall, iou, tokens))
        return Figures(ids, *rows, many)

    lost = replace(outcome, before=side(0.9, 0.4, 50), after=side(0.8, 0.5, 90))
    assert lost.worse == ["recall"]
    assert replace(outcome, before=lost.before, after=lost.before).worse == []


def test_a_finished_search_is_chosen_from_anew_without_a_trial(
    asked: Asked, outcome: Outcome
) -> None:
    before = asked.journal.read_bytes()
    lean = tune(Settings(), replace(asked, max_tokens=1.0))
    assert asked.journal.read_bytes() == before
    assert not lean.met
    fewest = min(each.means.tokens for each in outcome.trials)
    assert lean.chosen.means.tokens == fewest


def test_a_search_goes_on_from_its_journal(asked: Asked, outcome: Outcome, tmp_path: Path) -> None:
    cut = tmp_path / "cut.jsonl"
    lines = asked.journal.read_bytes().splitlines(keepends=True)
    cut.write_bytes(b"".join(lines[:3]) + lines[3][:40])  # as a kill leaves it
    heard: list[float] = []

    class Heard:
        def start(self, total: int) -> None:
            heard.append(total)

        def advance(self, count: float, tokens: int = 0) -> None:
            heard.append(count)

    again = tune(Settings(), replace(asked, journal=cut), Watch(questions=Heard()))
    assert heard == [3, 1, 1, 1]
    assert [t.params for t in again.trials] == [t.params for t in outcome.trials]
    assert again.chosen.number == outcome.chosen.number


def changed_document(asked: Asked, tmp_path: Path) -> Asked:
    folder = tmp_path / "other"
    folder.mkdir()
    for path in asked.corpora.iterdir():
        (folder / path.name).write_text(path.read_text("utf-8") + " More.", "utf-8")
    return replace(asked, corpora=folder)


def fewer_questions(asked: Asked, tmp_path: Path) -> Asked:
    few = write_questions(tmp_path / "few.jsonl", questions_about(ANIMALS)[:-3])
    return replace(asked, questions=few)


@pytest.mark.parametrize(
    ("change", "settings", "named"),
    [
        (changed_document, {}, "documents"),
        (fewer_questions, {}, "questions"),
        (lambda asked, _: replace(asked, sizes=(20, 100)), {}, "chunking.size"),
        (lambda asked, _: replace(asked, seed=1), {}, "seed"),
        (lambda asked, _: replace(asked, reader=True), {}, "selection.reader"),
        (lambda asked, _: asked, {"retrieval": {"rrf_k": 7}}, "retrieval.rrf_k"),
    ],
)
def test_trials_of_another_search_are_not_gone_on_with(
    asked: Asked,
    outcome: Outcome,
    tmp_path: Path,
    change: Callable[[Asked, Path], Asked],
    settings: dict[str, Any],
    named: str,
) -> None:
    before = asked.journal.read_bytes()
    with pytest.raises(ConfigError, match=named):
        tune(Settings(**settings), change(asked, tmp_path))
    assert asked.journal.read_bytes() == before


def block(settings: Settings, asked: Asked) -> Path:
    """Put a file where the scratch index of these settings would be."""
    path = in_scratch(settings, asked.corpora).store.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_trial_that_cannot_be_run_is_a_line_of_the_journal(asked: Asked, tmp_path: Path) -> None:
    settings = Settings(chunking={"header_tokens": 8})  # other indexes than the other tests'
    small = with_values(settings, {"chunking.size": 50})
    blocked = block(small, asked)
    found = tune(settings, replace(asked, journal=tmp_path / "t.jsonl"))
    assert blocked.is_file()
    assert "is a file" in found.trials[1].failed
    assert len(found.trials) == 5
    assert found.chosen.number != 1
    again = tune(settings, replace(asked, journal=tmp_path / "t.jsonl"))
    assert again.trials == found.trials  # it is not tried again


def test_settings_that_cannot_be_run_as_given_end_it(asked: Asked, tmp_path: Path) -> None:
    settings = Settings(chunking={"header_tokens": 9})
    block(settings, asked)
    with pytest.raises(StoreError, match="is a file"):
        tune(settings, replace(asked, journal=tmp_path / "t.jsonl"))
    assert len(lines_of(replace(asked, journal=tmp_path / "t.jsonl"))) == 1


def test_an_embedder_that_is_not_there_is_refused_at_once(asked: Asked, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        tune(Settings(), replace(asked, embeddings=("nowhere",), journal=tmp_path / "t.jsonl"))
    assert not (tmp_path / "t.jsonl").exists()


def test_another_embedder_is_searched_too(asked: Asked, tmp_path: Path) -> None:
    model = str(bundled_model())
    both = replace(asked, embeddings=(model, "bundled"), journal=tmp_path / "t.jsonl", trials=7)
    found = tune(Settings(), both)
    models = {each.settings["embedding.model"] for each in found.trials}
    assert models == {"", str(Path(model).resolve())}
    assert not any(each.failed for each in found.trials)


def test_questions_about_tuned_documents_are_not_reported_on(
    asked: Asked, outcome: Outcome, tmp_path: Path
) -> None:
    tuning = split_questions(read_questions(asked.questions), "tune")
    tuned = {each.doc.removesuffix(".txt") for question in tuning for each in question.references}
    human = write_questions(tmp_path / "human.jsonl", questions_about(ANIMALS, "human "))
    # The same documents elsewhere, under the same names: it is their text that counts.
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for path in asked.corpora.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    for corpora in (None, folder):
        found = tune(Settings(), replace(asked, report_questions=human, report_corpora=corpora))
        assert set(found.left_out) == {f"human {name}-{at}" for name in tuned for at in (0, 1)}
        assert not set(found.before.ids) & set(found.left_out)
        assert len(found.before.ids) + len(found.left_out) == 2 * len(ANIMALS)


def test_nothing_left_to_report_on_is_a_usage_error(
    asked: Asked, outcome: Outcome, tmp_path: Path
) -> None:
    tuning = split_questions(read_questions(asked.questions), "tune")
    doc = tuning[0].references[0].doc.removesuffix(".txt")
    same = write_questions(tmp_path / "same.jsonl", questions_about((doc,), "same "))
    with pytest.raises(UsageError, match="tuned on"):
        tune(Settings(), replace(asked, report_questions=same))


def test_sizes_that_no_embedder_reads_are_a_usage_error(asked: Asked) -> None:
    with pytest.raises(UsageError, match="no size fits"):
        tune(Settings(), replace(asked, sizes=(400, 800), embeddings=(str(bundled_model()),)))


def test_summaries_are_not_tuned(asked: Asked) -> None:
    with pytest.raises(ConfigError, match="summaries"):
        tune(Settings(clustering={"mode": "abstractive"}), asked)


def test_a_stop_ends_it_after_the_trial(asked: Asked, tmp_path: Path) -> None:
    stopped = replace(asked, journal=tmp_path / "stopped.jsonl")
    with pytest.raises(KeyboardInterrupt):
        tune(Settings(), stopped, stop=lambda: len(lines_of(stopped)) == 3)
    assert [line.get("number") for line in lines_of(stopped)] == [None, 0, 1]


def trial_of(number: int, iou: list[float]) -> Trial:
    values = {str(at): (0.5, each, 10.0, 0.0) for at, each in enumerate(iou)}
    return Trial(number, None, {}, Figures.of_questions(values), 0.1)


def test_a_gain_that_chance_may_bring_is_not_chosen() -> None:
    chance = np.random.default_rng(3)
    base = chance.random(60)
    given = trial_of(0, base.tolist())
    noise = [trial_of(at, (base + chance.normal(0, 0.3, 60)).tolist()) for at in range(1, 40)]
    better = trial_of(40, (base + chance.normal(0.2, 0.3, 60)).tolist())
    assert max(each.means.iou for each in noise) > given.means.iou + 0.03  # the best looks better
    assert told_apart([given, *noise, better]) == [given, better]
    assert told_apart([given]) == [given]
