"""`rag` itself: help, and what starting it costs."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer.main

from pipelines.cli.main import app

HEAVY = (
    "bs4 connectors llama_index lxml nltk numpy pydantic pypdfium2 qdrant_client qdrant_edge scipy "
    "sentence_transformers sklearn tokenizers torch transformers xllamacpp"
).split()


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in typer.main.get_command(app).commands.items():
        below = getattr(command, "commands", {})
        found += [(name, each) for each in below] or [(name,)]
    return found


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "sys.argv = ['rag', '--help']\n"
        "from pipelines.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    import json\n"
        "    print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Usage: rag" in ran.stdout
    loaded = {name.split(".")[0] for name in json.loads(ran.stderr)}
    assert "pipelines" in loaded
    assert loaded & set(HEAVY) == set()


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_explains_itself(rag, command: tuple[str, ...]) -> None:
    ran = rag(*command, "--help")
    assert (ran.code, ran.stderr) == (0, "")
    assert f"Usage: rag {' '.join(command)} [OPTIONS]" in ran.stdout
    for option in ("--json", "--set", "--config", "--where"):
        assert option in ran.stdout


def test_the_commands_are_those_that_are_documented() -> None:
    assert set(commands()) >= {
        ("demo",), ("ingest",), ("query",), ("search",), ("status",), ("doctor",),
        ("config", "show"), ("config", "check"),
    }  # fmt: skip


def test_the_version_is_the_distributions(rag) -> None:
    ran = rag("--version")
    assert (ran.code, ran.stdout) == (0, f"spanrag {version('spanrag')}\n")


@pytest.mark.parametrize("arguments", [[], ["config"]])
def test_without_a_command_the_help_is_shown_as_it_is(rag, arguments: list[str]) -> None:
    ran = rag(*arguments)
    shown = ran.stdout + ran.stderr
    assert ran.code == 2
    assert shown.lstrip().startswith(" ".join(["Usage: rag", *arguments]))
    assert "see `rag --help`" not in shown
