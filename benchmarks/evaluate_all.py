"""Every evaluation set, end to end, by one command each: `rag eval run` with its defaults.

Each run ingests its corpus into a scratch index, asks every question, and scores the record: wall
time and peak memory are those of the whole command, the start of Python included. With --fresh
the scratch indexes are new ones, in a cache of their own; without it, one that an earlier run made
is used again. The recorded runs are kept in --out for `rag eval report` and `compare`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import commands
from report import heading, say, table
from searching import CACHE
from workload import SHARED

SHOWN = {
    "iou": "IoU",
    "precision": "precision",
    "recall": "recall",
    "precision_omega": "Precision-Omega",
}


def evaluate(
    folder: Path, out: Path, options: Sequence[str]
) -> tuple[dict[str, Any], Sequence[object]]:
    """The scores of a set, and a row of what they cost."""
    questions, corpora = folder / "questions.jsonl", folder / "corpora"
    command = [commands.RAG, "eval", "run", "--questions", str(questions), "--corpora"]
    command += [str(corpora), "--out", str(out / f"{folder.name}.jsonl"), *options, "--json"]
    done = commands.run(command)
    found: dict[str, Any] = json.loads(done.output)
    ingest = found["notes"]["ingest"]["seconds"]
    size = sum(path.stat().st_size for path in corpora.rglob("*") if path.is_file())
    row = (
        folder.name,
        f"{size / 1e6:.2f}",
        f"{found['n'] + found['unanswerable']:,}",
        f"{done.seconds:,.0f}",
        f"{ingest:,.0f}",
        f"{found['cost']['seconds']['median'] * 1000:,.0f}",
        f"{found['cost']['seconds']['p95'] * 1000:,.0f}",
        f"{done.peak:,.0f}",
    )
    say(f"{folder.name}: {done.seconds:,.0f} s, {done.peak:,.0f} MiB")
    return found, row


def stage_rows(name: str, found: Mapping[str, Any]) -> list[Sequence[object]]:
    """Every stage of a set's run."""
    return [
        (
            name,
            stage["stage"],
            *(percent(stage[figure], stage["ci"][figure]) for figure in SHOWN),
            f"{stage['tokens']:,.0f}",
        )
        for stage in found["stages"]
    ]


def percent(value: float, edges: Sequence[float]) -> str:
    """A mean and its interval, in percent."""
    low, high = edges
    return f"{value * 100:.1f} ({low * 100:.1f} - {high * 100:.1f})"


def main() -> None:
    """Evaluate every set, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sets = sorted(path.parent.name for path in SHARED.glob("*/questions.jsonl"))
    parser.add_argument("--sets", nargs="+", choices=sets, default=sets)
    parser.add_argument("--sample", type=int, help="questions of each set (default: all)")
    parser.add_argument("--fresh", action="store_true", help="ingest into new scratch indexes")
    runs = CACHE / "eval-runs"
    parser.add_argument("--out", type=Path, default=runs, help="default: %(default)s")
    args = parser.parse_args()
    if not sets:
        raise SystemExit(f"nothing to measure on: {SHARED} is not there")
    top = heading("Every set, end to end")

    options = ["--quiet", *(("--sample", str(args.sample)) if args.sample else ())]
    args.out.mkdir(parents=True, exist_ok=True)
    costs: list[Sequence[object]] = []
    stages: list[Sequence[object]] = []
    answers: list[Sequence[object]] = []
    with ExitStack() as stack:
        if args.fresh:
            cache = stack.enter_context(tempfile.TemporaryDirectory())
            os.environ["XDG_CACHE_HOME"] = cache
        for name in args.sets:
            found, row = evaluate(SHARED / name, args.out, options)
            costs.append(row)
            stages += stage_rows(name, found)
            grounding, degraded = found["grounding"], sum(found["degraded"].values())
            cited = (grounding["citation_precision"], grounding["citation_recall"])
            percents = ("" if each is None else f"{each * 100:.1f}" for each in cited)
            answers.append((name, found["abstained"], found["failed"], degraded, *percents))
    print(top)
    spent = ("seconds in all", "of them ingest", "ms a question, median", "95th percentile")
    print(table(("set", "MB", "questions", *spent, "peak MiB"), costs))
    print("Percent, of characters, with 95 % intervals.\n")
    print(table(("set", "stage", *SHOWN.values(), "tokens"), stages))
    shares = ("citation precision", "citation recall")
    print(table(("set", "no answer", "failed", "degraded", *shares), answers))


if __name__ == "__main__":
    main()
