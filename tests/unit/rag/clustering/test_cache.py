"""Summaries are remembered where that is possible, by nobody else, and never at the cost of one."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.clustering import SummaryCache
from rag.clustering import cache as module


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "not/yet/there/summaries.sqlite"


def test_what_was_put_is_there_for_another_process(path: Path) -> None:
    SummaryCache(path).put("a", "Sales rose.")
    assert SummaryCache(path).get("a") == "Sales rose."
    assert SummaryCache(path).get("b") is None


def test_the_last_that_was_put_counts(path: Path) -> None:
    cache = SummaryCache(path)
    for text in ("one", "two", ""):
        cache.put("a", text)
        assert cache.get("a") == text


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> SummaryCache:
    return SummaryCache(tmp_path_factory.mktemp("any") / "summaries.sqlite")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.text(max_size=5))
def test_any_text_comes_back_as_it_was(shared_cache: SummaryCache, text: str, key: str) -> None:
    key = key.encode("utf-8", "replace").decode()
    shared_cache.put(key, text)
    assert shared_cache.get(key) == text


@pytest.mark.parametrize("text", ["nul \x00 inside", "'; DROP TABLE summaries; --", "🦦" * 9_999])
def test_odd_text_comes_back_as_it_was(path: Path, text: str) -> None:
    cache = SummaryCache(path)
    cache.put(text, text)
    assert cache.get(text) == text


def test_text_that_is_no_unicode_is_not_remembered_and_harms_nothing(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = SummaryCache(path)
    cache.put("a", "cut in two: \ud83e")
    assert cache.get("a") in (None, "cut in two: \ud83e")


def test_nobody_else_can_read_the_file(path: Path) -> None:
    before = os.umask(0)
    try:
        SummaryCache(path).put("a", "private")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_by_default_it_lies_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    SummaryCache().put("a", "Sales rose.")
    assert (tmp_path / "spanrag/summaries.sqlite").is_file()
    assert SummaryCache().get("a") == "Sales rose."


def test_the_oldest_are_forgotten_where_there_are_too_many(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    cache = SummaryCache(path)
    for key in "abcde":
        cache.put(key, key.upper())
    assert [cache.get(key) for key in "abcde"] == [None, None, "C", "D", "E"]
    cache.put("c", "again")
    cache.put("f", "F")
    assert [cache.get(key) for key in "cdef"] == ["again", None, "E", "F"]


def a_text(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database, but it is longer than the head of one " * 20)


def a_damaged_one(path: Path) -> None:
    cache = SummaryCache(path)
    for at in range(200):
        cache.put(str(at), "Sales rose. " * 9)
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))


def another_table(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE summaries (theirs)")
    database.close()


def a_folder(path: Path) -> None:
    path.mkdir(parents=True)


def below_a_file(path: Path) -> None:
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("a file where a folder should be")


@pytest.mark.parametrize("spoil", [a_text, a_damaged_one, another_table, a_folder, below_a_file])
def test_where_the_file_is_no_use_nothing_is_remembered_and_it_is_said(
    path: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(path)
    caplog.set_level(logging.WARNING)
    cache = SummaryCache(path)
    cache.put("a", "Sales rose.")
    assert cache.get("a") is None
    assert caplog.records
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert all(f"not remembered in {path}" in record.message for record in caplog.records)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write to")
def test_where_no_folder_can_be_made_nothing_is_remembered_and_it_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache = SummaryCache(Path("/proc/self/spanrag/summaries.sqlite"))
    cache.put("a", "Sales rose.")
    assert cache.get("a") is None
    assert "not remembered in /proc/self/spanrag" in caplog.text


def test_a_folder_that_became_read_only_is_no_error(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As root, who may write everywhere, all goes on as before; else the warning is there."""
    SummaryCache(path).put("a", "Sales rose.")
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        SummaryCache(path).put("b", "Costs fell.")
        assert SummaryCache(path).get("a") == "Sales rose."
        written = SummaryCache(path).get("b")
        assert written == "Costs fell." or (written is None and "not remembered" in caplog.text)
    finally:
        path.parent.chmod(0o700)


def test_a_file_that_is_deleted_in_between_is_made_anew(path: Path) -> None:
    cache = SummaryCache(path)
    cache.put("a", "Sales rose.")
    path.unlink()
    assert cache.get("a") is None
    cache.put("a", "Costs fell.")
    assert cache.get("a") == "Costs fell."
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_many_threads_share_one_cache(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = SummaryCache(path)

    def work(thread: int) -> list[str | None]:
        for at in range(12):
            cache.put(f"{thread}/{at}", f"text {thread}/{at}")
            cache.put("same", "of all")
        return [cache.get(f"{thread}/{at}") for at in range(12)]

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(work, range(6)))
    assert found == [[f"text {thread}/{at}" for at in range(12)] for thread in range(6)]
    assert cache.get("same") == "of all"
    assert caplog.records == []


PROCESS = """
import sys
from pathlib import Path
from rag.clustering.cache import SummaryCache
cache = SummaryCache(Path(sys.argv[1]))
for at in range(15):
    cache.put(f"{sys.argv[2]}/{at}", f"text {sys.argv[2]}/{at}")
    assert cache.get(f"{sys.argv[2]}/{at}") is not None, at
"""


def test_many_processes_share_one_file_that_none_of_them_found(path: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(path), str(number)], stderr=subprocess.PIPE
        )
        for number in range(4)
    ]
    said = [process.communicate()[1].decode() for process in started]
    assert [(process.returncode, text) for process, text in zip(started, said, strict=True)] == (
        [(0, "")] * 4
    )
    cache = SummaryCache(path)
    for number in range(4):
        for at in range(15):
            assert cache.get(f"{number}/{at}") == f"text {number}/{at}"
