"""`rag ingest` itself, with the bundled model, killed by SIGKILL at any moment."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from tiny_index import dump

from connectors.registry import open_source
from pipelines.ingest import ingest
from rag.index import Index, open_index
from rag.settings import Settings

pytestmark = pytest.mark.slow

DOCUMENTS = 40
KILLS = 4


def write(folder: Path, number: int, version: str, sentences: int) -> None:
    text = " ".join(
        f"Report {number} in its {version} version has a sentence {n} of its own."
        for n in range(sentences)
    )
    (folder / f"{number:02}.txt").write_text(text)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(DOCUMENTS):
        write(folder, number, "old", 6)
    return folder


def open_at(path: Path) -> Index:
    return open_index(Settings(store={"path": path}), create=True)


def ingest_all(path: Path, docs: Path) -> dict[str, Any]:
    with open_at(path) as index:
        assert ingest(index, [open_source("docs")]).failed == []
        return dump(index)


def live(points: dict[str, Any]) -> dict[str, set[str]]:
    served = defaultdict(set)
    for point_id, (payload, *_) in points.items():
        if payload.get("state") == "live":
            served[payload["name"]].add(point_id)
    return served


def run_and_kill(root: Path, commits: int, seconds: float) -> bool:
    """Run `rag ingest` and kill it soon after so many commits; whether it had not ended before."""
    rag = Path(sys.executable).with_name("rag")
    command = [rag, "ingest", "docs", "-v", "--where", "index"]
    command += ["--set", "ingest.window_tokens=256"]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            commits -= "committed docs/" in line
            if commits == 0:
                time.sleep(seconds)
                process.kill()
                break
    return process.returncode == -signal.SIGKILL


def test_a_command_that_is_killed_loses_nothing_and_the_next_one_completes(
    tmp_path: Path, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = live(ingest_all(tmp_path / "index", docs))
    for number in range(0, DOCUMENTS, 2):
        write(docs, number, "new", 30)
    for number in range(DOCUMENTS, DOCUMENTS + 10):
        write(docs, number, "new", 30)
    expected = ingest_all(tmp_path / "fresh", docs)
    after = live(expected)
    draw = Random(11)
    killed = []
    for kill in range(KILLS):
        commits, seconds = draw.randint(1, 3), draw.uniform(0, 0.3)
        killed.append(run_and_kill(tmp_path, commits, seconds))
        with open_at(tmp_path / "index") as index:
            served = live(dump(index))
        for name, chunks in (before | after).items():
            possible = [before.get(name, set()), after.get(name, chunks)]
            assert served[name] in possible, (
                f"{name}, kill {kill}, {seconds} s after commit {commits}"
            )
    assert killed[0]  # the later ones may find little left to do
    found = ingest_all(tmp_path / "index", docs)
    assert set(found) == set(expected)
    for point_id, (payload, dense, lexical) in expected.items():
        assert found[point_id][0] == payload
        # The neighbours in a batch differ from run to run, and with them the last bits.
        np.testing.assert_allclose(found[point_id][1], dense, atol=0.02)
        assert found[point_id][2] == lexical
