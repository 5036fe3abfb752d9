"""What a load comes to: answers a second and latencies, with intervals.

Requests that are near in time share a queue, so they are no independent draws. What is redrawn for
an interval is therefore not the request but a stretch of time with all that was due in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from report import interval
from serving_load import Load, Sample

__all__ = ["amount", "answered", "asked", "latency", "percentiles", "slope", "steady", "text_of"]

PERCENTILES = (50, 95, 99)
WARM_UP = 0.1  # of a load: its queue is still filling
STRETCHES = 12  # of what is left of it
DRAWS = 500
FEWEST = {50: 1, 95: 20, 99: 100}  # requests that a percentile needs


def latency(sample: Sample) -> float:
    """Milliseconds from when it was due to the end of the answer."""
    return (sample.end - sample.planned) * 1e3


def steady(load: Load) -> tuple[float, float]:
    """From when to when the queue is neither filling nor running dry."""
    return load.began + WARM_UP * (load.ended - load.began), load.ended


def answered(loads: Sequence[Load]) -> tuple[float, str]:
    """Good answers a second, and that with its interval."""
    counts, seconds = [], 0.0
    for load in loads:
        since, until = steady(load)
        ends = [sample.end for sample in load.samples if sample.good]
        counts += np.histogram(ends, STRETCHES, (since, until))[0].tolist()
        seconds += until - since
    each = seconds / len(counts)
    return sum(counts) / seconds, amount(
        sum(counts) / seconds, interval(lambda drawn: np.mean(drawn) / each, counts, draws=DRAWS)
    )


def percentiles(
    loads: Sequence[Load],
    of: Callable[[Sample], float] = latency,
    takes: Callable[[Sample], bool] = lambda sample: sample.good,
) -> list[str]:
    """The 50th, 95th and 99th of what was due while the load was steady, with intervals."""
    stretches = [
        np.array([of(sample) for sample in stretch if takes(sample)])
        for load in loads
        for stretch in _stretches(load)
    ]
    return [_percentile(stretches, percent) for percent in PERCENTILES]


def asked(loads: Iterable[Load]) -> str:
    """How hard the asking itself was: processor time, and how late requests went out."""
    cpu = [load.cpu / (load.ended - load.began) for load in loads]
    late = [sample.sent - sample.planned for load in loads for sample in load.samples]
    return f"{max(cpu):.0%}, {np.percentile(late or [0.0], 99) * 1e3:.0f} ms"


def slope(minutes: Sequence[float], values: Sequence[float], stretch: int) -> str:
    """Growth a minute by least squares, redrawn by stretches of so many values."""
    pairs = np.column_stack([minutes, values])
    parts = [pairs[at : at + stretch] for at in range(0, len(pairs), stretch)]

    def fitted(drawn: Sequence[int]) -> float:
        taken = np.concatenate([parts[number] for number in drawn])
        moments = taken[:, 0] - taken[:, 0].mean()
        spread = float(moments @ moments)
        return float(moments @ taken[:, 1]) / spread if spread else 0.0

    numbers = list(range(len(parts)))
    low, high = interval(fitted, numbers, draws=DRAWS)
    return f"{fitted(numbers):+.2f} ({low:+.2f} to {high:+.2f})"


def amount(value: float, bounds: tuple[float, float]) -> str:
    """A value and its interval."""
    return f"{text_of(value)} ({text_of(bounds[0])}-{text_of(bounds[1])})"


def text_of(value: float) -> str:
    """Three digits, or as many as there are before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _stretches(load: Load) -> list[list[Sample]]:
    since, until = steady(load)
    stretches: list[list[Sample]] = [[] for _ in range(STRETCHES)]
    for sample in load.samples:
        if since <= sample.planned < until:
            at = int((sample.planned - since) / (until - since) * STRETCHES)
            stretches[min(at, STRETCHES - 1)].append(sample)
    return stretches


def _percentile(stretches: Sequence[np.ndarray], percent: int) -> str:
    def of(drawn: Sequence[int]) -> float:
        values = np.concatenate([stretches[number] for number in drawn])
        return float(np.percentile(values, percent)) if len(values) else np.nan

    if sum(map(len, stretches)) < FEWEST[percent]:
        return "-"
    numbers = [number for number, stretch in enumerate(stretches) if len(stretch)]
    return amount(of(numbers), interval(of, numbers, draws=DRAWS))
