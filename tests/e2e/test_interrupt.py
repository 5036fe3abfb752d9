"""The command as a process: answers show while they are written, and Ctrl-C ends it at once."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from forked import run_forked

from rag.generation.bundled import model_file

RAG = Path(sys.executable).with_name("rag")
TEXT = (
    "The harbour office recorded 412 arrivals in May, 38 more than in April. Most carried timber."
)
QUESTION = "What did the harbour office record?"
PATIENCE = 90.0  # seconds until a test is taken to hang

pytestmark = pytest.mark.skipif(
    not model_file().is_file(), reason="no bundled model: run `rag models pull`"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("harbour")
    (root / "docs").mkdir()
    (root / "docs" / "harbour.txt").write_text(TEXT, encoding="utf-8")
    rag(root, "ingest", "docs", "-q")
    return root


def rag(folder: Path, *arguments: str) -> tuple[str, str]:
    """What the command says on stdout and stderr, where they are pipes."""
    code, out, err = run_forked(arguments, folder, os.environ, b"", PATIENCE)
    assert code == 0, err.decode()
    return out.decode(), err.decode()


def heard() -> None:
    """A suite that was started in the background ignores interrupts, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def on_terminal(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Any]]:
    """The command with a terminal for all three streams, and how to read until it shows a text."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [RAG, *arguments], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, preexec_fn=heard,
    )  # fmt: skip
    os.close(theirs)
    shown = bytearray()

    def read_until(pattern: str | None) -> str:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if pattern and re.search(pattern, shown.decode(errors="replace")):
                break
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    shown.extend(os.read(ours, 65536))
                except OSError:  # it has ended
                    break
        return shown.decode(errors="replace")

    try:
        yield process, read_until
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_an_answer_shows_while_it_is_written_and_is_printed_when_it_is_checked(
    folder: Path,
) -> None:
    asked = ("query", QUESTION, "--set", "generation.kind=bundled")
    with on_terminal(folder, *asked) as (process, read_until):
        shown = read_until(None)
        assert process.wait(timeout=PATIENCE) == 0
    printed = shown.rindex("The harbour", 0, shown.index("[1]"))
    assert "\x1b[2m" in shown[:printed]  # dim, while nobody has checked it
    assert "The harbour" in shown[:printed]
    assert re.match(r"The harbour[^\n]* \[1\]\s+\[1\] docs/harbour.txt", shown[printed:])


def test_nothing_but_the_checked_answer_goes_to_a_pipe(folder: Path) -> None:
    out, err = rag(folder, "query", QUESTION, "--set", "generation.kind=bundled")
    assert out.startswith("The harbour")
    assert "\x1b" not in out + err
    assert out.count("[1]") == 2


def interrupted(process: subprocess.Popen[bytes], read_until: Any) -> str:
    os.killpg(process.pid, signal.SIGINT)
    shown: str = read_until(r"rag: interrupted[^\n]*\n")
    assert "rag: interrupted" in shown
    assert process.wait(timeout=PATIENCE) == 130
    assert "Traceback" not in shown
    return shown


def test_an_interrupt_ends_the_bundled_model_while_it_writes(folder: Path) -> None:
    # A base model that may write hundreds of tokens, and goes on and on at this temperature.
    asked = (
        "query", QUESTION, "--set", "generation.kind=bundled", "--set",
        "generation.max_tokens=3000", "--set", "generation.temperature=2",
        "--set", "generation.context_window=8192",
    )  # fmt: skip
    with on_terminal(folder, *asked) as (process, read_until):
        read_until("\x1b\\[2m")
        interrupted(process, read_until)


@pytest.mark.parametrize("mode", ["off", "sift"])
def test_an_interrupt_ends_a_request_to_a_server(folder: Path, proxy: Any, mode: str) -> None:
    proxy.script = ["hang"] * 8
    asked = (
        "query", QUESTION, "--grounding", mode, "--set", "generation.kind=server",
        "--set", f"generation.url={proxy.base}", "--set", "generation.model=smollm2",
    )  # fmt: skip
    with on_terminal(folder, *asked) as (process, read_until):
        wait_for(lambda: proxy.open)
        interrupted(process, read_until)
    assert proxy.left.wait(timeout=PATIENCE)
    wait_for(lambda: not proxy.open)


def evaluating(folder: Path, base: str, concurrency: int) -> tuple[str, ...]:
    questions = folder / "questions.jsonl"
    lines = [
        {
            "question_id": str(number),
            "question": f"{QUESTION} ({number})",
            "references": [{"doc": "harbour.txt", "start": 0, "end": 71, "text": TEXT[:71]}],
        }
        for number in range(6)
    ]
    questions.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return (
        "eval", "run", "--questions", "questions.jsonl", "--corpora", "docs",
        "--out", f"run-{concurrency}.jsonl", "--set", "generation.kind=server",
        "--set", f"generation.url={base}", "--set", "generation.model=smollm2",
        "--set", "generation.max_tokens=12", "--set", f"generation.concurrency={concurrency}",
    )  # fmt: skip


def test_an_interrupt_ends_an_evaluation_with_several_requests_under_way(
    folder: Path, proxy: Any
) -> None:
    proxy.script = ["hang"] * 30
    with on_terminal(folder, *evaluating(folder, proxy.base, 3)) as (process, read_until):
        wait_for(lambda: proxy.open == 3)
        interrupted(process, read_until)
    wait_for(lambda: not proxy.open)
    assert not (folder / "run-3.jsonl").exists()


def test_an_evaluation_is_the_same_however_many_questions_are_under_way(
    folder: Path, proxy: Any
) -> None:
    told = []
    for concurrency in (1, 3):
        rag(folder, *evaluating(folder, proxy.base, concurrency))
        lines = (folder / f"run-{concurrency}.jsonl").read_text(encoding="utf-8").splitlines()
        records = [json.loads(line)["question"] for line in lines if '{"question":' in line[:20]]
        told.append([(each["question"]["id"], each["answer"]) for each in records])
    assert told[0] == told[1]
    assert [name for name, _ in told[0]] == [str(number) for number in range(6)]
    assert proxy.most_open > 1


def wait_for(condition: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
