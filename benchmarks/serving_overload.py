"""`rag serve` where ten times as much is asked as it can answer: what is refused, and how."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from report import say, table
from serving_figures import answered, asked, latency, percentiles, text_of
from serving_load import Load, Sample
from serving_process import Server
from serving_speed import Measuring, capacity, serving

__all__ = ["overload"]

TIMES = 10  # the capacity
PROBE = 0.2  # seconds between two health checks
REFUSED = (429, 503)
LIMITED = {"serve.requests_per_minute": "600"}  # the default


def overload(index: Path, questions: Sequence[str], seconds: float, lasting: float) -> str:
    """The table, a column for each kind of question and limit.

    Args:
        index: what is served, a copy of it.
        questions: drawn from at random.
        seconds: that a load lasts by which the capacity is found.
        lasting: seconds of the overload.
    """
    columns: dict[str, dict[str, str]] = {}
    best: dict[str, float] = {}
    with serving(index) as server:
        for kind in ("search", "query"):
            measuring = Measuring(server.base, {kind: 1.0}, questions, seconds)
            measuring.closed(4)  # not counted: the first wait for models
            best[kind] = capacity(measuring.closed_loops((4, 8)))
            before = measuring.closed(1)
            during, load = _overloaded(server, measuring, best[kind], lasting)
            columns[kind] = during | _recovered(before, load, measuring.closed(1))
            say(f"{kind}: {columns[kind]}")
    with serving(index, LIMITED) as server:  # a minute would have to pass before it answers anew
        measuring = Measuring(server.base, {"search": 1.0}, questions, seconds)
        columns["search, 600 a minute"], _ = _overloaded(server, measuring, best["search"], lasting)
    rows = [
        [name, *(column.get(name, "-") for column in columns.values())]
        for name in columns["search"]
    ]
    return table(("", *columns), rows)


class Health:
    """Asks whether the server lives, each time by a connection of its own."""

    def __init__(self, server: Server) -> None:
        self.milliseconds: list[float] = []
        self.failures = 0
        self._base = server.base

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask while the block runs."""
        end = threading.Event()
        thread = threading.Thread(target=self._ask, args=(end,))
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _ask(self, end: threading.Event) -> None:
        fresh = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=self._base, limits=fresh, trust_env=False, timeout=10) as asking:
            while not end.wait(PROBE):
                began = time.monotonic()
                try:
                    self.failures += asking.get("/healthz").status_code != 200
                except httpx.TransportError:
                    self.failures += 1
                self.milliseconds.append((time.monotonic() - began) * 1e3)


def _overloaded(
    server: Server, measuring: Measuring, most: float, lasting: float
) -> tuple[dict[str, str], Load]:
    """What it answers and refuses meanwhile, as cells by name."""
    health = Health(server)
    spent = _processor_seconds(server)
    with health.asking():
        load = measuring.open(TIMES * most, lasting)
    spent = _processor_seconds(server) - spent
    rate, shown = answered([load])
    served, refusal = percentiles([load]), percentiles([load], latency, _is_refusal)
    return {
        "capacity, answers/s": text_of(most),
        "asked/s": text_of(len(load.samples) / (load.ended - load.began)),
        "requests": f"{len(load.samples):,}",
        **{f"status {status}": _share(load, status) for status in (200, *REFUSED)},
        "other, or no answer": f"{sum(map(_is_other, load.samples)):,}",
        "refusals without Retry-After or problem+json": str(
            sum(_is_refusal(each) and bool(each.fault) for each in load.samples)
        ),
        "good answers/s": shown,
        "of the capacity": f"{rate / most:.0%}",
        "answer p50": served[0],
        "answer p99": served[2],
        "refusal p50": refusal[0],
        "refusal p99": refusal[2],
        "health checks, failed": f"{len(health.milliseconds)}, {health.failures}",
        "health check p50, p99": ", ".join(
            map(text_of, np.percentile(health.milliseconds, (50, 99)))
        ),
        "server's processor time a request": text_of(spent / len(load.samples) * 1e3),
        "asking: CPU, late": asked([load]),
    }, load


def _recovered(before: Load, load: Load, after: Load) -> dict[str, str]:
    """How soon it answers as before, as cells by name."""
    drained = max(each.end for each in load.samples) - load.ended
    first = min(after.samples, key=lambda each: each.sent)
    return {
        "seconds until all were answered": text_of(max(0.0, drained)),
        "then, the first": text_of(latency(first)) if first.good else "failed",
        "one client: before, p50": percentiles([before])[0],
        "one client: after, p50": percentiles([after])[0],
    }


def _processor_seconds(server: Server) -> float:
    spent = server.process.cpu_times()
    return float(spent.user + spent.system)


def _share(load: Load, status: int) -> str:
    return f"{sum(each.status == status for each in load.samples) / len(load.samples):.1%}"


def _is_refusal(sample: Sample) -> bool:
    return sample.status in REFUSED


def _is_other(sample: Sample) -> bool:
    return sample.status not in (200, *REFUSED) or (sample.status == 200 and bool(sample.fault))
