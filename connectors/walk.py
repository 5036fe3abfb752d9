"""Every file below a folder, once, without leaving it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rag.errors import DocumentError

__all__ = ["Admits", "Found", "escape", "walk"]

Admits = Callable[[str, bool], bool]
"""Whether the file (False) or folder (True) of that name below the root is wanted."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file by its name below the root: its stat, or why it must not be read."""

    name: str
    stat: os.stat_result | None = None
    problem: DocumentError | None = None


def walk(root: str, admits: Admits) -> Iterator[Found]:
    """Find the regular files below `root` that `admits` lets in.

    Links come last, and lead only to what has not been found by then: no file is found twice and
    no cycle is entered. One that leaves the root, or leads nowhere, is found with a problem.

    Raises:
        OSError: a folder cannot be read, so the listing would not be complete.
    """
    top = os.path.realpath(root)
    seen: set[str] = set()
    links: list[str] = []
    yield from _walk_below("", top, admits, seen, links)
    for name in links:  # grows while linked folders are walked
        real = os.path.realpath(os.path.join(root, name))
        is_folder = os.path.isdir(real)
        if real in seen or not admits(name, is_folder):
            continue
        if problem := escape(real, top):
            yield Found(name, problem=problem)
        elif is_folder:
            yield from _walk_below(name, real, admits, seen, links)
        elif os.path.isfile(real):
            seen.add(real)
            yield Found(name, os.stat(real))
        elif not os.path.exists(real):
            yield Found(name, problem=DocumentError(f"symlink leads nowhere: {real} is not there"))


def escape(real: str, root: str) -> DocumentError | None:
    """Why a link to `real` must not be followed from below `root` (both resolved), or None."""
    if os.path.commonpath([real, root]) == root:
        return None
    return DocumentError(
        f"symlink leaves the folder: it leads to {real}",
        hint="name that path as a source of its own, or add the link to ignore",
    )


def _walk_below(
    name: str, real: str, admits: Admits, seen: set[str], links: list[str]
) -> Iterator[Found]:
    """Walk one folder tree and put its links by in `links`."""
    folders = [(name, real)]
    while folders:
        folder, real = folders.pop()
        seen.add(real)
        with os.scandir(real) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
        for entry in entries:
            below = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_symlink():
                links.append(below)
            elif entry.is_dir():
                if admits(below, True):
                    folders.append((below, entry.path))
            elif _is_new_file(entry, seen) and admits(below, False) and (stat := _stat(entry)):
                seen.add(entry.path)
                yield Found(below, stat)


def _is_new_file(entry: os.DirEntry[str], seen: set[str]) -> bool:
    return entry.is_file() and entry.path not in seen


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except FileNotFoundError:  # deleted since its folder was read: rightly not listed
        return None
