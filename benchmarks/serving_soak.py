"""`rag serve` for a long time at a steady load, while documents come and go: does it grow?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
from report import say, table
from serving_documents import bring, holding
from serving_figures import answered, asked, latency, percentiles, slope, text_of
from serving_load import KINDS, Load, Plan, Sample, loading
from serving_process import Seen, Watch, finished
from serving_speed import Measuring, capacity, serving

__all__ = ["soak"]

MIX = {"search": 0.6, "query": 0.3, "stream": 0.1}
SHARE = 0.7  # of the capacity
SETTLING = 60.0  # seconds, or a quarter of a short soak
STRETCH = 30  # seconds that an interval redraws together, or an eighth of a short soak
WATCHED = {
    "server, resident, MiB": "resident",
    "server, anonymous, MiB": "anonymous",
    "its children, resident, MiB": "children",
    "open files": "files",
    "threads": "threads",
    "index on disk, MiB": "index",
    "jobs on disk, MiB": "jobs",
}


class Job(NamedTuple):
    """A document brought or deleted: when, and whether search then said so."""

    kind: str
    began: float
    ended: float
    right: bool


def soak(
    index: Path, questions: Sequence[str], seconds: float, lasting: float, every: float
) -> str:
    """Three tables: latencies, what the server holds, and jobs.

    Args:
        index: what is served, a copy of it.
        questions: drawn from at random.
        seconds: that a load lasts by which the capacity is found.
        lasting: seconds of the soak.
        every: seconds between a job's end and the next.
    """
    with serving(index) as server:
        measuring = Measuring(server.base, MIX, questions, seconds)
        measuring.closed(4)  # not counted: the first wait for models
        most = capacity(measuring.closed_loops((4, 8)))
        say(f"soaking at {SHARE:.0%} of {most:.3g}/s for {lasting:g} s")
        watch = Watch(server)
        plan = Plan(server.base, MIX, questions, lasting, rate=SHARE * most, seed=1)
        with watch.looking(), loading(plan) as load, server.client() as asking:
            jobs = _jobs(asking, time.monotonic() + lasting, every)
    mix = ", ".join(f"{share:.0%} {kind}" for kind, share in MIX.items())
    return (
        f"{lasting:g} s at {SHARE * most:.3g}/s, {SHARE:.0%} of {most:.3g}/s: {mix}. "
        f"Answers/s: {answered([load])[1]}; asking: CPU, late: {asked([load])}.\n\n"
        f"{_latencies(load, jobs)}\n{_held(watch.seen, load, lasting)}\n{_jobs_table(jobs)}"
    )


def _jobs(asking: httpx.Client, until: float, every: float) -> list[Job]:
    """Bring a document and delete it, over and over; search has to find it, then not to."""
    jobs: list[Job] = []
    number = 0
    while time.monotonic() + every < until:
        time.sleep(every)
        if number % 2 == 0:
            jobs.append(_brought(asking, number))
        else:
            jobs.append(_deleted(asking, number - 1))
        say(f"{jobs[-1].kind}: {jobs[-1].ended - jobs[-1].began:.1f} s, right: {jobs[-1].right}")
        number += 1
    time.sleep(max(0.0, until - time.monotonic()))
    return jobs


def _brought(asking: httpx.Client, number: int) -> Job:
    began = time.monotonic()
    state = finished(asking, bring(asking, number))["state"]
    ended = time.monotonic()
    return Job("bring", began, ended, state == "done" and len(holding(asking, number)) == 1)


def _deleted(asking: httpx.Client, number: int) -> Job:
    began = time.monotonic()
    state = "absent"
    for hit in holding(asking, number):
        taken = asking.delete(f"/v1/documents/{hit['doc_id']}").raise_for_status()
        state = finished(asking, taken.json()["id"])["state"]
    ended = time.monotonic()
    return Job("delete", began, ended, state == "done" and not holding(asking, number))


def _latencies(load: Load, jobs: Sequence[Job]) -> str:
    """By kind of question, and by whether a job was under way."""

    def writing(sample: Sample) -> bool:
        return any(job.began < sample.end and sample.planned < job.ended for job in jobs)

    groups = {kind: [each for each in load.samples if each.kind == kind] for kind in KINDS}
    groups["all, while a job is done"] = [each for each in load.samples if writing(each)]
    groups["all, otherwise"] = [each for each in load.samples if not writing(each)]
    rows = []
    for name, samples in groups.items():
        refused = sum(each.status in (429, 503) for each in samples)
        failed = sum(not each.good for each in samples) - refused
        part = Load(samples, load.began, load.ended)
        rows.append([name, f"{len(samples):,}", *percentiles([part], latency), refused, failed])
    return table(("question", "requests", "p50", "p95", "p99", "refused", "failed"), rows)


def _held(seen: Sequence[Seen], load: Load, lasting: float) -> str:
    """Memory, files and threads, and how they grow once the server has settled."""
    settled = [each for each in seen if each.at >= load.began + min(SETTLING, lasting / 4)]
    minutes = [(each.at - load.began) / 60 for each in settled]
    stretch = max(1, min(STRETCH, len(settled) // 8))
    rows = []
    for name, of in WATCHED.items():
        values = [float(getattr(each, of)) for each in settled]
        ends = (values[0], min(values), max(values), values[-1])
        rows.append([name, *map(text_of, ends), slope(minutes, values, stretch)])
    return table(("", "settled", "least", "most", "end", "a minute"), rows)


def _jobs_table(jobs: Sequence[Job]) -> str:
    rows = []
    for kind in ("bring", "delete"):
        took = [job.ended - job.began for job in jobs if job.kind == kind]
        if took:
            wrong = sum(not job.right for job in jobs if job.kind == kind)
            rows.append([kind, len(took), *map(text_of, (np.median(took), max(took))), wrong])
    return table(("job", "done", "seconds p50", "most", "not as search then said"), rows)
