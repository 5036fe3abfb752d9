"""Kill -9 at random moments of a sync: is anything lost, and does the next run complete it?

A folder of documents is edited, thinned out and added to, round after round; each round's ingest
is killed at a random moment of its own. Then every document must be served in exactly one
revision, the old or the new; and after one more run the index must hold, point for point (text,
spans, both vectors), what a fresh build of the folder holds. The embedder is the tests' tiny one,
so that a round takes seconds: what is tried here is the sync, not the model.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from report import heading, say

FAULTS = Path(__file__).resolve().parents[1] / "tests" / "faults"
sys.path.insert(0, str(FAULTS))

from tiny_index import dump, open_tiny  # noqa: E402

from connectors.registry import open_source  # noqa: E402
from pipelines.ingest import ingest  # noqa: E402


def text_of(number: int, version: int) -> str:
    """Sentences that hold a number of the document's own and say which version they are of."""
    draw = random.Random(f"{number} {version}")
    sentences = draw.randint(2, 12)
    return " ".join(
        f"Report {number} in version {version} says {draw.randint(0, 10**9)}."
        for _ in range(sentences)
    )


class Folder:
    """Documents that change."""

    def __init__(self, path: Path, size: int, draw: random.Random) -> None:
        self.path = path
        self.versions = dict.fromkeys(range(size), 0)
        self._next = size
        self._draw = draw
        path.mkdir()
        for number in self.versions:
            self._write(number)

    def change(self) -> None:
        """Edit a tenth, delete a twentieth, add as many."""
        known = sorted(self.versions)
        for number in self._draw.sample(known, len(known) // 10):
            self.versions[number] += 1
            self._write(number)
        for number in self._draw.sample(known, len(known) // 20):
            del self.versions[number]
            (self.path / f"{number}.txt").unlink()
        for _ in range(len(known) // 20):
            self.versions[self._next] = 0
            self._write(self._next)
            self._next += 1

    def _write(self, number: int) -> None:
        text = text_of(number, self.versions[number])
        (self.path / f"{number}.txt").write_text(text)


class Driver:
    """The tests' driver: runs an ingest in a forked child that dies at a moment."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(FAULTS / "driver.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, index: Path, source: Path, microseconds: int) -> bool:
        """Whether it was killed before it ended."""
        job = {"index": str(index), "source": str(source), "at": "microseconds"}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job | {"number": microseconds}) + "\n")
        self._process.stdin.flush()
        return bool(json.loads(self._process.stdout.readline())["killed"])


def served(points: dict[str, Any]) -> dict[str, set[str]]:
    """The revisions that are served, by document."""
    found: dict[str, set[str]] = defaultdict(set)
    for payload, *_ in points.values():
        if payload.get("state") == "live":
            found[payload["name"]].add(payload["revision"])
    return found


def points_of(path: Path, folder: Path | None = None) -> dict[str, Any]:
    """What the index holds; after a run over `folder`, if one is given."""
    with open_tiny(path, window_tokens=2_048, max_delete_fraction=1.0) as index:
        if folder is not None:
            report = ingest(index, [open_source(str(folder))], prune=True)
            assert not report.failed, report.failed
        return dump(index)


def comparable(points: dict[str, Any]) -> dict[str, Any]:
    """Without the marks of time: a fingerprint holds when a file was changed."""
    return {
        point_id: ({key: payload[key] for key in sorted(payload)}, dense, lexical)
        for point_id, (payload, dense, lexical) in points.items()
    }


def lost(before: dict[str, Any], now: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Documents that are not served in exactly one revision, the old or the new."""
    old, here, new = served(before), served(now), served(after)
    return [
        name
        for name in {*old, *new}
        if here.get(name, set()) not in (old.get(name, set()), new.get(name, set()))
    ]


def main() -> None:
    """Run the rounds, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    top = heading("Kill -9 during a sync")
    draw = random.Random(args.seed)
    driver = Driver()
    killed = rounds = differing = 0
    missing: list[str] = []
    committed: list[float] = []
    with tempfile.TemporaryDirectory() as root:
        folder = Folder(Path(root) / "docs", args.documents, draw)
        index = Path(root) / "index"
        began = time.monotonic()
        before = points_of(index, folder.path)
        takes = time.monotonic() - began
        while killed < args.kills:
            rounds += 1
            first = draw.random() < 0.2  # now and then the first sync of all is the one killed
            folder.change()
            if first:
                shutil.rmtree(index)
                before = {}
            fresh = Path(root) / "fresh"
            after = points_of(fresh, folder.path)
            shutil.rmtree(fresh)
            longest = takes if first else takes / 3
            was_killed = driver.run(index, folder.path, int(draw.uniform(0.02, longest) * 1e6))
            killed += was_killed
            if (index / "edge_config.json").is_file() or not first:
                now = points_of(index)
                missing += lost(before, now, after)
                done = [
                    name
                    for name, revision in served(now).items()
                    if revision == served(after).get(name)
                ]
                committed.append(len(done) / len(served(after)))
            found = points_of(index, folder.path)
            differing += comparable(found) != comparable(after)
            before = found
            say(
                f"round {rounds}: killed {was_killed}, lost {len(missing)}, "
                f"differing {differing}, {committed[-1:]}"
            )
    print(top)
    print(
        f"- {args.documents:,} documents; {killed} kills in {rounds} rounds of edits (a tenth), "
        f"deletions and additions (a twentieth each); seed {args.seed}."
    )
    print(f"- Documents lost, or served in two revisions: {len(missing)}.")
    print(f"- Rounds after which one more run did not give what a fresh build gives: {differing}.")


if __name__ == "__main__":
    main()
