"""Puts load on a server, from a process of its own, and tells of every single request.

In a *closed loop* so many clients each ask again once they are answered. In an *open loop* requests
go out at moments that were drawn beforehand (Poisson arrivals), whether or not the server keeps up,
and a latency counts from that moment: a server that stalls cannot hide it by holding up those who
would have asked (no coordinated omission).

Why no load tool: those at hand (Locust among them) have users that wait for their answers, time
from the sending, and tell percentiles of rounded times in place of the times that intervals are
made from.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

__all__ = ["KINDS", "Load", "Plan", "Sample", "loading", "put"]

KINDS = ("search", "query", "stream")


@dataclass(frozen=True)
class Plan:
    """What to ask, and how often.

    Attributes:
        base: address of the server.
        kinds: what is asked, and in which proportion.
        questions: drawn from at random.
        seconds: how long requests go out.
        clients: of a closed loop; 0 for an open one.
        rate: arrivals a second of an open loop.
        seed: of all that is drawn.
    """

    base: str
    kinds: Mapping[str, float]
    questions: Sequence[str]
    seconds: float
    clients: int = 0
    rate: float = 0.0
    seed: int = 0


class Sample(NamedTuple):
    """A request. Moments are seconds of the machine's monotonic clock; 0 where nothing came.

    Attributes:
        kind: one of `KINDS`.
        planned: when it was due.
        sent: when it went out.
        event: when the first event of a stream came.
        text: when the first text of a stream came.
        end: when the answer was at its end.
        status: of HTTP; 0 where there was no answer.
        fault: what is wrong with the answer, or "".
    """

    kind: str
    planned: float
    sent: float
    event: float
    text: float
    end: float
    status: int
    fault: str

    @property
    def good(self) -> bool:
        """Whether it was answered, and not refused."""
        return self.status == 200 and not self.fault


@dataclass
class Load:
    """What came of a plan.

    Attributes:
        samples: every request.
        began: when the first was due.
        ended: when the last could be due.
        cpu: seconds of processor time that asking took.
    """

    samples: list[Sample] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0
    cpu: float = 0.0


@contextmanager
def loading(plan: Plan) -> Iterator[Load]:
    """Put load on while the block runs; what came of it is known after it.

    Raises:
        SystemExit: the process that asks failed.
    """
    load = Load()
    with _asking(plan) as process:
        yield load
        process.send_signal(signal.SIGTERM)
        _read(process, load)


def put(plan: Plan) -> Load:
    """Put load on until the plan is through.

    Raises:
        SystemExit: the process that asks failed.
    """
    load = Load()
    with _asking(plan) as process:
        _read(process, load)
    return load


@contextmanager
def _asking(plan: Plan) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, Path(__file__).with_name("serving_asker.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(asdict(plan)) + "\n")
            process.stdin.flush()
            process.stdout.readline()  # it begins
            yield process
        finally:
            process.kill()  # it has ended, unless something failed here


def _read(process: subprocess.Popen[str], load: Load) -> None:
    assert process.stdout is not None
    told = process.stdout.read()
    if process.wait():
        raise SystemExit("the process that asks failed")
    found = json.loads(told)
    load.samples = [Sample(*each) for each in found.pop("samples")]
    load.began, load.ended, load.cpu = found["began"], found["ended"], found["cpu"]
