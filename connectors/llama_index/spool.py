"""Documents that were all read at once and are asked for one by one: kept on disk till then."""

from __future__ import annotations

import json
import tempfile
import weakref
from collections.abc import Mapping
from threading import Lock
from typing import Any

__all__ = ["Spool"]


class Spool:
    """JSON objects by key, in a temporary file that is gone with the spool, or with the process.

    Several threads may read. Only the keys, and where each object stands, are in memory.
    """

    def __init__(self) -> None:
        # Not a context manager: it lives as long as the spool does.
        self._file = tempfile.TemporaryFile(prefix="spanrag-")  # noqa: SIM115
        self._places: dict[str, tuple[int, int]] = {}
        self._lock = Lock()
        self.size = 0
        """Bytes on disk."""
        self.close = weakref.finalize(self, self._file.close)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def put(self, key: str, value: Mapping[str, Any]) -> None:
        """Keep an object.

        Raises:
            OSError: the disk is full.
        """
        data = json.dumps(value).encode()
        with self._lock:
            self._file.seek(self.size)
            self._file.write(data)
            self._places[key] = (self.size, len(data))
            self.size += len(data)

    def get(self, key: str) -> dict[str, Any]:
        """The object of this key.

        Raises:
            KeyError: there is none.
        """
        start, length = self._places[key]
        with self._lock:
            self._file.seek(start)
            data = self._file.read(length)
        found: dict[str, Any] = json.loads(data)
        return found
