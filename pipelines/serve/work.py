"""The process that writes: it reads, cuts and embeds, so that the one that answers need not."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from connectors.base import Connector
from pipelines.ingest import ingest
from pipelines.serve.brought import BroughtDocuments
from pipelines.serve.jobs import Request, read_request
from pipelines.serve.problems import told_outside
from pipelines.sources import connect
from pipelines.telemetry import exporting, set_up_logs
from pipelines.twins import Twins
from rag.embedding.base import Embedder
from rag.errors import RagError, StoreAway
from rag.index import Index, open_again, open_index
from rag.settings import Settings, TelemetrySettings
from rag.trace import continued, spanned

__all__ = ["Message", "Order", "work"]

_PATIENCE = 0.5  # seconds between two messages of progress, and two looks at the parent


class Order(NamedTuple):
    """Which index to write to, and which jobs of which folder to do, one after the other.

    `as_built` is that of `rag.index.open_index`.
    """

    settings: Settings
    folder: Path
    job_ids: list[str]
    as_built: bool = False


class Message(NamedTuple):
    """What became of a field of a job (`rag serve` shows it), as it comes."""

    job_id: str
    field: str
    value: Any


def work(line: Connection, telemetry: TelemetrySettings) -> None:
    """Do what is ordered, until nobody orders any more.

    Args:
        line: an `Order` comes in, messages go out, and at the end of all it ordered None, or what
            of the index kept it from coming to its end.
        telemetry: where spans and logs go.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server decides when it is enough
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with suppress(OSError):  # where memory runs out, Linux is to end this one, and not the server
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
    set_up_logs(telemetry, logging.WARNING)
    embedder: Embedder | None = None
    with exporting(telemetry), suppress(EOFError):
        while True:
            order: Order = line.recv()
            try:
                with _opened(order, embedder) as index:
                    embedder = index.embedder
                    for job_id in order.job_ids:
                        _do(index, order.folder, job_id, line)
            except RagError as error:
                line.send(error)
            else:
                line.send(None)


def _opened(order: Order, embedder: Embedder | None) -> Index:
    # What is opened as it was built cannot be built anew: nobody would know how.
    create, as_built = not order.as_built, order.as_built
    if embedder is None:
        return open_index(order.settings, create=create, as_built=as_built)
    return open_again(order.settings, embedder, create=create, as_built=as_built)


def _do(index: Index, folder: Path, job_id: str, line: Connection) -> None:
    """Do a job. One that fails does not keep the others from being done.

    Raises:
        StoreAway: it, and all others, can be done another time.
    """
    line.send(Message(job_id, "state", "running"))
    try:
        request = read_request(folder, job_id)
        with continued(request.traceparent), spanned("rag.job") as figures:
            figures["spanrag.job.kind"] = request.kind
            report = _done(index, request, _Told(job_id, line))
    except StoreAway:
        raise
    except Exception as error:  # noqa: BLE001  one job's fault is not the others'
        line.send(Message(job_id, "error", told_outside(error)))
    else:
        line.send(Message(job_id, "report", report))


class _Told:
    """Progress that is sent on, not more than twice a second."""

    def __init__(self, job_id: str, line: Connection) -> None:
        self._job_id = job_id
        self._line = line
        self._done = 0.0
        self._last = 0.0

    def start(self, total: int) -> None:
        self._line.send(Message(self._job_id, "total", total))

    def advance(self, count: float, tokens: int = 0) -> None:
        del tokens
        self._done += count
        if (now := time.monotonic()) - self._last > _PATIENCE:
            self._last = now
            self._line.send(Message(self._job_id, "done", self._done))


def _done(index: Index, request: Request, progress: _Told) -> dict[str, Any]:
    if request.kind == "delete":
        report = {"retired": int(_deleted(index, request.doc_id))}
    else:
        sources: list[Connector] = [connect(source, index.settings) for source in request.sources]
        if request.documents:
            sources.append(BroughtDocuments(request.documents, request.tenant))
        report = asdict(ingest(index, sources, prune=request.prune, progress=progress))
    if not index.store.is_served():
        raise StoreAway("another index is served since the job began", hint="it is done again")
    return report


def _deleted(index: Index, doc_id: str) -> bool:
    """Retire a document; its copies, if it has any, stay."""
    record = index.store.served(doc_id)
    if record is None:
        return False
    Twins(index.store, index.settings.ingest, frozenset({doc_id})).leave(record)
    index.store.retire(doc_id)
    return True


def _end_with(parent: int) -> None:
    """End when the server has: nobody would hear what became of the jobs, and it starts anew."""
    while os.getppid() == parent:
        time.sleep(_PATIENCE)
    os._exit(1)
