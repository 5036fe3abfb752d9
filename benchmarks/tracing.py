"""What tracing costs a query: the demo's questions with and without it, turn by turn.

"off" is a process in which nothing has imported OpenTelemetry or LlamaIndex's instrumentation:
their modules are hidden for the turn. "on" exports every span to memory with OpenTelemetry's SDK.
A query takes far longer than its spans, so these are also measured by themselves: the same spans
and figures around no work at all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import ModuleType

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from report import heading, say, table

import pipelines.demo
from connectors.registry import open_source
from pipelines.demo.questions import QUESTIONS
from pipelines.ingest import ingest
from rag.engine import QueryEngine
from rag.generation import ExtractiveGenerator
from rag.index import open_index
from rag.ledger import Entry
from rag.settings import Settings
from rag.trace import booked, mark, spanned

DOCUMENTS = Path(pipelines.demo.__file__).parent / "documents"
HIDDEN = ("opentelemetry.trace", "llama_index_instrumentation")
STAGES = ("retrieve", "cluster", "select", "generate", "verify")


@contextmanager
def tracing(on: bool) -> Iterator[None]:
    """As it would be, or as if nothing had imported what spans are told to."""
    hidden: dict[str, ModuleType] = {}
    if not on:
        hidden = {name: sys.modules.pop(name) for name in HIDDEN if name in sys.modules}
    try:
        yield
    finally:
        sys.modules.update(hidden)


def spans_alone() -> None:
    """A query's spans and figures, around nothing."""
    with spanned("rag.query"):
        for stage in STAGES:
            with spanned(f"rag.{stage}") as figures:
                figures.update(booked(Entry(stage, 1_494, 31)))
        mark({"spanrag.abstained": False, "spanrag.citations": 1, "spanrag.unsupported": 0})


def turns(work: Callable[[int], object], rounds: int) -> dict[bool, list[float]]:
    """Seconds of each turn, off and on one after the other."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for number in range(rounds):
        for on in (False, True):
            with tracing(on):
                began = time.perf_counter()
                work(number)
                seconds[on].append(time.perf_counter() - began)
    return seconds


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="questions asked each way")
    args = parser.parse_args()
    top = heading("Tracing")
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_index(Settings(store={"path": Path(folder) / "index"}), create=True) as index,
    ):
        ingest(index, [open_source(str(DOCUMENTS))])
        engine = QueryEngine(index, ExtractiveGenerator())
        asked = [each.text for each in QUESTIONS]
        for question in asked:  # once, so that no turn is the first to read anything
            engine.query(question)
        say("asking")
        exporter.clear()
        queries = turns(lambda number: engine.query(asked[number % len(asked)]), args.rounds)
    exported = len(exporter.get_finished_spans()) / args.rounds
    exporter.clear()
    alone = turns(lambda _: [spans_alone() for _ in range(100)], 50)
    rows = [
        ("a query, median", *(f"{median(queries[on]) * 1e3:.1f} ms" for on in (False, True))),
        ("its spans alone, median", *(f"{median(alone[on]) * 1e4:.0f} µs" for on in (False, True))),
        ("spans exported", "0", f"{exported:.1f}"),
    ]
    print(top)
    print(table(("", "off", "on"), rows))


if __name__ == "__main__":
    main()
