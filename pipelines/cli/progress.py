"""Progress on stderr: a bar on a terminal, a line now and then anywhere else.

An answer is shown as it is written, on a terminal only: what counts is printed when it is verified.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

__all__ = ["show_progress", "show_writing"]

_SPARED = 3  # lines of the terminal that an answer under way leaves free
_EVERY = 10.0  # seconds between lines where there is no terminal


@contextmanager
def show_progress(console: Console, quiet: bool, what: str) -> Iterator[_Rate | None]:
    """Progress over `what` ("documents", "questions"), or none at all with `--quiet`."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with Progress(
            BarColumn(),
            TextColumn(f"{{task.completed:.0f}}/{{task.total:.0f}} {what}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        ) as bars:
            yield _Bar(bars, what)
    else:
        yield _Lines(console, what)


@contextmanager
def show_writing(console: Console, quiet: bool) -> Iterator[Callable[[str], None] | None]:
    """Show a text while it is written, its end where it is long, and wipe it out afterwards."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    written = Text(style="dim")

    def watch(part: str) -> None:
        shown = "".join(each for each in part if each.isprintable() or each == "\n")
        written.append(shown if written else shown.lstrip())
        lines = written.wrap(console, console.width)
        live.update(Text("\n").join(lines[-max(console.height - _SPARED, 1) :]))

    with Live(console=console, transient=True, refresh_per_second=12) as live:
        yield watch


class _Rate:
    """Counts things, and the tokens in them where there are any, against the clock."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.began = time.monotonic()
        self.total = 0
        self.done = 0.0
        self.tokens = 0

    def start(self, total: int) -> None:
        """So many are to come. Said again, it counts anew."""
        self.began = time.monotonic()
        self.total = total
        self.done = 0.0
        self.tokens = 0

    def advance(self, count: float, tokens: int = 0) -> None:
        """So many (or part of one), and so many tokens, are done."""
        self.done += count
        self.tokens += tokens

    @property
    def per_second(self) -> str:
        """The rate, in tokens if any were counted."""
        passed = max(time.monotonic() - self.began, 1e-9)
        if self.tokens:
            return f"{self.tokens / passed:,.0f} tokens/s"
        if 0 < self.done < passed:
            return f"{passed / self.done:,.1f} s each"
        return f"{self.done / passed:,.1f} {self.what}/s"


class _Bar(_Rate):
    def __init__(self, bars: Progress, what: str) -> None:
        super().__init__(what)
        self._bars = bars
        self._task: TaskID | None = None

    def start(self, total: int) -> None:
        super().start(total)
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(self.what, total=total, rate="")

    def advance(self, count: float, tokens: int = 0) -> None:
        super().advance(count, tokens)
        if self._task is not None:
            self._bars.update(self._task, completed=self.done, rate=self.per_second)


class _Lines(_Rate):
    def __init__(self, console: Console, what: str) -> None:
        super().__init__(what)
        self._console = console
        self._last = self.began

    def start(self, total: int) -> None:
        super().start(total)
        self._last = self.began

    def advance(self, count: float, tokens: int = 0) -> None:
        super().advance(count, tokens)
        now = time.monotonic()
        if now - self._last < _EVERY or not self.done:
            return
        self._last = now
        left = max((now - self.began) * (self.total / self.done - 1), 0.0)
        self._console.print(
            f"{self.done:.0f} of {self.total} {self.what}, {self.per_second}, about "
            f"{left:.0f} s left"
        )
