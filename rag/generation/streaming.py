"""From an engine that calls back to a stream that can be left at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Event, Thread
from typing import NamedTuple, TypeVar

__all__ = ["parts_of"]

_PATIENCE = 1.0  # seconds; engines ask after every token, but not while they read a prompt

Part = TypeVar("Part")
Emit = Callable[[Part], bool]


class _End(NamedTuple):
    """Nothing more is to come, and why where that is an error."""

    error: BaseException | None


def parts_of(write: Callable[[Emit[Part]], object]) -> Iterator[Part]:
    """What a function emits, as it comes; it runs in a thread of its own.

    The caller waits in Python and not inside the engine, so that an interrupt reaches it at once.
    A caller who leaves, interrupted or content, waits a second at most for the engine to stop.

    Args:
        write: is given `emit(part)`, which returns whether to stop: nobody listens any more.

    Raises:
        Exception: what `write` raised.
    """
    queue: SimpleQueue[Part | _End] = SimpleQueue()
    left = Event()

    def emit(part: Part) -> bool:
        queue.put(part)
        return left.is_set()

    def run() -> None:
        try:
            write(emit)
        except BaseException as error:  # noqa: BLE001  the caller raises it
            queue.put(_End(error))
        else:
            queue.put(_End(None))

    thread = Thread(target=run, name="generation", daemon=True)
    thread.start()
    try:
        while not isinstance(part := queue.get(), _End):
            yield part
        if part.error:
            raise part.error
    finally:
        left.set()
        thread.join(_PATIENCE)
