"""Counters for Prometheus: of requests, of what they cost, and of what went wrong."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipelines.serve.limits import Slots
from rag.ledger import TokenLedger

__all__ = ["Metrics"]

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """What is counted. One registry for each server, so that two in a process do not mix.

    Args:
        slots: how many questions are under way is read from it when somebody looks.
        waiting: and says how many jobs wait.
    """

    def __init__(self, slots: Slots, waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "spanrag_requests", "Requests, by route and status.", ["route", "status"],
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "spanrag_request_seconds", "Seconds to the end of an answer, by route.", ["route"],
            registry=self.registry, buckets=_SECONDS,
        )  # fmt: skip
        self._stage_seconds = Histogram(
            "spanrag_stage_seconds", "Seconds of a stage.", ["stage"],
            registry=self.registry, buckets=_SECONDS,
        )  # fmt: skip
        self._tokens = Counter(
            "spanrag_stage_tokens", "Tokens of context into and out of a stage.",
            ["stage", "direction"], registry=self.registry,
        )  # fmt: skip
        self._llm = Counter(
            "spanrag_llm_tokens", "Tokens of prompts and answers of language models.", ["stage"],
            registry=self.registry,
        )  # fmt: skip
        self._degraded = Counter(
            "spanrag_degraded", "Stages that failed and were gone on without.", ["stage"],
            registry=self.registry,
        )  # fmt: skip
        self._abstained = Counter(
            "spanrag_abstained", "Questions the documents held no answer to.",
            registry=self.registry,
        )  # fmt: skip
        under_way = Gauge(
            "spanrag_questions_under_way", "Questions that are being answered or wait.",
            registry=self.registry,
        )  # fmt: skip
        under_way.set_function(lambda: slots.taken)
        unfinished = Gauge(
            "spanrag_jobs_waiting", "Jobs that are not finished.", registry=self.registry
        )
        unfinished.set_function(waiting)
        self._jobs = Counter(
            "spanrag_jobs", "Jobs that are finished, by how they ended.", ["state"],
            registry=self.registry,
        )  # fmt: skip
        for state in ("done", "failed"):  # there from the start: the first failure is an increase
            self._jobs.labels(state)

    def count_job(self, state: str) -> None:
        """Count a job that is finished: `done` or `failed`."""
        self._jobs.labels(state).inc()

    def book(self, ledger: TokenLedger, *, abstained: bool) -> None:
        """Count what a question has cost."""
        for entry in ledger:
            self._stage_seconds.labels(entry.stage).observe(entry.seconds)
            self._tokens.labels(entry.stage, "in").inc(entry.tokens_in)
            self._tokens.labels(entry.stage, "out").inc(entry.tokens_out)
            self._llm.labels(entry.stage).inc(entry.llm_tokens)
            self._degraded.labels(entry.stage).inc(bool(entry.degraded))
        self._abstained.inc(abstained)
