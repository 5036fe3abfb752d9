from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest
from reportlab.pdfgen.canvas import Canvas

sys.path.insert(0, str(Path(__file__).parents[1]))
from forked import run_forked

RAG = Path(sys.executable).with_name("rag")

# Every position counts: line ends of both kinds, characters outside ASCII and outside the BMP.
OTTER = (
    "The Eurasian otter 🦦 lives in clean rivers.\r\n"
    "An adult otter eats about one kilogram of fish a day: mostly trout (Äschen).\r\n"
)
BADGER = (
    "# The badger\n\nBadgers dig their setts in sandy woodland soil.\n\n"
    "## Diet 🍯\n\nA badger eats several hundred earthworms in a single night.\n"
)
HERON = ["The grey heron builds its nest in tall trees.", "Herons stand still for hours to hunt."]


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout; anything else there fails."""
        assert self.stdout.endswith("\n")
        assert self.stdout.count("\n") == 1
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found

    @property
    def error(self) -> dict[str, str]:
        """The error of a failed command with `--json`, which stderr says in one line, too."""
        (error,) = self.json.values()
        assert set(self.json) == {"error"}
        assert set(error) == {"code", "message", "hint"}
        assert self.stderr.splitlines()[-1].startswith(f"rag: {error['message']}")
        assert "Traceback" not in self.stderr
        return error


class Rag(Protocol):
    def __call__(self, *arguments: str, **options: Any) -> Ran: ...


def run_rag(
    *arguments: str,
    cwd: Path,
    env: dict[str, str] | None = None,
    text: str = "",
    anew: bool = False,
) -> Ran:
    """Run the command; `anew` in a process that begins at nothing, with a seed of its own."""
    clean = clean_environment() | (env or {})
    if not anew:
        code, out, err = run_forked(arguments, cwd, clean, text.encode(), timeout=240)
        return Ran(code, out.decode(), err.decode())
    done = subprocess.run(
        [RAG, *arguments],
        cwd=cwd,
        env=clean,
        input=text.encode(),
        capture_output=True,
        timeout=240,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def clean_environment() -> dict[str, str]:
    foreign = ("QDRANT_URL", "QDRANT_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RAG_") and name not in foreign
    }


@pytest.fixture
def rag(tmp_path: Path) -> Rag:
    """Run the command in an empty folder."""

    def run(*arguments: str, **options: Any) -> Ran:
        return run_rag(*arguments, **({"cwd": tmp_path} | options))

    return run


@pytest.fixture(scope="session")
def rag_in() -> Rag:
    """Run the command in the folder `cwd`; for what several tests share."""
    return run_rag


@pytest.fixture
def start_rag(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the command in an empty folder and do not wait for it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(
                [RAG, *arguments], cwd=tmp_path, env=clean_environment(), stdout=pipe, stderr=pipe
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Library:
    """A folder with documents in `docs` and an index of them in `.spanrag`."""

    root: Path
    ingested: Ran

    def rag(self, *arguments: str, **options: Any) -> Ran:
        return run_rag(*arguments, cwd=self.root, **options)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """One index for all tests that only read one: making it costs seconds."""
    root = tmp_path_factory.mktemp("library")
    (root / "docs/birds").mkdir(parents=True)
    (root / "docs/otter.txt").write_bytes(OTTER.encode())
    (root / "docs/badger.md").write_bytes(BADGER.encode())
    canvas = Canvas(str(root / "docs/birds/heron.pdf"))
    for line in HERON:
        canvas.drawString(72, 720, line)
        canvas.showPage()
    canvas.save()
    (root / "docs/broken.pdf").write_bytes(b"%PDF-1.7 and no more")
    return Library(root, run_rag("ingest", "docs", "--json", cwd=root))


@dataclass(frozen=True)
class Evaluated:
    """Two recorded runs over the same questions: as the settings are, and a narrow one."""

    root: Path
    env: dict[str, str]
    one: Ran
    other: Ran

    def rag(self, *arguments: str, **options: Any) -> Ran:
        return run_rag("eval", *arguments, **({"cwd": self.root, "env": self.env} | options))


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    root = tmp_path_factory.mktemp("evaluated")
    env = {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    texts = {"otter.txt": OTTER, "sub/badger.md": BADGER}
    (root / "set/corpora/sub").mkdir(parents=True)
    for name, text in texts.items():
        (root / "set/corpora" / name).write_bytes(text.encode())
    lines: list[dict[str, Any]] = []
    for key, question, doc, quote in (
        ("fish", "How much fish does an otter eat in a day?", "otter.txt", "one kilogram of fish"),
        ("worms", "What does a badger eat in a night?", "sub/badger.md", "hundred earthworms"),
        ("setts", "Where do badgers dig their setts?", "sub/badger.md", "sandy woodland soil"),
    ):
        at = texts[doc].index(quote)
        reference = {"doc": doc, "start": at, "end": at + len(quote), "text": quote}
        lines.append(
            {"question_id": key, "question": question, "references": [reference], "answer": quote}
        )
    lines.append({"question_id": "chess", "question": "Who won at chess?", "references": []})
    written = "".join(json.dumps(line) + "\n" for line in lines)
    (root / "set/questions.jsonl").write_text(written)
    (root / "narrow.toml").write_text("[retrieval]\ntop_k = 1\n")
    asked = ("eval", "run", "--questions", "set/questions.jsonl", "--json")
    narrow = (
        "--corpora", "set/corpora", "--profile", "narrow.toml", "--budget", "12",
        "--label", "narrow", "--out", "runs/narrow.jsonl", "--quiet",
    )  # fmt: skip
    return Evaluated(
        root, env, run_rag(*asked, cwd=root, env=env), run_rag(*asked, *narrow, cwd=root, env=env)
    )
