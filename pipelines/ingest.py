"""Ingest: run a plan. Read ahead, cut, embed, store; one document's failure is a line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from connectors.base import Connector, SourceRef
from pipelines.reading import read_ahead
from pipelines.sync import Plan, guard_prune, plan
from pipelines.twins import Twins
from pipelines.writing import Failure, IngestReport, Progress, Writer
from rag.errors import DocumentError, SourceError
from rag.ids import document_id
from rag.index import Index
from rag.store import DocumentRecord
from rag.trace import spanned

__all__ = [
    "Failure",
    "IngestReport",
    "Listing",
    "Progress",
    "count_index",
    "discard_leftovers",
    "ingest",
    "list_all",
    "plan_all",
]

_MOST_PASSES = 10  # over the sources: after the first, only for copies whose original went


@dataclass(frozen=True, slots=True)
class Listing:
    """What a connector listed, or why it could not be listed to its end."""

    connector: Connector
    refs: Sequence[SourceRef] = ()
    unlisted: str = ""


def list_all(connectors: Sequence[Connector]) -> list[Listing]:
    """Ask every connector once what it has.

    Raises:
        UsageError: a place is not there.
    """
    return [_listing(connector) for connector in connectors]


def _listing(connector: Connector) -> Listing:
    try:
        return Listing(connector, list(connector.list()))
    except SourceError as error:
        return Listing(connector, unlisted=str(error))


def plan_all(
    listings: Sequence[Listing], documents: Callable[[str], Iterable[DocumentRecord]]
) -> list[tuple[Connector, Plan]]:
    """What a run over these listings would do.

    A document that several of them list is the first one's: staged twice in one run it would,
    for a moment, not be served, and cited now this way, now that. A place that could not be listed
    has a plan with nothing in it but why.

    Args:
        listings: of where documents come from.
        documents: what the store holds of a namespace.
    """
    plans: list[tuple[Connector, Plan]] = []
    claimed: set[str] = set()
    stored: dict[str, list[DocumentRecord]] = {}
    for listing in listings:
        connector = listing.connector
        if listing.unlisted:
            plans.append((connector, Plan(unlisted=listing.unlisted)))
            continue
        namespace = connector.namespace
        refs = [r for r in listing.refs if document_id(namespace, r.key) not in claimed]
        if namespace not in stored:
            stored[namespace] = list(documents(namespace))
        records = [r for r in stored[namespace] if r.doc_id not in claimed]
        plans.append((connector, plan(namespace, refs, records, connector.covers)))
        claimed |= {document_id(namespace, ref.key) for ref in refs if ref.key}
        claimed |= {record.doc_id for record in records if connector.covers(record.key)}
    return plans


def ingest(
    index: Index,
    connectors: Sequence[Connector],
    *,
    listings: Sequence[Listing] | None = None,
    prune: bool = False,
    yes: bool = False,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> IngestReport:
    """Make the index hold what the connectors list.

    Documents are fetched and parsed ahead by `ingest.workers` threads, cut and embedded in windows
    by this one, and stored by a third: memory holds a bounded part of the texts, and about a
    kilobyte for each document that is listed. Every document is committed by itself, so a run may
    end anywhere: what is served stays served, and the next run goes on. Resuming is running again.

    Args:
        index: an open index.
        connectors: where documents come from.
        listings: what they have just listed, where that is known already.
        prune: retire documents that are gone from their source.
        yes: retire them even where they are more than `ingest.max_delete_fraction`.
        progress: hears how far the run is.
        stop: asked after each document; true ends the run early, cleanly.

    Raises:
        UsageError: a source is not there, or pruning would retire too much. Nothing is written.
        StoreError, ModelError: the run cannot go on.
    """
    began = time.perf_counter()
    report = IngestReport()
    with spanned("rag.ingest") as figures:
        listings = list_all(connectors) if listings is None else listings
        plans = plan_all(listings, index.store.documents)
        if prune and not yes:
            for _, planned in plans:
                guard_prune(planned, index.settings.ingest.max_delete_fraction)
        wrote = _run(index, plans, report, prune=prune, progress=progress, stop=stop)
        if wrote:
            index.store.optimize()
        count_index(index, report)
        report.seconds = time.perf_counter() - began
        figures |= report.figures
    return report


def count_index(index: Index, report: IngestReport) -> None:
    """Say what the whole index holds."""
    report.documents = report.tokens = 0
    for record in index.store.documents():
        report.documents += record.live
        report.tokens += record.tokens if record.live else 0
    report.chunks = index.store.count()


def _run(
    index: Index,
    plans: Sequence[tuple[Connector, Plan]],
    report: IngestReport,
    *,
    prune: bool,
    progress: Progress | None,
    stop: Callable[[], bool],
) -> bool:
    """Do what is planned, and again for copies that were left without an original.

    Returns whether anything was written.
    """
    wrote = _pass(index, plans, report, prune=prune, progress=progress, stop=stop)
    anything = wrote.anything
    for _ in range(_MOST_PASSES):
        if report.interrupted or not wrote.heirs:
            break
        again = list_all([connector for connector, _ in plans])
        plans = _heirs_only(plan_all(again, index.store.documents))
        # What becomes of an heir was counted when it was linked, or is no change at all.
        apart = IngestReport()
        wrote = _pass(index, plans, apart, prune=False, progress=progress, stop=stop)
        report.embedded_tokens += apart.embedded_tokens
        report.failed += apart.failed
        report.interrupted |= apart.interrupted
        anything |= wrote.anything
    return anything


class _Wrote(NamedTuple):
    """Whether a pass wrote anything, and how many copies it left without an original."""

    anything: bool
    heirs: int


def _pass(
    index: Index,
    plans: Sequence[tuple[Connector, Plan]],
    report: IngestReport,
    *,
    prune: bool,
    progress: Progress | None,
    stop: Callable[[], bool],
) -> _Wrote:
    wrote = False
    for _, planned in plans:
        discard_leftovers(index, planned)
        wrote |= bool(planned.leftovers or (prune and planned.vanished))
    going = {record.doc_id for _, planned in plans for record in planned.vanished}
    gone = frozenset(going) if prune else frozenset[str]()
    twins = Twins(index.store, index.settings.ingest, gone)
    if progress:
        progress.start(sum(len(planned.tasks) for _, planned in plans))
    with Writer(index, report, twins, progress) as writer:
        for connector, planned in plans:
            _write_all(index, connector, planned, writer, report, stop)
        writer.finish()
    if not report.interrupted:
        for _, planned in plans:
            _retire(index, planned, twins, report, prune)
    return _Wrote(wrote or writer.wrote, twins.heirs)


def _write_all(
    index: Index,
    connector: Connector,
    planned: Plan,
    writer: Writer,
    report: IngestReport,
    stop: Callable[[], bool],
) -> None:
    if planned.unlisted:
        report.failed.append(Failure(connector.namespace, planned.unlisted))
    report.unchanged += len(planned.unchanged)
    report.failed += [Failure(ref.source, str(ref.problem)) for ref in planned.refused]
    settings = index.settings.ingest
    if stop():
        report.interrupted |= bool(planned.tasks)
        return
    reading = read_ahead(
        connector,
        planned.tasks,
        workers=settings.workers,
        most_characters=settings.read_ahead_characters,
    )
    left = len(planned.tasks)
    with closing(reading):  # whatever happens: a reader that waits would keep the process alive
        for task, found in reading:
            left -= 1
            if isinstance(found, DocumentError):
                report.failed.append(Failure(task.ref.source, str(found)))
                writer.passed_over()
            else:
                writer.write(found, task)
            if left and stop():
                report.interrupted = True
                break


def discard_leftovers(index: Index, planned: Plan) -> None:
    """Delete what a run that was cut short left behind."""
    for record in planned.leftovers:
        if record.twin_of:
            index.store.unlink(record)
        index.store.discard(record.doc_id, record.revision)


def _heirs_only(plans: Sequence[tuple[Connector, Plan]]) -> list[tuple[Connector, Plan]]:
    """Of a second plan, only the copies that are to be read at last: all else is done or said."""
    return [
        (
            connector,
            Plan([task for task in planned.tasks if task.served and not task.served.fingerprint]),
        )
        for connector, planned in plans
    ]


def _retire(index: Index, planned: Plan, twins: Twins, report: IngestReport, prune: bool) -> None:
    if not prune:
        report.vanished += len(planned.vanished)
        return
    # Copies first: no chunks have to be handed on to what goes next.
    for record in sorted(planned.vanished, key=lambda record: not record.twin_of):
        twins.leave(record)
        index.store.retire(record.doc_id)
        report.retired += 1
