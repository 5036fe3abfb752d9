"""A run that is killed while copies change hands loses none of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from tiny_index import dump, open_tiny

from connectors.registry import open_source
from pipelines.ingest import ingest
from rag.duplicates import standing
from rag.index import Index
from rag.store.generations import copy_file

IngestUntil = Callable[[Path, Path, str, int], bool]


def about(word: str) -> str:
    return " ".join(f"The {word} of report {n} is {word}{n}." for n in range(30))


# The original changes, one copy goes its own way, one goes, one stays, one comes; and a document
# with a copy becomes a copy itself.
BEFORE = {
    "a": about("sales"),
    "b": about("sales"),
    "c": about("sales"),
    "d": about("sales"),
    "m": about("costs"),
    "n": about("costs"),
}
AFTER = {
    "a": about("profit"),
    "b": about("sales"),
    "c": about("debt"),
    "e": about("profit"),
    "m": about("debt"),
    "n": about("costs"),
}


def write(folder: Path, texts: dict[str, str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)


def said(index: Index) -> dict[str, str]:
    """What is served under each document's name, its own or its original's."""
    texts: dict[str, str] = {}
    for record in index.store.documents():
        if record.live:
            original = index.store.served(record.twin_of) if record.twin_of else record
            assert original is not None, f"{record.name} is linked to what is gone"
            texts[record.name.removesuffix(".txt")] = index.store.text(original)
    return texts


def check_nothing_is_lost(index: Index, moment: str) -> None:
    served = said(index)
    for name, text in served.items():
        possible = [texts[name] for texts in (BEFORE, AFTER) if name in texts]
        assert any(standing(each, text, 0.9) for each in possible), f"{name}, killed at {moment}"
    assert BEFORE.keys() & AFTER.keys() <= served.keys(), f"killed at {moment}"


def check_copies_are_told_of(index: Index) -> None:
    points = [payload for payload, *_ in dump(index).values()]
    links = {(each["twin_of"], each["source"]) for each in points if each.get("state") == "linked"}
    told = {
        (each["doc_id"], copy["source"])
        for each in points
        if each.get("state") == "live"
        for copy in each.get("also", ())
    }
    assert links == told


@pytest.mark.slow
def test_a_kill_at_any_write_loses_no_copy(tmp_path: Path, ingest_until: IngestUntil) -> None:
    at = "after-update"
    folder = tmp_path / "docs"
    write(folder, BEFORE)
    with open_tiny(tmp_path / "whole", window_tokens=256) as index:
        assert ingest(index, [open_source(str(folder))]).linked == 4
    write(folder, AFTER)
    for number in count(1):
        path = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "whole", path, copy_function=copy_file)
        killed = ingest_until(path, folder, at, number)
        with open_tiny(path, window_tokens=256) as index:
            check_nothing_is_lost(index, f"{at} {number}")
            report = ingest(index, [open_source(str(folder))], prune=True, yes=True)
            assert report.failed == []
            check_copies_are_told_of(index)
            served = said(index)
            assert served.keys() == AFTER.keys()
            for name, text in served.items():
                assert standing(AFTER[name], text, 0.9), f"{name} after {at} {number}"
            again = ingest(index, [open_source(str(folder))], prune=True, yes=True)
            assert (again.unchanged, again.embedded_tokens) == (len(AFTER), 0)
        shutil.rmtree(path)
        if not killed:
            break
    assert number > 20, "the scenario makes fewer writes than it is meant to"
