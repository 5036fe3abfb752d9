"""How many questions a second `rag serve` answers, and how fast."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from report import say, table
from serving_figures import answered, asked, latency, percentiles
from serving_load import Load, Plan, Sample, put
from serving_process import UNLIMITED, Server

from rag.store.generations import copy_file

__all__ = ["capacity", "serving", "speed"]

SHARES = (0.5, 0.8)  # of the capacity that was found
GENERATORS = {
    "extractive": ("search", "query", "stream"),
    "bundled": ("query", "stream"),  # a search asks no language model
}
COLUMNS = (
    "question", "generator", "load", "answers/s", "p50", "p95", "p99", "first event p50",
    "first text p50", "answered", "refused", "failed", "asking: CPU, late",
)  # fmt: skip


@contextmanager
def serving(index: Path, settings: Mapping[str, str] = UNLIMITED) -> Iterator[Server]:
    """A server over a copy of an index, ready."""
    with tempfile.TemporaryDirectory() as root:
        server = Server(Path(root), settings)
        shutil.copytree(index, server.index, copy_function=copy_file)
        try:
            say(f"ready after {server.start():.1f} s: {dict(settings)}")
            yield server
        except BaseException:
            say(f"the server: {server.last_words()}")
            raise
        finally:
            server.stop()


def speed(
    index: Path,
    questions: Sequence[str],
    seconds: Mapping[str, float],
    clients: Sequence[int],
    rounds: int,
) -> str:
    """The table: closed loops of some clients, then open loops at shares of the best of them.

    Args:
        index: what is served, a copy of it.
        questions: drawn from at random.
        seconds: that a load lasts, by generator.
        clients: of each closed loop.
        rounds: how often each load is put on; loads take turns.
    """
    rows = []
    for generator, kinds in GENERATORS.items():
        with serving(index, {**UNLIMITED, "generation.kind": generator}) as server:
            for kind in kinds:
                measuring = Measuring(server.base, {kind: 1.0}, questions, seconds[generator])
                measuring.closed(4)  # not counted: the first wait for models
                rows += _rows(measuring, kind, generator, clients, rounds)
    return table(COLUMNS, rows)


class Measuring:
    """Puts one kind of load after the other on a server, each with a seed of its own."""

    def __init__(
        self, base: str, kinds: Mapping[str, float], questions: Sequence[str], seconds: float
    ) -> None:
        self._plan = (base, kinds, questions, seconds)
        self._seed = 0

    def closed(self, clients: int) -> Load:
        """By so many clients that wait for their answers."""
        self._seed += 1
        return put(Plan(*self._plan, clients=clients, seed=self._seed))

    def open(self, rate: float, seconds: float | None = None) -> Load:
        """So many a second, come what may."""
        self._seed += 1
        *asked, as_ever = self._plan
        return put(Plan(*asked, seconds or as_ever, rate=rate, seed=self._seed))

    def closed_loops(self, clients: Sequence[int], rounds: int = 1) -> dict[int, list[Load]]:
        """By number of clients; they take turns, so that a machine that slows down slows all."""
        turns = [{count: self.closed(count) for count in clients} for _ in range(rounds)]
        return {count: [turn[count] for turn in turns] for count in clients}


def capacity(loops: Mapping[int, Sequence[Load]]) -> float:
    """The most answers a second that any number of clients got.

    Raises:
        SystemExit: there were none.
    """
    most = max(answered(loads)[0] for loads in loops.values())
    if not most:
        raise SystemExit("nothing was answered while a load lasted: let it last longer")
    return most


def _rows(
    measuring: Measuring, kind: str, generator: str, clients: Sequence[int], rounds: int
) -> list[list[str]]:
    loops = measuring.closed_loops(clients, rounds)
    rows = [
        _row(kind, generator, f"{count} client{'s' * (count > 1)}", loads)
        for count, loads in loops.items()
    ]
    most = capacity(loops)
    for share in SHARES:
        loads = [measuring.open(share * most) for _ in range(rounds)]
        rows.append(_row(kind, generator, f"open, {share * most:.3g}/s ({share:.0%})", loads))
    return rows


def _row(kind: str, generator: str, load: str, loads: Sequence[Load]) -> list[str]:
    samples = [sample for each in loads for sample in each.samples]
    refused = sum(sample.status in (429, 503) for sample in samples)
    good = sum(sample.good for sample in samples)
    row = [kind, generator, load, answered(loads)[1], *percentiles(loads, latency)]
    row += [_until(loads, "event"), _until(loads, "text")]
    row += [f"{good:,}", str(refused), str(len(samples) - good - refused), asked(loads)]
    say(" | ".join(row))
    return row


def _until(loads: Sequence[Load], first: str) -> str:
    """Milliseconds until the first of something came, where it did."""

    def of(sample: Sample) -> float:
        return (getattr(sample, first) - sample.planned) * 1e3

    def came(sample: Sample) -> bool:
        return sample.good and getattr(sample, first) > 0

    return percentiles(loads, of, came)[0]
