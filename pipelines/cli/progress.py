"""Progress on stderr: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pipelines import ingest

__all__ = ["ingest_progress"]

_EVERY = 10.0  # seconds between lines where there is no terminal


@contextmanager
def ingest_progress(console: Console, quiet: bool) -> Iterator[ingest.Progress | None]:
    """Progress of an ingest, or none at all with `--quiet`."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with Progress(
            TextColumn("ingest"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} documents"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        ) as bars:
            yield _Bar(bars)
    else:
        yield _Lines(console)


class _Rate:
    """Counts tokens and documents against the clock."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.total = 0
        self.documents = 0.0
        self.tokens = 0

    def start(self, documents: int) -> None:
        self.began = time.monotonic()
        self.total = documents

    def advance(self, documents: float, tokens: int) -> None:
        self.documents += documents
        self.tokens += tokens

    @property
    def per_second(self) -> str:
        return f"{self.tokens / max(time.monotonic() - self.began, 1e-9):,.0f} tokens/s"


class _Bar(_Rate):
    def __init__(self, bars: Progress) -> None:
        super().__init__()
        self._bars = bars
        self._task: TaskID | None = None

    def start(self, documents: int) -> None:
        super().start(documents)
        self._task = self._bars.add_task("ingest", total=documents, rate="")

    def advance(self, documents: float, tokens: int) -> None:
        super().advance(documents, tokens)
        if self._task is not None:
            self._bars.update(self._task, completed=self.documents, rate=self.per_second)


class _Lines(_Rate):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._last = self.began

    def advance(self, documents: float, tokens: int) -> None:
        super().advance(documents, tokens)
        now = time.monotonic()
        if now - self._last < _EVERY:
            return
        self._last = now
        left = max((now - self.began) * (self.total / max(self.documents, 1e-9) - 1), 0.0)
        self._console.print(
            f"{self.documents:.0f} of {self.total} documents, {self.per_second}, about "
            f"{left:.0f} s left"
        )
