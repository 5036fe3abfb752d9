"""A run of ingest that is killed at any moment loses nothing, and the next run completes it."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from tiny_index import dump, open_tiny

from connectors.registry import open_source
from pipelines.ingest import IngestReport, ingest
from rag.errors import IndexMissing
from rag.index import Index

IngestUntil = Callable[[Path, Path, str, int], bool]
Points = dict[str, Any]

_SHORT, _LONG = 4, 120  # sentences: one chunk, and several windows of 256 tokens


def text_of(name: str, version: str, sentences: int) -> str:
    """Sentences that hold a word of the document's own and say which version they are of."""
    return " ".join(f"{name} {version} says sentence {n}." for n in range(sentences))


BEFORE = {
    "goes": ("old", _SHORT),
    "grows": ("old", _SHORT),
    "replaced": ("old", _SHORT),
    "shrinks": ("old", _LONG),
    "stays": ("old", _LONG),
    "touched": ("old", _SHORT),
}
AFTER = {
    "grows": ("new", _LONG),
    "new": ("new", _SHORT),
    "newer": ("new", _LONG),
    "replaced": ("new", _SHORT),
    "shrinks": ("new", _SHORT),
    "stays": ("old", _LONG),
    "touched": ("old", _SHORT),
}


class World(NamedTuple):
    """A folder that has changed since `index` was made of it, and what the index must become."""

    folder: Path
    index: Path
    before: Points
    after: Points


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("world")
    folder = root / "docs"
    folder.mkdir()
    for name, (version, length) in BEFORE.items():
        (folder / f"{name}.txt").write_text(text_of(name, version, length))
    before = ingest_all(root / "index", folder)
    for name, (version, length) in AFTER.items():
        if BEFORE.get(name) != (version, length):
            (folder / f"{name}.txt").write_text(text_of(name, version, length))
    os.utime(folder / "touched.txt", (1, 1))
    (folder / "goes.txt").unlink()
    return World(folder, root / "index", before, ingest_all(root / "fresh", folder))


@pytest.fixture
def copies(world: World, tmp_path: Path) -> Iterator[Path]:
    """Copies of the index as it was before the change, each in a folder of its own."""
    return (Path(shutil.copytree(world.index, tmp_path / str(n))) for n in count())


def ingest_all(index: Path, folder: Path) -> Points:
    with open_tiny(index, window_tokens=256) as opened:
        report = run(opened, folder)
        assert not report.failed
        return dump(opened)


def run(index: Index, folder: Path) -> IngestReport:
    return ingest(index, [open_source(str(folder))], prune=True)


def live(points: Points) -> dict[str, set[str]]:
    """The ids of the chunks that are served, by their document's name."""
    served = defaultdict(set)
    for point_id, (payload, *_) in points.items():
        if payload.get("state") == "live":
            served[payload["name"].removesuffix(".txt")].add(point_id)
    return served


def check_nothing_is_lost(path: Path, world: World, moment: str) -> set[str]:
    """Every document is served in exactly one revision; the names of those already new."""
    with open_tiny(path, window_tokens=256) as index:
        served, old, new = live(dump(index)), live(world.before), live(world.after)
        for name in {*BEFORE, *AFTER}:
            # An added document is not there yet or all there; a retired one all there or gone.
            assert served[name] in (old[name], new[name]), f"{name}, killed at {moment}"
            hits = [hit.chunk for hit in index.search(name, top_k=100)]
            found = {chunk.revision for chunk in hits if chunk.name == f"{name}.txt"}
            assert len(found) == bool(served[name]), f"search for {name}, killed at {moment}"
        assert index.store.count() == sum(map(len, served.values()))
    return {name for name in served if served[name] == new[name]}


def check_the_next_run_completes(path: Path, world: World, moment: str) -> None:
    with open_tiny(path, window_tokens=256) as index:
        report = run(index, world.folder)
        assert not report.failed
        assert dump(index) == world.after, f"killed at {moment}"
        assert report.chunks == index.store.count()


@pytest.mark.parametrize(
    "at", ["before-call", "after-call", "before-update", "after-update"]
)
def test_a_kill_at_any_write_loses_nothing_and_the_next_run_completes(
    at: str, world: World, copies: Iterator[Path], ingest_until: IngestUntil
) -> None:
    done: set[str] = set()
    for number, path in enumerate(copies, start=1):
        moment = f"{at} {number}"
        killed = ingest_until(path, world.folder, at, number)
        new = check_nothing_is_lost(path, world, moment)
        assert done <= new, f"what an earlier kill left served, {moment} does not"
        done = new
        check_the_next_run_completes(path, world, moment)
        if not killed:
            break
    assert number > 10, "the scenario makes fewer writes than it is meant to"


def test_a_kill_while_a_new_index_is_made_leaves_one_that_can_be_made(
    world: World, tmp_path: Path, ingest_until: IngestUntil
) -> None:
    for number in count(1):
        path = tmp_path / str(number)
        killed = ingest_until(path, world.folder, "after-update", number)
        try:
            with open_tiny(path) as index:
                points = dump(index)
        except IndexMissing:
            pytest.fail(f"open_tiny makes what is missing, but not after update {number}")
        for name, ids in live(points).items():
            assert ids == live(world.after)[name], f"{name}, killed after update {number}"
        check_the_next_run_completes(path, world, f"update {number} of a new index")
        if not killed:
            break
    assert number > 20, "the scenario makes fewer writes than it is meant to"


def test_a_kill_at_any_time_loses_nothing_and_the_next_run_completes(
    world: World, copies: Iterator[Path], ingest_until: IngestUntil
) -> None:
    draw = Random(20)
    kills = 0
    for path, _ in zip(copies, range(40), strict=False):
        microseconds = draw.randrange(1_000, 120_000)
        kills += ingest_until(path, world.folder, "microseconds", microseconds)
        check_nothing_is_lost(path, world, f"{microseconds} µs")
        check_the_next_run_completes(path, world, f"{microseconds} µs")
    assert kills >= 5, "the runs are too short, or the clock starts too late, to kill any"


def test_a_run_that_is_killed_again_and_again_ends_where_one_run_would(
    world: World, copies: Iterator[Path], ingest_until: IngestUntil
) -> None:
    path = next(copies)
    draw = Random(7)
    for kill in count(1):
        number = draw.randrange(4, 12)
        killed = ingest_until(path, world.folder, "after-update", number)
        check_nothing_is_lost(path, world, f"kill {kill}, update {number}")
        if not killed:
            break
        assert kill < 200, "killed runs make no headway"
    assert kill > 3, "the run was not killed again and again"
    check_the_next_run_completes(path, world, "the last of many kills")


def test_an_index_can_be_made_in_a_folder_where_making_one_was_cut_short(
    world: World, tmp_path: Path, ingest_until: IngestUntil
) -> None:
    for files in (*range(1, 8), *range(8, 60, 4)):
        path = tmp_path / str(files)
        killed = ingest_until(path, world.folder, "files", files)
        there = sorted(str(p.relative_to(path)) for p in path.rglob("*"))
        print(files, killed, there[:10])
        try: assert ingest_all(path, world.folder) == world.after, f"killed at file {files}"
        except Exception as e: print("!!", e)
        if not killed:
            break
    assert 0
