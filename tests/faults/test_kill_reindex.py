"""A reindex, a rollback and a forgetting that are killed at any step leave an index served."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tiny_index import OtherEmbedder, TinyEmbedder, dump, open_tiny

from connectors.registry import open_source
from pipelines.ingest import ingest
from pipelines.reindex import forget, reindex, rollback
from pipelines.snapshot import restore, take
from rag.errors import UsageError
from rag.settings import Settings
from rag.store.edge import EdgeStore
from rag.store.generations import copy_file

RunUntil = Callable[..., bool]
Points = dict[str, Any]

KINDS = {kind.fingerprint: kind for kind in (TinyEmbedder, OtherEmbedder)}
SETTINGS = Settings(chunking={"size": 40}, ingest={"window_tokens": 256})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Points]]:
    """By embedder: an index of the same documents, and its chunks and links."""
    root = tmp_path_factory.mktemp("reindexed")
    (root / "docs").mkdir()
    for number in range(6):
        sentences = (f"Report {number} says sentence {n}." for n in range(5 * number + 5))
        (root / "docs" / f"{number}.txt").write_text(" ".join(sentences))
    shutil.copy(root / "docs/5.txt", root / "docs/copy.txt")
    made = {}
    for fingerprint, kind in KINDS.items():
        with open_tiny(root / kind.name, kind=kind) as index:
            assert ingest(index, [open_source(str(root / "docs"))]).linked == 1
            made[fingerprint] = root / kind.name, chunks_of(dump(index))
    return made


@pytest.fixture
def reindexed(world: dict[str, tuple[Path, Points]], tmp_path: Path) -> Path:
    """An index that was reindexed, with the old vectors kept."""
    path = Path(
        shutil.copytree(world["tiny:1"][0], tmp_path / "reindexed", copy_function=copy_file)
    )
    with EdgeStore.open(path) as store:
        assert reindex(store, SETTINGS, embedder=OtherEmbedder()).swapped
    return path


def copies(path: Path, folder: Path) -> Iterator[Path]:
    for number in count():
        shutil.rmtree(folder / f"copy {number - 1}", ignore_errors=True)
        yield Path(shutil.copytree(path, folder / f"copy {number}", copy_function=copy_file))


def chunks_of(points: Points) -> Points:
    return {key: point for key, point in points.items() if "state" in point[0]}


def served(path: Path, world: dict[str, tuple[Path, Points]], moment: str) -> tuple[str, str]:
    """The embedders of what is served, which is found whole, and of what is kept, if anything."""
    with EdgeStore.open(path) as store:
        embedder = store.manifest().embedder
        kept = store.kept()
        beside = ""
        if kept:
            with kept:
                beside = kept.manifest().embedder
    with open_tiny(path, kind=KINDS[embedder]) as index:
        assert chunks_of(dump(index)) == world[embedder][1], moment
        assert index.search("sentence 7 of report 3", top_k=1)[0].chunk.name == "3.txt", moment
    return embedder, beside


def check_reindex(
    path: Path, world: dict[str, tuple[Path, Points]], moment: str, *, killed: bool
) -> bool:
    """The old index is served or the new one, and one more run ends with the new; whether old."""
    now = served(path, world, moment)
    assert now in [("tiny:1", ""), ("other:1", "tiny:1")], moment
    assert killed or now[0] == "other:1"
    with EdgeStore.open(path) as store:
        again = reindex(store, SETTINGS, embedder=OtherEmbedder())
        assert again.swapped == (now[0] == "tiny:1"), moment
    assert served(path, world, moment) == ("other:1", "tiny:1"), moment
    with EdgeStore.open(path) as store:
        folders = {each.name for each in path.iterdir() if each.is_dir()}
        assert folders == {"segments", "wal", store.generation}, moment
    return now[0] == "tiny:1"


@pytest.mark.slow
@pytest.mark.parametrize("at", ["before-step", "after-step"])
def test_a_kill_at_any_step_of_a_reindex_leaves_the_old_or_the_new(
    at: str, world: dict[str, tuple[Path, Points]], tmp_path: Path, run_until: RunUntil
) -> None:
    olds = []
    for number, path in enumerate(copies(world["tiny:1"][0], tmp_path), start=1):
        killed = run_until(index=path, do="reindex", at=at, number=number)
        olds.append(check_reindex(path, world, f"{at} {number}", killed=killed))
        if not killed:
            break
    assert number > 10, "a reindex takes fewer steps than it is meant to"
    assert olds == sorted(olds, reverse=True)  # once it is the new one, it stays


@pytest.mark.parametrize("at", ["before-replace", "after-replace"])
def test_a_kill_at_the_swap_leaves_the_old_before_it_and_the_new_after_it(
    at: str, world: dict[str, tuple[Path, Points]], tmp_path: Path, run_until: RunUntil
) -> None:
    path = next(copies(world["tiny:1"][0], tmp_path))
    assert run_until(index=path, do="reindex", at=at, number=1)
    assert check_reindex(path, world, at, killed=True) == (at == "before-replace")


@pytest.mark.parametrize("at", ["before-replace", "after-replace"])
def test_a_kill_at_a_rollback_leaves_one_served_and_the_other_kept(
    at: str,
    world: dict[str, tuple[Path, Points]],
    reindexed: Path,
    run_until: RunUntil,
) -> None:
    assert run_until(index=reindexed, do="rollback", at=at, number=1)
    both = ("other:1", "tiny:1")
    expected = both if at == "before-replace" else both[::-1]
    assert served(reindexed, world, at) == expected
    with EdgeStore.open(reindexed) as store:
        rollback(store, SETTINGS, embedder=KINDS[expected[1]]())
    assert served(reindexed, world, at) == expected[::-1]


@pytest.mark.parametrize(
    ("at", "number"),
    [("before-step", 1), ("after-replace", 1), ("after-unlink", 1), ("after-unlink", 9)],
)
def test_a_kill_while_vectors_are_forgotten_leaves_the_others_served(
    at: str,
    number: int,
    world: dict[str, tuple[Path, Points]],
    reindexed: Path,
    run_until: RunUntil,
) -> None:
    assert run_until(index=reindexed, do="forget", at=at, number=number)
    assert served(reindexed, world, at)[0] == "other:1"
    with EdgeStore.open(reindexed) as store:
        if at == "before-step":
            forget(store)
        else:  # what is left of it goes all the same
            with pytest.raises(UsageError, match="no vectors are kept"):
                forget(store)
    with EdgeStore.open(reindexed) as store:
        left = {each.name for each in reindexed.iterdir()}
        assert left == {"generations.json", store.generation}
    assert served(reindexed, world, at) == ("other:1", "")


@pytest.mark.parametrize(
    ("at", "number"),
    [("before-replace", 1), ("after-replace", 1), ("after-replace", 2)],
)
def test_a_kill_while_a_snapshot_is_restored_leaves_an_empty_index_or_the_whole(
    at: str,
    number: int,
    world: dict[str, tuple[Path, Points]],
    tmp_path: Path,
    run_until: RunUntil,
) -> None:
    path, file = tmp_path / "index", tmp_path / "snapshot.gz"
    with EdgeStore.open(world["tiny:1"][0]) as store:
        take(store, file)
    assert run_until(index=path, do="restore", source=file, at=at, number=number)
    with open_tiny(path) as index:
        assert chunks_of(dump(index)) in ({}, world["tiny:1"][1]), (at, number)
        empty = not index.store.count()
    assert empty == (at == "before-replace")
    if not empty:
        with EdgeStore.open(path) as store:
            store.forget()
    again = restore(partial(EdgeStore.open, path), file)
    assert (again.kept, again.interrupted) == (not empty, False)
    with open_tiny(path) as index:
        assert chunks_of(dump(index)) == world["tiny:1"][1]
