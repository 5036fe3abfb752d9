"""Ingest: run a plan. Fetch, cut, embed, stage, commit; one document's failure is a line."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from connectors.base import Connector
from pipelines.sync import Plan, Task, guard_prune, plan
from rag.errors import DocumentError
from rag.ids import document_id
from rag.index import Index
from rag.store import DocumentRecord
from rag.types import Chunk, Document

__all__ = ["Failure", "IngestReport", "Progress", "ingest", "plan_all"]


logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that could not be read, and why."""

    source: str
    reason: str


@dataclass(slots=True)
class IngestReport:
    """What a run did. `documents`, `chunks` and `tokens` are of the whole index, after it."""

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    retired: int = 0
    failed: list[Failure] = field(default_factory=list)
    documents: int = 0
    chunks: int = 0
    tokens: int = 0
    seconds: float = 0.0
    vanished: int = 0
    """Served, gone from the source, and kept because the run did not prune."""
    truncated: int = 0
    """Chunks whose end the embedder could not read."""
    embedded_tokens: int = 0
    interrupted: bool = False


class Progress(Protocol):
    """Hears how far a run is."""

    def start(self, total: int) -> None:
        """So many documents will be fetched."""

    def advance(self, count: float, tokens: int = 0) -> None:
        """So many documents (or part of one) and tokens have been read."""


def plan_all(
    connectors: Sequence[Connector], documents: Callable[[str], Iterable[DocumentRecord]]
) -> list[tuple[Connector, Plan]]:
    """What a run over these connectors would do. Raises what a listing raises.

    A document that several of them list is the first one's: staged twice in one run it would,
    for a moment, not be served, and cited now this way, now that.

    Args:
        connectors: where documents come from.
        documents: what the store holds of a namespace.
    """
    plans: list[tuple[Connector, Plan]] = []
    claimed: set[str] = set()
    stored: dict[str, list[DocumentRecord]] = {}
    for connector in connectors:
        namespace = connector.namespace
        refs = [r for r in connector.list() if document_id(namespace, r.key) not in claimed]
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
    prune: bool = False,
    yes: bool = False,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> IngestReport:
    """Make the index hold what the connectors list.

    Every document is committed by itself, so a run may end anywhere: what is served stays served,
    and the next run goes on. Resuming is running again.

    Args:
        index: an open index.
        connectors: where documents come from.
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
    plans = plan_all(connectors, index.store.documents)
    if prune and not yes:
        for _, planned in plans:
            guard_prune(planned, index.settings.ingest.max_delete_fraction)
    if progress:
        progress.start(sum(len(planned.tasks) for _, planned in plans))
    writer = _Writer(index, report, progress)
    wrote = False
    for connector, planned in plans:
        wrote |= bool(planned.leftovers or (prune and planned.vanished))
        _run(index, connector, planned, writer, report, stop)
    writer.flush()
    if not report.interrupted:
        for _, planned in plans:
            _retire(index, planned, report, prune)
    if wrote or writer.wrote:
        index.store.optimize()
    records = [record for record in index.store.documents() if record.live]
    report.documents = len(records)
    report.tokens = sum(record.tokens for record in records)
    report.chunks = index.store.count()
    report.seconds = time.perf_counter() - began
    return report


def _run(
    index: Index,
    connector: Connector,
    planned: Plan,
    writer: _Writer,
    report: IngestReport,
    stop: Callable[[], bool],
) -> None:
    for record in planned.leftovers:
        index.store.discard(record.doc_id, record.revision)
    report.unchanged += len(planned.unchanged)
    report.failed += [Failure(ref.source, str(ref.problem)) for ref in planned.refused]
    for task in planned.tasks:
        if stop():
            report.interrupted = True
            break
        try:
            document = connector.fetch(task.ref)
        except DocumentError as error:
            report.failed.append(Failure(task.ref.source, str(error)))
        except Exception as error:  # noqa: BLE001  a connector's bug costs its document, not the run
            reason = f"unexpected {type(error).__name__}: {error}".splitlines()[0]
            report.failed.append(Failure(task.ref.source, reason))
        else:
            writer.write(document, task)
            continue
        writer.passed_over()


def _retire(index: Index, planned: Plan, report: IngestReport, prune: bool) -> None:
    if not prune:
        report.vanished += len(planned.vanished)
        return
    for record in planned.vanished:
        index.store.retire(record.doc_id)
        report.retired += 1


class _Writer:
    """Collects chunks over documents into windows worth embedding, and commits what is complete.

    Memory is bounded by one window, one document's text, and what the store holds of the chunks
    since it was last optimised, whatever the corpus.
    """

    def __init__(self, index: Index, report: IngestReport, progress: Progress | None) -> None:
        self._index = index
        self._report = report
        self._progress = progress
        self._held: list[tuple[Document, list[Chunk]]] = []
        self._held_tokens = 0
        self._complete: list[tuple[Document, bool, int]] = []
        self._unoptimized = 0
        self.wrote = False

    def write(self, document: Document, task: Task) -> None:
        """Queue one document; it is served once its last chunk is written."""
        served = task.served
        if served is not None and served.revision == document.revision:
            self._index.store.describe(document)
            self.wrote = True
            self._report.unchanged += 1
            self.passed_over()
            return
        chunks: list[Chunk] = []
        tokens, read = 0, 0
        for chunk in self._index.chunk(document):
            if not chunks:
                self._held.append((document, chunks))
            chunks.append(chunk)
            tokens += chunk.tokens
            self._held_tokens += chunk.tokens
            if self._held_tokens >= self._index.settings.ingest.window_tokens:
                self.flush()
                chunks = []
                if self._progress:
                    share = (chunk.span.end - read) / len(document.text)
                    self._progress.advance(share, 0)
                    read = chunk.span.end
        if not tokens:
            if chunks:  # of zero-width characters and their like: nothing to find in them
                self._held.pop()
            self._report.failed.append(Failure(document.source, "no words in it"))
            self.passed_over()
            return
        self._complete.append((document, served is not None, tokens))
        if self._progress:
            self._progress.advance(1 - read / len(document.text), 0)

    def passed_over(self) -> None:
        """A document needed no writing."""
        if self._progress:
            self._progress.advance(1, 0)

    def flush(self) -> None:
        """Embed and stage what is held; commit the documents that are complete."""
        flat = [chunk for _, chunks in self._held for chunk in chunks]
        if flat:
            vectors = self._index.embed(flat)
            at = 0
            for document, chunks in self._held:
                here = slice(at, at + len(chunks))
                self._index.store.stage(
                    document, chunks, vectors.dense[here], vectors.lexical[here]
                )
                at += len(chunks)
            self.wrote = True
            self._report.truncated += vectors.truncated
            self._report.embedded_tokens += self._held_tokens
            if self._progress:
                self._progress.advance(0, self._held_tokens)
        for document, replaces, tokens in self._complete:
            self._index.store.commit(document.id, document.revision, tokens)
            logger.debug("committed %s", document.source)
            self._report.replaced += replaces
            self._report.added += not replaces
        self._held, self._held_tokens, self._complete = [], 0, []
        self._unoptimized += len(flat)
        if self._unoptimized >= self._index.settings.ingest.optimize_chunks:
            # What was just written lies in memory until it is optimised.
            self._index.store.optimize()
            self._unoptimized = 0
