"""Commands that are put to a running server: as if they were run where its index is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forked import run_forked

sys.path.insert(0, str(Path(__file__).parent))
from serving import KEYS, TABLE, serving

TEXT = "# Harbour\n\nThe harbour office of Varde recorded 412 arrivals in May."
ASKED = "How many arrivals did the harbour office of Varde record?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "varde.md").write_text(TEXT, encoding="utf-8")
    (documents / "empty.md").write_text("", encoding="utf-8")
    return documents


@pytest.fixture
def base(tmp_path: Path, folder: Path) -> Iterator[str]:
    with serving(tmp_path / "index", api_keys=TABLE, sources=(str(folder),)) as address:
        yield address


def run(*arguments: str, key: str = "admin", cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"RAG_CLIENT__API_KEY": KEYS[key]}
    code, out, err = run_forked(arguments, cwd, environment, b"", timeout=240)
    return subprocess.CompletedProcess(arguments, code, out.decode(), err.decode())


def told(ran: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_commands_say_the_same_through_a_server(base: str, folder: Path, tmp_path: Path) -> None:
    ran = run("ingest", "documents", "--server", base, "--json", cwd=tmp_path)
    assert ran.returncode == 4, ran.stderr  # one document is empty
    assert told(ran)["added"] == 1
    assert [each["reason"] for each in told(ran)["failed"]] == ["empty file"]
    again = run("ingest", str(folder), "--server", base, cwd=tmp_path)
    assert "unchanged 1" in again.stdout

    answer = told(run("query", ASKED, "--server", base, "--json", cwd=tmp_path))
    assert answer["citations"][0]["quote"] in TEXT
    human = run("query", ASKED, "--server", base, "--grounding", "extractive", cwd=tmp_path)
    assert "412 arrivals" in human.stdout
    assert "varde.md, Harbour, characters" in human.stdout
    assert "retrieve" in human.stdout

    hits = told(run("search", "arrivals", "--server", base, "--json", cwd=tmp_path))["hits"]
    assert [hit["doc"] for hit in hits] == ["varde.md"]
    shown = run("search", "arrivals", "--server", base, cwd=tmp_path).stdout
    assert shown.startswith("1. ")
    assert "varde.md, Harbour" in shown

    (tmp_path / "rag.toml").write_text(f'[client]\nserver = "{base}"\n')
    assert told(run("search", "arrivals", "--json", cwd=tmp_path))["hits"] == hits
    (tmp_path / "rag.toml").unlink()

    local = run("query", ASKED, "--where", str(tmp_path / "index"), "--json", cwd=tmp_path)
    assert local.returncode == 5
    assert "--server URL" in told(local)["error"]["hint"]


@pytest.mark.parametrize(
    ("arguments", "key", "code", "said"),
    [
        (("search", "x", "--server", "nowhere"), "reader", 2, "is no address"),
        (("search", "x", "--server", "http://127.0.0.1:9"), "reader", 5, "does not answer"),
        (("search", "x", "--filter", "bad", "--server", "BASE"), "reader", 2, "cannot read"),
        (("ingest", "documents", "--server", "BASE"), "reader", 3, "not ingest"),
        (("ingest", "/", "--server", "BASE"), "admin", 3, "serve.sources"),
        (("query", "x", "--explain", "--server", "BASE"), "reader", 2, "--explain"),
        (("ingest", "x", "--dry-run", "--server", "BASE"), "writer", 2, "--dry-run"),
        (("query", "What is the colour of Neptune's moon?", "--fail-on-abstain", "--server",
          "BASE"), "reader", 8, ""),
    ],
)  # fmt: skip
def test_refusals_have_the_codes_of_the_command_line(
    base: str, tmp_path: Path, arguments: tuple[str, ...], key: str, code: int, said: str
) -> None:
    given = (base if each == "BASE" else each for each in arguments)
    ran = run(*given, "--json", key=key, cwd=tmp_path)
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert said in ran.stdout
