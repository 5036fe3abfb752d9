"""A journal: what a long run has done so far, line by line, so that it can go on after a kill."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rag.errors import ConfigError, UsageError

__all__ = ["Journal"]


class Journal:
    """A JSON Lines file: a header that says what the run is, then an entry for each thing done.

    An entry is on the disk when `append` returns. A line that a kill cut in half is dropped when
    the journal is opened again.

    Args:
        path: the file; made with its folder where it is not there.
        header: what decides the outcome of the run. A journal of another run is not gone on with.

    Raises:
        ConfigError: the file is the journal of another run; the message names each difference.
        UsageError: it cannot be read or written, or is no journal.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self.entries: list[dict[str, Any]] = []
        plain = json.loads(json.dumps(header))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            try:
                whole = self._read(plain)
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise UsageError(
                f"cannot write {path}: {error.strerror}", hint="check the path"
            ) from None
        if not whole:
            self.append(plain)
            self.entries.clear()

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry, durably."""
        self.entries.append(dict(entry))
        self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _read(self, header: Mapping[str, Any]) -> int:
        """Read every whole line, drop what is left of another, and say how long they are."""
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file):
            if not line.endswith(b"\n"):
                break
            entry = self._entry(line, number)
            if number == 0:
                self._require(entry, header)
            else:
                self.entries.append(entry)
            whole += len(line)
        self._file.truncate(whole)
        return whole

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
