"""`rag eval fit`: a scorer fitted to one side of the questions, and tried on the other."""

from __future__ import annotations

import json
from pathlib import Path

from eval.datasets import read_questions
from eval.split import split_questions

DEMO = Path(__file__).parents[2] / "pipelines" / "demo"
QUESTIONS = DEMO / "questions.jsonl"
CORPORA = ("--corpora", str(DEMO / "documents"))


def test_a_fitted_scorer_learned_from_one_side_and_serves_queries(rag, tmp_path: Path) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    ran = rag("eval", "fit", "--questions", str(QUESTIONS), *CORPORA, "--json", env=env)
    assert ran.code == 0, ran.stderr
    assert set(ran.json) == {"scorer", "questions", "iou", "recall", "iou_gain"}
    asked = read_questions(QUESTIONS)
    tune, test = (split_questions(asked, side) for side in ("tune", "test"))
    assert ran.json["questions"]["test"] == len(test)
    assert 5 <= ran.json["questions"]["tune"] <= len(tune)
    scorer = json.loads((tmp_path / "scorer.json").read_text(encoding="utf-8"))
    assert scorer["about"]["documents"] == sorted({r.doc for q in tune for r in q.references})
    before, after = ran.json["iou"]["before"], ran.json["iou"]["after"]
    assert ran.json["iou_gain"]["low"] <= after - before <= ran.json["iou_gain"]["high"]

    chosen = ("--split", "test", "--set", "selection.scorer=scorer.json", "--json")
    again = rag("eval", "run", "--questions", str(QUESTIONS), *CORPORA, *chosen, env=env)
    assert again.code == 0, again.stderr
    (select,) = (each for each in again.json["stages"] if each["stage"] == "select")
    assert abs(select["iou"] - after) < 1e-9  # what fitting said is what a run then measures


def test_too_few_questions_are_a_usage_error(rag, tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("\n".join(QUESTIONS.read_text(encoding="utf-8").splitlines()[:6]), "utf-8")
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    ran = rag("eval", "fit", "--questions", str(few), *CORPORA, "--json", env=env)
    assert (ran.code, ran.error["code"]) == (2, "usage")


def test_a_file_that_is_no_scorer_is_refused(rag, library) -> None:
    (library.root / "odd.json").write_text("{}", encoding="utf-8")
    ran = library.rag("query", "otter?", "--set", "selection.scorer=odd.json", "--json")
    assert (ran.code, ran.error["code"]) == (3, "config")
    assert "odd.json" in ran.error["message"]
