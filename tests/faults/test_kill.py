"""A run of ingest that is killed at any moment loses nothing, and the next run completes it."""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from tiny_index import dump, open_tiny

from connectors.registry import open_source
from pipelines.ingest import ingest
from rag.index import Index
from rag.store.generations import copy_file

IngestUntil = Callable[[Path, Path, str, int], bool]
Points = dict[str, Any]

_SHORT, _LONG = 4, 70  # sentences: one chunk, and several windows of 256 tokens

BEFORE = {
    "goes": ("old", _SHORT),
    "grows": ("old", _SHORT),
    "replaced": ("old", _SHORT),
    "shrinks": ("old", _LONG),
    "stays": ("old", _SHORT),
    "touched": ("old", _SHORT),
}
AFTER = {
    "grows": ("new", _LONG),
    "new": ("new", _SHORT),
    "replaced": ("new", _SHORT),
    "shrinks": ("new", _SHORT),
    "stays": ("old", _SHORT),
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
    for name, (version, sentences) in BEFORE.items():
        (folder / f"{name}.txt").write_text(text_of(name, version, sentences))
    before = ingested(root / "index", folder)
    for name, (version, sentences) in AFTER.items():
        if BEFORE.get(name) != (version, sentences):
            (folder / f"{name}.txt").write_text(text_of(name, version, sentences))
    os.utime(folder / "touched.txt", (1, 1))
    (folder / "goes.txt").unlink()
    return World(folder, root / "index", before, ingested(root / "fresh", folder))


@pytest.fixture
def copies(world: World, tmp_path: Path) -> Iterator[Path]:
    """Copies of the index as it was before the change."""

    def copy(number: int) -> Path:
        shutil.rmtree(tmp_path / str(number - 1), ignore_errors=True)
        return Path(shutil.copytree(world.index, tmp_path / str(number), copy_function=copy_file))

    return map(copy, count())


def text_of(name: str, version: str, sentences: int) -> str:
    """Sentences that hold a word of the document's own and say which version they are of."""
    return " ".join(f"{name} {version} says sentence {n}." for n in range(sentences))


def ingested(path: Path, folder: Path) -> Points:
    """All that the index holds after a run to the end."""
    with open_tiny(path, window_tokens=256) as index:
        return completed(index, folder)


def completed(index: Index, folder: Path) -> Points:
    report = ingest(index, [open_source(str(folder))], prune=True)
    assert not report.failed
    assert report.chunks == index.store.count()
    return dump(index)


def live(points: Points) -> dict[str, set[str]]:
    """The ids of the chunks that are served, by their document's name."""
    served = defaultdict(set)
    for point_id, (payload, *_) in points.items():
        if payload.get("state") == "live":
            served[payload["name"].removesuffix(".txt")].add(point_id)
    return served


def check_nothing_is_lost(index: Index, world: World, moment: str) -> set[str]:
    """Every document is served in exactly one revision; the names of those already new."""
    served, old, new = live(dump(index)), live(world.before), live(world.after)
    for name in {*BEFORE, *AFTER}:
        # An added document is not there yet or all there; a retired one all there or gone.
        assert served[name] in (old[name], new[name]), f"{name}, killed at {moment}"
        hits = [hit.chunk for hit in index.search(name, top_k=100)]
        found = {chunk.revision for chunk in hits if chunk.name == f"{name}.txt"}
        assert len(found) == bool(served[name]), f"search for {name}, killed at {moment}"
    assert index.store.count() == sum(map(len, served.values()))
    return {name for name in served if served[name] == new[name]}


def check_it_recovers(path: Path, world: World, moment: str) -> set[str]:
    """Nothing is lost, and one more run makes the index what a fresh one would be."""
    with open_tiny(path, window_tokens=256) as index:
        new = check_nothing_is_lost(index, world, moment)
        assert completed(index, world.folder) == world.after, f"killed at {moment}"
    return new


@pytest.mark.slow
@pytest.mark.parametrize("at", ["before-call", "after-call", "after-update"])
def test_a_kill_at_any_write_loses_nothing_and_the_next_run_completes(
    at: str, world: World, copies: Iterator[Path], ingest_until: IngestUntil
) -> None:
    done: set[str] = set()
    for number, path in enumerate(copies, start=1):
        moment = f"{at} {number}"
        killed = ingest_until(path, world.folder, at, number)
        new = check_it_recovers(path, world, moment)
        assert done <= new, f"an earlier kill left more committed than one at {moment}"
        done = new
        if not killed:
            break
    assert number > 12, "the scenario makes fewer writes than it is meant to"


@pytest.mark.slow
def test_a_kill_at_any_time_loses_nothing_and_the_next_run_completes(
    world: World, copies: Iterator[Path], ingest_until: IngestUntil
) -> None:
    began = time.monotonic()
    assert not ingest_until(next(copies), world.folder, "microseconds", 100_000_000)
    whole_run = time.monotonic() - began
    draw = Random(20)
    for path, _ in zip(copies, range(12), strict=False):
        microseconds = int(draw.uniform(0.01, 1) * whole_run * 1e6)
        ingest_until(path, world.folder, "microseconds", microseconds)
        check_it_recovers(path, world, f"{microseconds} µs")


def test_a_run_that_is_killed_again_and_again_ends_where_one_run_would(
    world: World, copies: Iterator[Path], ingest_until: IngestUntil
) -> None:
    path = next(copies)
    draw = Random(7)
    kills = 0
    while ingest_until(path, world.folder, "after-update", draw.randrange(4, 12)):
        kills += 1
        with open_tiny(path) as index:
            check_nothing_is_lost(index, world, f"kill {kills}")
        assert kills < 50, "killed runs make no headway"
    assert kills > 3, "the run was not killed again and again"
    check_it_recovers(path, world, "the last of many kills")


@pytest.mark.slow
def test_a_kill_at_any_write_of_a_first_run_is_mended_by_the_next(
    tmp_path: Path, ingest_until: IngestUntil
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "only.txt").write_text(text_of("only", "new", _SHORT))
    fresh = ingested(tmp_path / "fresh", folder)
    for number in count(1):
        path = tmp_path / str(number)
        killed = ingest_until(path, folder, "after-update", number)
        assert ingested(path, folder) == fresh, f"killed after update {number}"
        if not killed:
            break
    assert number > 12, "making an index takes fewer writes than it is meant to"


@pytest.mark.parametrize("files", [1, 2, 4, 12, 24])
def test_an_index_can_be_made_where_making_one_was_cut_short(
    files: int, world: World, tmp_path: Path, ingest_until: IngestUntil
) -> None:
    """The engine writes its own files first; the process dies when it has written so many."""
    assert ingest_until(tmp_path / "index", world.folder, "files", files)
    assert ingested(tmp_path / "index", world.folder) == world.after
