"""`rag eval tune`: a search that can be killed, a profile that serves, a page about it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eval.datasets import read_questions
from eval.split import split_questions

RAG = Path(sys.executable).with_name("rag")
COMMAND = ("eval", "tune", "--questions", "questions.jsonl", "--sizes", "20,50")
PATIENCE = 120.0  # seconds until a test is taken to hang
ANIMALS = ("otter", "badger", "heron", "lynx", "marten", "vole", "adder", "grebe")
FILLER = " Nobody has counted how many of them there are near the river this year, or ever did."


def make_corpus(root: Path) -> None:
    """Eight documents of three facts each, and two questions about each of them."""
    (root / "corpora").mkdir()
    lines: list[dict[str, Any]] = []
    for number, animal in enumerate(ANIMALS, start=3):
        facts = [
            f"The {animal} sleeps {number} hours a day in winter.",
            f"Every {animal} keeps a territory of {number + 7} hectares.",
            f"A young {animal} leaves its mother after {number + 20} weeks.",
        ]
        text = "".join(fact + FILLER + " " for fact in facts)
        (root / "corpora" / f"{animal}.txt").write_text(text, "utf-8")
        asked = (f"How long does the {animal} sleep?", f"How large is a {animal}'s territory?")
        for question, fact in zip(asked, facts, strict=False):
            start = text.index(fact)
            reference = {"doc": f"{animal}.txt", "start": start, "end": start + len(fact)}
            name = f"{animal}-{len(lines)}"
            lines.append({"question_id": name, "question": question, "references": [reference]})
    written = "".join(json.dumps(line) + "\n" for line in lines)
    (root / "questions.jsonl").write_text(written, "utf-8")


@dataclass(frozen=True)
class Tuned:
    """A search that was interrupted, then killed, then went on to its end."""

    root: Path
    env: dict[str, str]
    interrupted: tuple[int, str]
    before_the_kill: list[bytes]
    done: Any

    run: Any

    def rag(self, *arguments: str) -> Any:
        return self.run(*arguments, cwd=self.root, env=self.env)

    @property
    def lines(self) -> list[bytes]:
        return whole_lines(self.root / "tuned.toml.trials.jsonl")


def whole_lines(path: Path) -> list[bytes]:
    if not path.exists():
        return []
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def heard() -> None:
    """A suite that was started in the background ignores interrupts, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def signalled(root: Path, env: dict[str, str], lines: int, number: int) -> tuple[int, str]:
    """Begin the search, send it a signal once its journal has so many lines; how it ended."""
    process = subprocess.Popen(
        [RAG, *COMMAND, "--trials", "60"], cwd=root, env={**os.environ, **env},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heard,
    )  # fmt: skip
    end = time.monotonic() + PATIENCE
    while len(whole_lines(root / "tuned.toml.trials.jsonl")) < lines:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said.decode()


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, rag_in: Any) -> Tuned:
    root = tmp_path_factory.mktemp("tuned")
    make_corpus(root)
    (root / "base.toml").write_text('[synthesis]\npersonas = ["a ranger"]\n')
    env = {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    interrupted = signalled(root, env, 2, signal.SIGINT)
    signalled(root, env, len(whole_lines(root / "tuned.toml.trials.jsonl")) + 1, signal.SIGKILL)
    journal = root / "tuned.toml.trials.jsonl"
    before = whole_lines(journal)
    with journal.open("ab") as stream:  # a kill may leave half a line
        stream.write(b'{"number": 9')
    count = str(len(before) - 1 + 2)
    report = ("--profile", "base.toml", "--report", "page.html", "--json")
    done = rag_in(*COMMAND, "--trials", count, *report, cwd=root, env=env)
    assert done.code == 0, done.stderr
    return Tuned(root, env, interrupted, before, done, rag_in)


def test_an_interrupt_ends_it_after_the_trial_in_hand(tuned: Tuned) -> None:
    code, said = tuned.interrupted
    assert code == 130
    assert said.endswith("rag: interrupted; run it again to go on\n")
    assert "Traceback" not in said


def test_a_kill_loses_no_trial_that_was_finished(tuned: Tuned) -> None:
    kept = len(tuned.before_the_kill)
    assert tuned.lines[:kept] == tuned.before_the_kill
    numbers = [json.loads(line)["number"] for line in tuned.lines[1:]]
    assert numbers == list(range(kept + 1))
    assert tuned.done.json["trials"] == len(numbers)


def test_the_payload_says_what_was_found_and_what_it_is_worth(tuned: Tuned) -> None:
    told = tuned.done.json
    questions = read_questions(tuned.root / "questions.jsonl")
    for side in ("tune", "test"):
        assert told[side]["n"] == len(split_questions(questions, side))
        assert set(told[side]["before"]) == {"recall", "iou", "tokens", "abstained"}
    assert told["met"] is True
    assert told["tune"]["after"]["recall"] >= told["tune"]["before"]["recall"]
    assert told["tune"]["after"]["iou"] >= told["tune"]["before"]["iou"]
    for name, gain in told["test"]["gain"].items():
        difference = told["test"]["after"][name] - told["test"]["before"][name]
        assert gain["low"] <= gain["mean"] <= gain["high"]
        assert gain["mean"] == pytest.approx(difference)
    assert told["number"] in [each["number"] for each in told["front"]]
    assert (told["profile"], told["report"]) == ("tuned.toml", "page.html")
    assert told["left_out"] == []


def test_the_profile_gives_the_figures_that_were_told(tuned: Tuned) -> None:
    written = (tuned.root / "tuned.toml").read_text("utf-8")
    assert written.startswith("# rag eval tune --questions questions.jsonl --sizes 20,50")
    values = tomllib.loads(written)
    assert values.pop("synthesis") == {"personas": ["a ranger"]}  # of the profile given
    chosen = tuned.done.json["chosen"]
    for group, fields in values.items():
        for field, value in fields.items():
            assert chosen[f"{group}.{field}"] == value
    asked = ("--questions", "questions.jsonl", "--split", "test", "--profile", "tuned.toml")
    ran = tuned.rag("eval", "run", *asked, "--json")
    assert ran.code == 0, ran.stderr
    (select,) = (each for each in ran.json["stages"] if each["stage"] == "select")
    for name in ("iou", "recall"):
        assert select[name] == pytest.approx(tuned.done.json["test"]["after"][name])


def test_the_page_holds_the_front_and_needs_nothing_else(tuned: Tuned) -> None:
    page = (tuned.root / "page.html").read_text("utf-8")
    assert page.count("<svg") == 2
    assert "<script" not in page
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)
    for each in tuned.done.json["front"]:
        assert f"<td>{each['number']}" in page


def test_a_wish_that_nothing_meets_is_said_and_no_failure(tuned: Tuned) -> None:
    count = str(len(tuned.lines) - 1)
    ran = tuned.rag(*COMMAND, "--trials", count, "--max-tokens", "1", "--out", "lean.toml",
                    "--trials-file", "tuned.toml.trials.jsonl", "-q")  # fmt: skip
    assert ran.code == 0, ran.stderr
    assert "no trial does that: this is the one that comes nearest" in ran.stdout
    assert ran.stderr == ""
    assert "came nearest" in (tuned.root / "lean.toml").read_text("utf-8")


def test_the_trials_of_another_search_are_refused_by_name(tuned: Tuned) -> None:
    before = tuned.lines
    ran = tuned.rag(*COMMAND, "--set", "retrieval.rrf_k=9", "--json")
    assert (ran.code, ran.error["code"]) == (3, "config")
    assert "retrieval.rrf_k" in ran.error["message"]
    assert tuned.lines == before


@pytest.mark.parametrize(
    "wrong",
    [("--sizes", "a"), ("--sizes", "0"), ("--report-corpora", "corpora"), ("--trials", "0")],
)
def test_a_bad_option_is_a_usage_error(rag: Any, wrong: tuple[str, str]) -> None:
    ran = rag("eval", "tune", "--questions", "questions.jsonl", *wrong, "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
