"""Which generation is served: what the file may say, and what is deleted for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_index import open_tiny

from rag.errors import StoreError
from rag.store import generations
from rag.store.edge import EdgeStore
from rag.store.generations import Generations

ONE, OTHER = "reindex-00000001", "reindex-00000002"


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", '"x"', "{}x", '{"served": null}', '{"served": 1}', '{"served": ["reindex-1"]}',
        '{"served": "../elsewhere"}', '{"served": "", "kept": 2}', '{"served": "", "kept": ""}',
        '{"served": "", "more": 1}',
    ],
)  # fmt: skip
def test_what_the_file_cannot_say_is_damage(tmp_path: Path, text: str) -> None:
    (tmp_path / "generations.json").write_text(text)
    with pytest.raises(StoreError, match="does not say which index is served"):
        generations.read(tmp_path)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert generations.read(tmp_path) == Generations("", None)
    for said in (Generations(ONE, ""), Generations("", ONE), Generations(ONE)):
        generations.write(tmp_path, said)
        assert generations.read(tmp_path) == said


def test_only_what_is_the_engines_or_a_reindexs_is_deleted(tmp_path: Path) -> None:
    mine = ["wallet-notes.txt", "segments-of-market", "edge_config.json.bak", "reindex-notes"]
    for name in (*mine, "edge_config.json"):
        (tmp_path / name).write_text("mine")
    for name in ("wal", "segments", ".atomicwriteAb3dE6", ONE, OTHER):
        (tmp_path / name).mkdir()
    generations.write(tmp_path, Generations(ONE))
    generations.clear(tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {*mine, ONE, "generations.json"}


def test_of_a_link_only_the_link_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    index = tmp_path / "index"
    index.mkdir()
    for delete in (lambda: generations.clear(index), lambda: generations.abandon(index, ONE)):
        (index / ONE).symlink_to(tmp_path / "elsewhere")
        delete()
        assert list(index.iterdir()) == []
    assert (tmp_path / "elsewhere").is_dir()


def test_what_is_served_or_kept_is_never_abandoned(tmp_path: Path) -> None:
    for name in (ONE, OTHER):
        (tmp_path / name).mkdir()
    generations.write(tmp_path, Generations(ONE, kept=OTHER))
    for name in (ONE, OTHER, "", "reindex-00000003"):
        generations.abandon(tmp_path, name)
    assert {each.name for each in tmp_path.iterdir()} == {ONE, OTHER, "generations.json"}


KIB = 1024
PIECES = st.lists(st.tuples(st.integers(0, 256), st.binary(min_size=1, max_size=9)), max_size=6)


@settings(max_examples=40)
@given(pieces=PIECES, size=st.integers(0, 300 * KIB))
def test_a_copy_has_every_byte_wherever_it_was_written(
    pieces: list[tuple[int, bytes]], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("copied")
    (source := folder / "source" / "segments").mkdir(parents=True)
    with (source / "page").open("wb") as file:
        for at, written in pieces:
            file.seek(at * KIB)
            file.write(written)
        file.truncate(size)
    generations.copy(source.parent, folder / "target")
    copied = folder / "target" / "segments" / "page"
    assert copied.read_bytes() == (source / "page").read_bytes()
    assert copied.stat().st_mtime_ns == (source / "page").stat().st_mtime_ns


@pytest.mark.parametrize("written", [b"some", b"some" + bytes(2 * KIB * KIB)])
def test_what_the_engine_set_aside_takes_no_room_in_a_copy(tmp_path: Path, written: bytes) -> None:
    (wal := tmp_path / "source" / "wal").mkdir(parents=True)
    with (wal / "open-1").open("wb") as file:
        file.write(written)
        file.truncate(32 * KIB * KIB)
    generations.copy(tmp_path / "source", tmp_path / "target")
    copied = (tmp_path / "target" / "wal" / "open-1").stat()
    assert copied.st_size == 32 * KIB * KIB
    assert copied.st_blocks * 512 < KIB * KIB


def test_where_a_copy_would_fill_the_disk_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_tiny(tmp_path / "index") as index:
        store = index.store
        assert isinstance(store, EdgeStore)
        free = shutil.disk_usage(tmp_path)._replace(free=256 << 20)
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda _: free)
            with pytest.raises(StoreError, match="No space left"):
                store.copied()
        assert not list((tmp_path / "index").glob("reindex-*"))
        assert (tmp_path / "index" / store.copied()).is_dir()
