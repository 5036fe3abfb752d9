"""How much is taken on: so many questions at a time, so many that wait, so many a minute."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from pipelines.serve.problems import Problem

__all__ = ["RateLimit", "Slots"]

_SMOOTHING = 0.2  # of the mean time a question takes
_FIRST_GUESS = 1.0  # seconds


class Slots:
    """Places for questions that are being answered, and a bounded number that wait for one.

    Whoever finds neither is refused at once: a queue without an end makes every answer late.

    Args:
        places: questions at a time.
        waiting: questions that may wait.
    """

    def __init__(self, places: int, waiting: int) -> None:
        self._places = places
        self._most = places + waiting
        self._free = asyncio.Semaphore(places)
        self._inside = self._taken = 0
        self._seconds = _FIRST_GUESS

    @property
    def taken(self) -> int:
        """Questions that are being answered or wait."""
        return self._taken

    def require_room(self) -> None:
        """Refuse where one more could not even wait.

        Raises:
            Problem: too many are here already.
        """
        self._require(max(self._inside, self._taken))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """A request that will ask for a place is here, and so there is one less to wait in.

        Raises:
            Problem: too many are here already.
        """
        self._require(self._inside)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def take(self) -> Callable[[], None]:
        """Wait for a place; what is returned gives it back, and has to be called, once.

        Raises:
            Problem: too many wait already.
        """
        self._require(self._taken)
        self._taken += 1
        try:
            await self._free.acquire()
        except BaseException:
            self._taken -= 1
            raise
        began = time.monotonic()

        def give_back() -> None:
            self._taken -= 1
            self._free.release()
            self._seconds += _SMOOTHING * (time.monotonic() - began - self._seconds)

        return give_back

    def _require(self, here: int) -> None:
        if here < self._most:
            return
        seconds = math.ceil(self._seconds * here / self._places)
        raise Problem(
            503,
            "busy",
            f"{here} questions are being answered or wait; try again in {seconds} s",
            {"Retry-After": str(max(1, seconds))},
        )


class RateLimit:
    """So many requests a minute for each key, over any sixty seconds.

    Args:
        per_minute: 0 for no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute) if per_minute else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, name: str) -> None:
        """One more request.

        Raises:
            Problem: it is one too many.
        """
        if self._item is None or self._limiter.hit(self._item, name):
            return
        reset = self._limiter.get_window_stats(self._item, name).reset_time
        seconds = max(1, math.ceil(reset - time.time()))
        raise Problem(
            429,
            "rate_limited",
            f"more than {self._item.amount} requests in a minute; try again in {seconds} s",
            {"Retry-After": str(seconds)},
        )
