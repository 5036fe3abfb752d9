"""No more requests a second than a server allows."""

from __future__ import annotations

import time
from threading import Lock

__all__ = ["Throttle"]


class Throttle:
    """Spaces calls evenly: each waits until its turn. Threads may share one.

    Args:
        per_second: turns a second; None for no limit.
    """

    def __init__(self, per_second: float | None) -> None:
        self._apart = 1.0 / per_second if per_second else 0.0
        self._next = 0.0
        self._lock = Lock()

    def wait(self) -> None:
        """Sleep until it is this call's turn."""
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now)
            self._next = turn + self._apart
        if turn > now:
            time.sleep(turn - now)
