"""Which files of a folder are not to be read: .gitignore and .ragignore files, and patterns."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from pathspec import GitIgnoreSpec

from rag.errors import UsageError

__all__ = ["IgnoreRules"]

_FILES = (".ragignore", ".gitignore")


class IgnoreRules:
    """The ignore rules below one folder, with git's precedence.

    A rule of a deeper folder outweighs one further up, the last matching line of a file the
    lines before it, a folder's .ragignore its .gitignore, and `patterns` all of them. Files are
    read when first needed and then kept: one instance is one moment's view.

    Args:
        root: the folder; rules of folders above it do not count.
        patterns: more rules, in .gitignore's syntax, relative to `root`.

    Raises:
        UsageError: a pattern is malformed.
    """

    def __init__(self, root: str, patterns: Sequence[str] = ()) -> None:
        self._root = root
        self._patterns = _spec(patterns, "ignore")
        self._folders: dict[str, list[GitIgnoreSpec]] = {}

    def ignores(self, name: str, *, folder: bool = False) -> bool:
        """Whether a rule excludes `name` itself (not: a folder that holds it).

        Raises:
            UsageError: an ignore file has a malformed line.
            OSError: an ignore file cannot be read.
        """
        path = f"{name}/" if folder else name
        verdict = self._patterns.check_file(path).include
        cut = len(name)
        while verdict is None and cut > 0:
            cut = name.rfind("/", 0, cut)
            here = name[: max(cut, 0)]
            for spec in self._specs(here):
                if verdict is None:
                    verdict = spec.check_file(path[cut + 1 :]).include
        return bool(verdict)

    def _specs(self, folder: str) -> list[GitIgnoreSpec]:
        if folder not in self._folders:
            paths = (os.path.join(self._root, folder, file) for file in _FILES)
            self._folders[folder] = [spec for path in paths if (spec := _read(path))]
        return self._folders[folder]


def _read(path: str) -> GitIgnoreSpec | None:
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as lines:
            return _spec(lines, path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _spec(lines: Iterable[str], where: str) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error) as error:
        raise UsageError(
            f"{where}: {error}", hint="patterns are written as in a .gitignore file"
        ) from error
