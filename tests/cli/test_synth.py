"""`rag synth`: the command, killed, resumed, over folders and indexes."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SENTENCES = (
    "The {name} station recorded {n} storms in the winter of {y}. According to {who}, the mast at "
    "{name} needs new stays before spring. The {name} tower was built by {who} in {y}. To reach "
    "the {name} hut in fog, follow the iron posts. Crews should check the {name} cable to prevent "
    "damage by ice. The {name} generator was replaced in {y} because its bearings failed. {name} "
    "is a weather station on the western ridge."
)
NAMES = ("Alder", "Brack", "Corvo", "Dunmore", "Eskel", "Fallow", "Garrow", "Hestia")


@pytest.fixture
def stations(tmp_path: Path) -> Path:
    folder = tmp_path / "stations"
    folder.mkdir()
    for at, name in enumerate(NAMES):
        who = f"{NAMES[at - 1]}a {name}son"
        text = SENTENCES.format(name=name, n=31 + at * 7, y=1950 + at, who=who)
        (folder / f"{name}.txt").write_text(text + "\n")
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.usefixtures("cache")
def test_questions_of_a_folder_and_their_evaluation(
    rag: Any, stations: Path, tmp_path: Path
) -> None:
    ran = rag("synth", "stations", "--n", "12", "--engine", "rules", "--out", "q.jsonl", "--json")
    assert ran.code == 0, ran.stderr
    report = ran.json
    assert report["kept"] == 12
    assert report["questions"] == "q.jsonl"
    assert report["attempts"] == 12 + sum(report["rejected"].values())
    assert sum(report["kinds"].values()) == sum(report["references"].values()) == 12
    assert report["documents"]["all"] == len(NAMES)
    assert (report["llm_calls"], report["llm_tokens"]) == (0, 0)
    for line in lines_of(tmp_path / "q.jsonl"):
        for reference in line["references"]:
            text = (stations / reference["doc"]).read_text()
            assert text[reference["start"] : reference["end"]] == reference["text"]
    ran = rag("eval", "run", "--questions", "q.jsonl", "--corpora", "stations", "--json")
    assert ran.code == 0, ran.stderr
    assert ran.json["n"] == 12


@pytest.mark.usefixtures("cache")
def test_an_index_gives_the_questions_of_its_source(
    rag: Any, stations: Path, tmp_path: Path
) -> None:
    assert rag("ingest", "stations").code == 0
    asked = ("--n", "6", "--engine", "rules", "--json")
    for source, out in (("stations", "a"), (".spanrag", "b"), (None, "c")):
        given = [source] if source else []
        ran = rag("synth", *given, *asked, "--out", f"{out}.jsonl")
        assert ran.code == 0, ran.stderr
    a, b, c = ([line["question"] for line in lines_of(tmp_path / f"{out}.jsonl")] for out in "abc")
    assert a == b == c


@pytest.mark.slow
@pytest.mark.usefixtures("cache")
def test_killed_at_any_moment_it_goes_on_where_it_was(
    rag: Any, start_rag: Callable[..., subprocess.Popen[bytes]], stations: Path, tmp_path: Path
) -> None:
    asked = ("synth", "stations", "--n", "20", "--engine", "rules", "--quiet")
    assert rag(*asked, "--out", "whole.jsonl").code == 0
    journal = tmp_path / "parts.jsonl.journal"
    killed = 0
    for least in (2, 9):
        process = start_rag(*asked, "--out", "parts.jsonl")
        while process.poll() is None:
            if journal.is_file() and journal.read_bytes().count(b"\n") > least:
                process.send_signal(signal.SIGKILL)
                killed += process.wait() == -signal.SIGKILL
            time.sleep(0.005)
        assert not killed or not (tmp_path / "parts.jsonl").exists()
    assert killed
    assert rag(*asked, "--out", "parts.jsonl").code == 0
    assert (tmp_path / "parts.jsonl").read_text() == (tmp_path / "whole.jsonl").read_text()


@pytest.mark.usefixtures("cache")
def test_what_is_shown_to_people(rag: Any, stations: Path) -> None:
    ran = rag("synth", "stations", "--n", "5", "--engine", "rules", "--out", "q.jsonl")
    assert ran.code == 0, ran.stderr
    assert "kept" in ran.stdout
    assert "5 questions about" in ran.stdout
    assert "wrote q.jsonl" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 2, "nowhere"),
        (["stations", "--engine", "magic"], 2, "no engine magic"),
        (["stations", "--engine", "llm"], 3, "--engine llm needs a language model"),
        (["stations", "--out", "stations"], 2, "cannot write stations"),
        ([], 5, "no index"),
    ],
)
@pytest.mark.usefixtures("cache")
def test_what_cannot_be_done_is_one_line(
    rag: Any, stations: Path, arguments: list[str], code: int, message: str
) -> None:
    ran = rag("synth", *arguments, "--json")
    assert ran.code == code
    assert message in ran.error["message"]
    assert ran.error["hint"]


@pytest.mark.usefixtures("cache")
def test_the_questions_of_another_run_are_not_mixed_in(rag: Any, stations: Path) -> None:
    asked = ("synth", "stations", "--engine", "rules", "--n", "2", "--out", "q.jsonl", "--json")
    assert rag(*asked).code == 0
    (stations / "Alder.txt").write_text("Another text altogether, with nothing to ask about.\n")
    ran = rag(*asked)
    assert ran.code == 3
    assert "q.jsonl.journal is the journal of another run (documents:" in ran.error["message"]
    assert "remove the file" in ran.error["hint"]
