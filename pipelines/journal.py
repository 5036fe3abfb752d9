"""A journal: what a long run has done so far, line by line, so that it can go on after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import portalocker

from rag.errors import ConfigError, UsageError

__all__ = ["Journal"]


class Journal:
    """A JSON Lines file: a header that says what the run is, then an entry for each thing done.

    An entry is on the disk when `append` returns. A line that a kill cut in half is dropped when
    the journal is opened again. One process at a time writes to it.

    Args:
        path: the file; made with its folder where it is not there.
        header: what decides the outcome of the run. A journal of another run is not gone on with.

    Raises:
        ConfigError: the file is the journal of another run; the message names each difference.
        UsageError: it cannot be read or written, is no journal, or another process has it open.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self.entries: list[dict[str, Any]] = []
        self._ends: list[int] = []  # of the header, and of each entry
        plain = json.loads(json.dumps(header))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            try:
                self._own()
                self._read(plain)
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise UsageError(
                f"cannot write {path}: {error.strerror}", hint="check the path"
            ) from None

    def append(self, *entries: Mapping[str, Any]) -> None:
        """Add entries, durably, in one write."""
        self.entries += map(dict, entries)
        lines = [self._line(entry) for entry in entries]
        for line in lines:
            self._ends.append((self._ends[-1] if self._ends else 0) + len(line))
        self._file.write(b"".join(lines))
        self._file.flush()
        os.fsync(self._file.fileno())

    def keep(self, count: int) -> None:
        """Drop all entries but the first ones."""
        del self.entries[count:], self._ends[count + 1 :]
        self._file.truncate(self._ends[-1])

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _own(self) -> None:
        try:
            portalocker.lock(self._file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.LockException:
            raise UsageError(
                f"another run is writing to {self.path}", hint="wait for it, or name another file"
            ) from None

    def _read(self, header: Mapping[str, Any]) -> None:
        """Read every whole line, drop what is left of another; an empty file gets its header."""
        self._file.seek(0)
        lines = self._file.readlines()
        half = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if not lines and half and not self._line(header).startswith(half):
            self._entry(b"", 0)  # a stranger's file, which is left as it is
        for number, line in enumerate(lines):
            entry = self._entry(line, number)
            if number == 0:
                self._require(entry, header)
            else:
                self.entries.append(entry)
            self._ends.append((self._ends[-1] if self._ends else 0) + len(line))
        if half:
            self._file.truncate(self._ends[-1] if self._ends else 0)
        if not lines:
            self.append(header)
            self.entries.clear()

    @staticmethod
    def _line(entry: Mapping[str, Any]) -> bytes:
        return json.dumps(entry, ensure_ascii=False).encode() + b"\n"

    def _entry(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict):
            raise UsageError(
                f"{self.path}, line {number + 1}: this is no journal", hint="name another file"
            )
        return entry

    def _require(self, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
        differing = [
            f"{key}: there {theirs.get(key)}, here {ours.get(key)}"
            for key in dict.fromkeys((*theirs, *ours))
            if theirs.get(key) != ours.get(key)
        ]
        if differing:
            raise ConfigError(
                f"{self.path} is the journal of another run ({'; '.join(differing)})",
                hint="run with those, or remove the file to begin anew",
            )
