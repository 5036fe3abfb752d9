"""Reading ahead: documents are fetched and parsed while those before them are embedded."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from threading import Condition

from connectors.base import Connector, Prepares
from pipelines.sync import Task
from rag.errors import DocumentError, first_line
from rag.types import Document

__all__ = ["Read", "read_ahead", "read_one"]

Read = tuple[Task, Document | DocumentError]
"""A task, and the document it asks for or why it cannot be had."""

_MOST_TASKS = 2_048  # read ahead of what is consumed: a window of tiny documents


def read_ahead(
    connector: Connector, tasks: Sequence[Task], *, workers: int, most_characters: int
) -> Generator[Read, None, None]:
    """The documents of `tasks`, in their order, fetched by `workers` threads.

    What is read and not yet taken is bounded: no thread begins a document while more than
    `most_characters` wait. So at most that and one document a worker lie in memory, and the order,
    and with it all that is made of the documents, is the same for any number of workers.

    Close it where it is not read to its end: readers that wait keep a process alive.

    Args:
        connector: where they come from; one that prepares batches is asked from one thread.
        tasks: what to fetch.
        workers: threads; the pages of a server arrive in parallel, parsing shares one core.
        most_characters: how much text may wait.
    """
    batches = iter(_batches(connector, tasks))
    gate = _Gate(most_characters)
    pending: deque[Future[list[Read]]] = deque()
    waiting = 0
    pool = ThreadPoolExecutor(
        1 if isinstance(connector, Prepares) else workers, thread_name_prefix="read"
    )

    def submit() -> int:
        added = 0
        while waiting + added < _MOST_TASKS and (batch := next(batches, None)):
            pending.append(pool.submit(_read_batch, connector, batch, gate, gate.ticket()))
            added += len(batch)
        return added

    try:
        waiting += submit()
        while pending:
            done = pending.popleft().result()
            for read in done:
                yield read
                waiting -= 1
                gate.take(read)
            gate.next_batch()
            waiting += submit()
    finally:
        gate.open()
        pool.shutdown(wait=True, cancel_futures=True)


def read_one(connector: Connector, task: Task) -> Read:
    """Fetch one document; whatever goes wrong costs it alone."""
    try:
        return task, connector.fetch(task.ref)
    except DocumentError as error:
        return task, error
    except Exception as error:  # noqa: BLE001  a connector's bug costs its document, not the run
        return task, DocumentError(f"unexpected {type(error).__name__}: {first_line(error)}")


def _read_batch(connector: Connector, batch: list[Task], gate: _Gate, ticket: int) -> list[Read]:
    if not gate.enter(ticket):
        return []
    if isinstance(connector, Prepares):
        with suppress(DocumentError):  # each is then fetched by itself, and says what is wrong
            connector.prepare([task.ref for task in batch])
    read = [read_one(connector, task) for task in batch]
    gate.put(read)
    return read


def _batches(connector: Connector, tasks: Sequence[Task]) -> Iterator[list[Task]]:
    size = connector.batch if isinstance(connector, Prepares) else 1
    remaining = iter(tasks)
    while batch := list(islice(remaining, size)):
        yield batch


class _Gate:
    """Lets a batch be read while little waits, or where it is the one that is waited for."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._tickets = 0
        self._wanted = 0
        self._closing = False
        self._changed = Condition()

    def ticket(self) -> int:
        """The number of the next batch."""
        self._tickets += 1
        return self._tickets - 1

    def enter(self, ticket: int) -> bool:
        """Wait until it may be read; False where nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or self._held < self._most or ticket == self._wanted
            )
            return not self._closing

    def put(self, read: list[Read]) -> None:
        """So much waits now."""
        with self._changed:
            self._held += sum(map(_size, read))

    def take(self, read: Read) -> None:
        """One was taken."""
        with self._changed:
            self._held -= _size(read)
            self._changed.notify_all()

    def next_batch(self) -> None:
        """All of a batch was taken: the one after it is waited for."""
        with self._changed:
            self._wanted += 1
            self._changed.notify_all()

    def open(self) -> None:
        """Nobody reads on: let whoever waits go."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()


def _size(read: Read) -> int:
    found = read[1]
    return len(found.text) if isinstance(found, Document) else 0
