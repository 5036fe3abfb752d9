"""`rag serve` under load, on loopback: speed, overload, a soak, and kills with nothing lost.

The server is the real command, over an embedded index of the demo's documents and, with --data,
of evaluation sets. Requests come from another process (serving_asker.py) on the same machine, so
they take processor time from the server; the tables say how much. Latencies count from when a
request was due. Intervals (95 %) redraw stretches of time. No question is put twice in the same
letters, since the server remembers the vectors of texts; those of sentences it has seen it does
remember, as it would for anybody.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

from commands import RAG
from report import heading, say
from serving_kills import kills
from serving_overload import overload
from serving_soak import soak
from serving_speed import speed
from workload import DEMO, named

from rag.ids import digest
from rag.settings import ServeSettings

QUESTIONS = DEMO.parent / "questions.jsonl"
QUICK = {
    "seconds": 1.0, "bundled_seconds": 6.0, "clients": [4], "rounds": 1, "overload": 3.0,
    "soak": 12.0, "every": 1.0, "kills": 3, "within": 2.0,
}  # fmt: skip


def main() -> None:
    """Measure the parts that are asked for, and print a report of each."""
    args = _arguments()
    folders = [DEMO, *(each.resolve() / "corpora" for each in args.data)]
    files = [QUESTIONS, *(each / "questions.jsonl" for each in args.data)]
    questions = [question for file in files for question in _questions(file)]
    index = _index(args.cache, folders)
    seconds = {"extractive": args.seconds, "bundled": args.bundled_seconds}
    parts: dict[str, tuple[str, Callable[[], str]]] = {
        "speed": ("Speed", lambda: speed(index, questions, seconds, args.clients, args.rounds)),
        "overload": ("Overload", lambda: overload(index, questions, args.seconds, args.overload)),
        "soak": ("Soak", lambda: soak(index, questions, args.seconds, args.soak, args.every)),
        "kills": ("Kills", lambda: kills(index, questions, args.kills, args.within, args.seed)),
    }
    for name in args.parts:
        title, measure = parts[name]
        top = heading(f"{title} of `rag serve`")
        report = measure()
        print(top)
        print(f"{_served(folders, index, len(questions))}\n\n{report}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = ("speed", "overload", "soak", "kills")
    parser.add_argument("--parts", nargs="+", choices=every, default=every)
    parser.add_argument(
        "--data", type=Path, nargs="+", default=[], help="sets besides, e.g. ../shared/data/covidqa"
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of a load")
    parser.add_argument("--bundled-seconds", type=float, default=60.0, help="of one with a model")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--rounds", type=int, default=2, help="of every load of the first part")
    parser.add_argument("--overload", type=float, default=45.0, metavar="SECONDS")
    parser.add_argument("--soak", type=float, default=600.0, metavar="SECONDS")
    parser.add_argument("--every", type=float, default=45.0, help="seconds between jobs of a soak")
    parser.add_argument("--kills", type=int, default=12, help="rounds, of three kinds in turn")
    parser.add_argument("--within", type=float, default=8.0, help="seconds to a round's kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="all of it, to see whether it runs")
    cache = Path(tempfile.gettempdir()) / "spanrag-benchmarks"
    parser.add_argument("--cache", type=Path, default=cache, help="default: %(default)s")
    args = parser.parse_args()
    return argparse.Namespace(**{**vars(args), **(QUICK if args.quick else {})})


def _index(cache: Path, folders: Sequence[Path]) -> Path:
    """The index of these folders: that of the cache, brought up to date, or a new one."""
    index = cache / f"serving-{digest([str(folder) for folder in folders])[:8]}"
    index.parent.mkdir(parents=True, exist_ok=True)
    say(f"indexing {', '.join(map(named, folders))} in {index}")
    command = [RAG, "ingest", *map(str, folders), "--where", str(index), "--prune"]
    subprocess.run(command, stdout=sys.stderr, check=True)
    return index


def _served(folders: Sequence[Path], index: Path, questions: int) -> str:
    """What is served, how, and what asks."""
    command = [RAG, "status", "--where", str(index), "--json"]
    status = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    defaults = ServeSettings()
    versions = [f"{name} {version(name)}" for name in ("uvicorn", "fastapi", "aiohttp")]
    return (
        f"Index: {status['chunks']:,} chunks of {', '.join(map(named, folders))}. {questions} "
        f"questions, drawn at random, each time with other gaps. serve.concurrency "
        f"{defaults.concurrency}, serve.waiting {defaults.waiting}, no limit of requests a minute "
        f"unless a table says so; all else at defaults. {', '.join(versions)}. Milliseconds, with "
        "95 % intervals."
    )


def _questions(file: Path) -> list[str]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line)["question"] for line in lines]


if __name__ == "__main__":
    main()
