"""What an ingest costs at scale: many small documents, the largest filings, one huge file, a rerun.

Every measurement is a process of its own, so that its peak memory is its own. The texts are real
ones, or made of real sentences; the folders are made anew.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

from ingest_memory import HashEmbedder
from report import heading, say, table
from workload import SHARED, available, new_index, read_sentences

from connectors.registry import open_source
from pipelines.ingest import IngestReport, ingest
from rag.embedding.base import Embedder
from rag.embedding.registry import load_embedder
from rag.settings import EmbeddingSettings

SETS = ("chroma", "covidqa", "pubmedqa", "xquad")


def embedder_named(name: str) -> Embedder:
    """The bundled model, or a cheap stand-in."""
    return HashEmbedder() if name == "hash" else load_embedder(EmbeddingSettings())


def measured(folder: Path, index: Path, embedder: str) -> dict[str, Any]:
    """Ingest a folder in this process."""
    model = embedder_named(embedder)
    model.load()
    with new_index(index, model) as opened:
        began = time.perf_counter()
        report: IngestReport = ingest(opened, [open_source(str(folder))], prune=True)
        seconds = time.perf_counter() - began
    assert not report.failed, report.failed[:3]
    size = sum(file.stat().st_blocks * 512 for file in index.rglob("*") if file.is_file())
    return {
        "documents": report.documents,
        "written": report.added + report.replaced,
        "linked": report.linked,
        "chunks": report.chunks,
        "tokens": report.embedded_tokens,
        "seconds": seconds,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "disk": size / 2**20,
    }


def apart(folder: Path, index: Path, embedder: str) -> dict[str, Any]:
    """The same, in a new process."""
    command = [sys.executable, __file__, "--measure", str(folder), str(index), embedder]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    say(f"{folder.name}: {found}")
    return found


def write_small(folder: Path, count: int) -> None:
    """Small documents of five to ten real sentences."""
    sentences = read_sentences(available(*(SHARED / name / "corpora" for name in SETS)))
    for number in range(count):
        write_one(folder, number, sentences, seed=number)


def write_one(folder: Path, number: int, sentences: list[str], seed: int) -> None:
    """One of them."""
    draw = random.Random(seed)
    text = " ".join(draw.choices(sentences, k=draw.randint(5, 10)))
    path = folder / f"{number // 1000:02}" / f"{number:06}.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def change_small(folder: Path, count: int, share: float) -> None:
    """Write a share of them anew."""
    sentences = read_sentences(available(*(SHARED / name / "corpora" for name in SETS)))
    for number in random.Random(5).sample(range(count), int(count * share)):
        write_one(folder, number, sentences, seed=count + number)


def write_filings(folder: Path, count: int) -> None:
    """The largest filings there are."""
    found = sorted((SHARED / "financebench" / "corpora").rglob("*.txt"), key=_size, reverse=True)
    for path in found[:count]:
        shutil.copy(path, folder)


def write_huge(folder: Path, megabytes: int) -> None:
    """One file of real sentences."""
    sentences = read_sentences(available(*(SHARED / name / "corpora" for name in SETS)))
    draw = random.Random(1)
    left = megabytes * 1_000_000
    with (folder / "huge.txt").open("w", encoding="utf-8") as file:
        while left > 0:
            left -= file.write(" ".join(draw.choices(sentences, k=5)) + "\n\n")


def _size(path: Path) -> int:
    return path.stat().st_size


def row(what: str, found: dict[str, Any]) -> list[str]:
    """A measurement as a line of the table."""
    seconds = found["seconds"]
    return [
        what,
        f"{found['documents']:,}",
        f"{found['written']:,}",
        f"{found['chunks']:,}",
        f"{seconds:,.1f}",
        f"{found['written'] / seconds:,.1f}",
        f"{found['tokens'] / seconds:,.0f}",
        f"{found['peak']:,.0f}",
        f"{found['disk']:,.0f}",
    ]


def main() -> None:
    """Measure what is asked for, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embedder", choices=("hash", "bundled"), default="bundled")
    parser.add_argument("--small", type=int, default=10_000, metavar="DOCUMENTS")
    parser.add_argument("--filings", type=int, default=10)
    parser.add_argument("--huge", type=int, default=0, metavar="MB")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        folder, index, embedder = args.measure
        print(json.dumps(measured(Path(folder), Path(index), embedder)))
        return
    top = heading(f"Ingest at scale, embedder {args.embedder}")
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as root:

        def run(what: str, name: str, write: Callable[[Path], None] | None = None) -> None:
            folder = Path(root) / name
            folder.mkdir(exist_ok=True)
            if write is not None:
                write(folder)
            found = apart(folder, Path(root) / f"{name}-index", args.embedder)
            rows.append(row(what, found))

        if args.small:
            count = args.small
            run(f"{count:,} small documents", "small", lambda f: write_small(f, count))
            run("the same again, unchanged", "small")
            run("1 % of them changed", "small", lambda f: change_small(f, count, 0.01))
        if args.filings:
            run(
                f"the {args.filings} largest filings",
                "filings",
                lambda f: write_filings(f, args.filings),
            )
        if args.huge:
            run(f"one file of {args.huge} MB", "huge", lambda f: write_huge(f, args.huge))
    print(top)
    print(
        "Seconds without loading the model, which is loaded before. *Peak* is ru_maxrss in MiB, "
        "*disk* the index in MiB.\n"
    )
    columns = (
        "what",
        "documents",
        "written",
        "chunks",
        "seconds",
        "documents/s",
        "tokens/s",
        "peak",
        "disk",
    )
    print(table(columns, rows))


if __name__ == "__main__":
    main()
