"""kill -9 of `rag serve` while it is asked and documents are brought: is anything lost?

A document counts as taken on once its 202 was received. At random moments the process that answers
is killed, or all of its processes, or the one that writes alone. In the end every document that was
taken on has to be found by its own word, once.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
from report import say, table
from serving_documents import bring, holding
from serving_figures import text_of
from serving_load import Load, Plan, loading
from serving_process import UNLIMITED, Server, documents_in, finished
from serving_speed import serving

__all__ = ["kills"]

KINDS = ("the server", "the writer", "server and writer")
A_DAY = 86_400.0  # seconds: the load goes on until all is over
BETWEEN = 0.5  # seconds between two documents that are brought


@dataclass
class Brought:
    """How many documents were brought, and the jobs of those that were taken on, by number."""

    tried: int = 0
    jobs: dict[int, str] = field(default_factory=dict)


def kills(index: Path, questions: Sequence[str], rounds: int, within: float, seed: int) -> str:
    """The tables: kills by kind, what became of the documents, and what the load saw of it.

    Args:
        index: what is served, a copy of it.
        questions: what the load asks.
        rounds: kills; kinds take turns.
        within: seconds of a round before its kill, at most.
        seed: of the moments.
    """
    draw, brought = random.Random(seed), Brought()
    took: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with serving(index, UNLIMITED) as server, server.client() as asking:
        plan = Plan(server.base, {"search": 1.0}, questions, A_DAY, clients=1, seed=seed)
        with loading(plan) as load:
            for number in range(rounds):
                kind = KINDS[number % len(KINDS)]
                with _bringing(server, brought):
                    _kill(server, kind, draw.uniform(0, within))
                took[kind].append(_again(server, kind, brought))
                say(f"round {number + 1}/{rounds}: {kind} killed, {took[kind][-1]:.1f} s")
            states = _states(asking, brought)
        found = [len(holding(asking, number)) for number in range(brought.tried)]
        server.stop()
        more = documents_in(server.index) - documents_in(index)
    return "\n".join((_kills_table(took), _outcome(brought, states, found, more), _seen(load)))


@contextmanager
def _bringing(server: Server, brought: Brought) -> Iterator[None]:
    """Bring one document after the other while the block runs, as long as somebody takes them."""
    end = threading.Event()

    def run() -> None:
        with server.client() as asking, suppress(httpx.TransportError):
            while not end.wait(BETWEEN):
                number, brought.tried = brought.tried, brought.tried + 1
                brought.jobs[number] = bring(asking, number)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def _kill(server: Server, kind: str, seconds: float) -> None:
    """Kill it, so many seconds from now, or from when there is a process that writes."""
    while True:
        if kind != KINDS[0]:
            while server.writer() is None:
                time.sleep(0.05)
        time.sleep(seconds)
        if kind == KINDS[0]:
            server.kill()
            return
        if writer := server.writer():  # it may have ended by now
            if kind == KINDS[1]:
                writer.kill()
            else:
                server.kill(all_of_it=True)
            return


def _again(server: Server, kind: str, brought: Brought) -> float:
    """Seconds until it is ready again, or, where it went on, until all that was brought is done.

    A job at which the writer dies three times fails, as the docs say. That is not what is tried
    here, so no second writer is killed at the same.
    """
    if kind != KINDS[1]:
        return server.start()
    began = time.monotonic()
    with server.client() as asking:
        _states(asking, brought)
    return time.monotonic() - began


def _states(asking: httpx.Client, brought: Brought) -> dict[int, str]:
    """What became of each job, once all are at their end."""
    return {number: finished(asking, job)["state"] for number, job in brought.jobs.items()}


def _kills_table(took: dict[str, list[float]]) -> str:
    rows = [
        [kind, len(seconds), *map(text_of, (min(seconds), np.median(seconds), max(seconds)))]
        for kind, seconds in took.items()
        if seconds
    ]
    return (
        "Seconds until the server was ready again; where only the writer was killed, until all "
        "that had been brought was done.\n\n"
        + table(("killed", "times", "least", "median", "most"), rows)
    )


def _outcome(brought: Brought, states: dict[int, str], found: Sequence[int], more: int) -> str:
    taken = set(brought.jobs)
    rows = [
        ["brought", len(found)],
        ["taken on (202)", len(taken)],
        ["of these: job not done", sum(state != "done" for state in states.values())],
        ["of these: lost", sum(not found[number] for number in taken)],
        ["found more than once", sum(times > 1 for times in found)],
        ["found though no 202 came", sum(map(bool, found)) - sum(bool(found[n]) for n in taken)],
        ["documents in the index, beyond those found", more - sum(map(bool, found))],
    ]
    return table(("documents", ""), rows)


def _seen(load: Load) -> str:
    statuses = Counter(sample.status for sample in load.samples)
    rows = [[status or "no answer", f"{count:,}"] for status, count in sorted(statuses.items())]
    return table(("status of a search meanwhile", "times"), rows)
