"""Writes an index in a process that kills itself at a chosen moment. Run by the tests beside it.

It reads one JSON job a line from stdin, runs each in a forked child (imports are paid for once),
and answers with one line: {"killed": true} where the child died, {"killed": false} where the run
came to its end. A child that fails in any other way ends the driver.

A job is {"index", "source", "at", "number"}: a folder is ingested. In place of the source it may
say what to `do`: "reindex" (with the other embedder), "rollback", "forget", or "restore" (of the
snapshot `source`). `at` says what is counted:

    before-call, after-call       the store's writes, as the pipeline makes them
    before-update, after-update   the operations that reach the engine, inside those writes
    before-step, after-step       what a reindex does to the indexes beside each other
    before-replace, after-replace  the one step of those that swaps them
    before-unlink, after-unlink   the files that it deletes
    files                         the files below the folder that the index's folder is in
    microseconds                  the clock, from the opening of the index on

The child dies at the `number`th of them, by SIGKILL (of the clock by SIGALRM, which nobody handles
either).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from tiny_index import OtherEmbedder, TinyEmbedder, open_tiny

from connectors.registry import open_source
from pipelines.ingest import ingest
from pipelines.reindex import forget, reindex, rollback
from pipelines.snapshot import restore
from rag.settings import Settings
from rag.store.edge import EdgeStore

WRITES = frozenset(
    {
        "stage",
        "commit",
        "discard",
        "retire",
        "describe",
        "optimize",
        "link",
        "unlink",
        "bequeath",
        "tell",
    }
)


# What a reindex does to files and indexes, step by step.
STEPS: dict[str, list[tuple[Any, str]]] = {
    "step": [
        *((EdgeStore, name) for name in ("beside", "put", "optimize", "close", "serve", "forget")),
        (os, "replace"),
        (os, "fsync"),
        (shutil, "rmtree"),
    ],
    "replace": [(os, "replace")],
    "unlink": [(os, "unlink"), (os, "rmdir")],
}


class Killer:
    """Counts moments and dies at the chosen one."""

    def __init__(self, number: int) -> None:
        self._left = number

    def count(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class KillingStore:
    """A store that dies with its process right before or right after one of its writes."""

    def __init__(self, wrapped: Any, killer: Killer, *, after: bool) -> None:
        self.wrapped = wrapped
        self._killer = killer
        self._after = after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.wrapped, name)
        if name not in WRITES:
            return found

        def write(*arguments: Any) -> None:
            if not self._after:
                self._killer.count()
            found(*arguments)
            if self._after:
                self._killer.count()

        return write


def beside(index: str, do: str, at: str, number: int, source: str = "") -> None:
    killer = Killer(number)
    moment, _, what = at.partition("-")
    for owner, name in STEPS[what]:
        setattr(owner, name, killing(getattr(owner, name), killer, after=moment == "after"))
    if do == "restore":
        restore(partial(EdgeStore.open, Path(index)), Path(source))
        return
    with EdgeStore.open(Path(index)) as store:
        if do == "reindex":
            settings = Settings(chunking={"size": 40}, ingest={"window_tokens": 256})
            reindex(store, settings, embedder=OtherEmbedder())
        elif do == "rollback":
            rollback(store, Settings(), embedder=TinyEmbedder())
        else:
            forget(store)


def killing(step: Any, killer: Killer, *, after: bool) -> Any:
    def taken(*arguments: Any, **options: Any) -> Any:
        if not after:
            killer.count()
        found = step(*arguments, **options)
        if after:
            killer.count()
        return found

    return taken


def run(index: str, source: str, at: str, number: int) -> None:
    killer = Killer(number)
    moment, _, what = at.partition("-")
    wrap: Any = lambda store: store  # noqa: E731
    if what == "call":
        wrap = lambda store: KillingStore(store, killer, after=moment == "after")  # noqa: E731
    elif what == "update":
        update = EdgeStore._update

        def counted(store: EdgeStore, operation: Any) -> None:
            if moment == "before":
                killer.count()
            update(store, operation)
            if moment == "after":
                killer.count()

        EdgeStore._update = counted  # type: ignore[method-assign]
    elif at == "microseconds":
        open_store = EdgeStore.open

        def timed(*arguments: Any) -> EdgeStore:
            # The kernel's clock: a thread would wait for the engine, which holds the GIL.
            signal.setitimer(signal.ITIMER_REAL, number / 1e6)
            return open_store(*arguments)

        EdgeStore.open = timed  # type: ignore[method-assign,assignment]
    with open_tiny(Path(index), window_tokens=256, wrap=wrap) as opened:
        report = ingest(opened, [open_source(source)], prune=True, yes=True)
    assert not report.failed, report.failed


def wait_and_kill(child: int, folder: Path, files: int) -> int:
    """Wait for a child; kill it as soon as there are so many files below `folder`."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if sum(len(names) for _, _, names in os.walk(folder)) >= files:
            os.kill(child, signal.SIGKILL)
            return os.waitpid(child, 0)[1]


def main() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            (beside if "do" in job else run)(**job)
            os._exit(0)
        if job["at"] == "files":
            status = wait_and_kill(child, Path(job["index"]).parent, job["number"])
        else:
            _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code not in (0, -signal.SIGKILL, -signal.SIGALRM):
            sys.exit(f"the run of {line.strip()} ended with {code}")
        sys.stdout.write(json.dumps({"killed": code != 0}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
