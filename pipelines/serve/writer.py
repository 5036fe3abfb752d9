"""The process that writes, as the server sees it."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Lock

from pipelines.serve.work import Message, Order, work
from rag.errors import RagError
from rag.settings import TelemetrySettings

__all__ = ["WriterDied", "WriterProcess"]

_ORDERS = 100  # after which another takes its place: each leaves about a megabyte behind
_FAREWELL = 5.0  # seconds it may take to end by itself
_REST = 60.0  # seconds it is kept with nothing to do: it holds an embedder, and starts in five


class WriterProcess:
    """Started when there is something to do, kept while more may come, never two at a time.

    Args:
        telemetry: where its spans and logs go.
    """

    def __init__(self, telemetry: TelemetrySettings) -> None:
        self._telemetry = telemetry
        self._starting = Lock()
        self._process: BaseProcess | None = None
        self._line: Connection | None = None
        self._rested = 0.0
        self._orders = 0
        self._working = False
        self.stopped = False

    def do(self, order: Order, tell: Callable[[Message], None]) -> WriterDied | RagError | None:
        """Have it done, and hear of it; what kept it from coming to its end, if anything did.

        Raises:
            Exception: what `tell` raises; the process is killed then.
        """
        line = self._started()
        if line is None:
            return WriterDied()
        failure: WriterDied | RagError | None = WriterDied()
        try:
            failure = _heard(line, order, tell)
        except WriterDied:
            pass
        finally:
            self._working = False
            self._orders += 1
            if isinstance(failure, WriterDied):
                failure.no_room = self._end() == -signal.SIGBUS
            elif self._orders == _ORDERS:
                self._dismiss()
            self._rested = time.monotonic()
        return failure

    def rest(self) -> None:
        """There is nothing to do: after a while it ends."""
        if self._process is not None and time.monotonic() - self._rested > _REST:
            self._dismiss()

    def stop(self) -> None:
        """Start none any more, and end one that is at work: what it does is done another time."""
        with self._starting:
            self.stopped = True
            process = self._process  # another thread may let go of it meanwhile
            if process is not None and self._working:
                process.kill()

    def close(self) -> None:
        """Let go of one that was stopped."""
        self._dismiss()

    def _started(self) -> Connection | None:
        with self._starting:
            if self.stopped:
                return None
            if self._line is None or self._process is None or not self._process.is_alive():
                context = multiprocessing.get_context("spawn")
                self._line, there = context.Pipe()
                self._process = context.Process(
                    target=work, args=(there, self._telemetry), daemon=True
                )
                self._process.start()
                there.close()
            self._working = True
            return self._line

    def _dismiss(self) -> None:
        """Let it export what spans it still has, and end."""
        if self._process is not None and self._line is not None:
            self._line.close()
            self._process.join(_FAREWELL)
        self._end()

    def _end(self) -> int | None:
        """End it at once; its exit code, if there was one."""
        process, line, self._process, self._line = self._process, self._line, None, None
        self._orders = 0
        if process is None or line is None:
            return None
        process.kill()
        process.join()
        line.close()
        return process.exitcode


class WriterDied(Exception):
    """The process ended, or was killed, before it came to the end of what was ordered.

    `no_room` where it wrote through a mapping and the disk had no room: that is no job's fault.
    """

    no_room = False

    def __str__(self) -> str:
        return "the process that writes died" + (": the disk is full" if self.no_room else "")


def _heard(line: Connection, order: Order, tell: Callable[[Message], None]) -> RagError | None:
    """Tell what comes; its end, and of the index what kept it from that."""
    with _alive():
        line.send(order)
    while True:
        with _alive():
            message: Message | RagError | None = line.recv()
        if not isinstance(message, Message):
            return message
        tell(message)


@contextmanager
def _alive() -> Iterator[None]:
    """What is said to the process, or by it, while it lives."""
    try:
        yield
    except (EOFError, OSError):
        raise WriterDied from None
