"""The process that writes: it reads, cuts and embeds, so that the one that answers need not."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from connectors.base import Connector
from pipelines.ingest import ingest
from pipelines.serve.brought import BroughtDocuments
from pipelines.serve.jobs import Job, Request
from pipelines.sources import connect
from pipelines.twins import Twins
from rag.errors import RagError, first_line
from rag.index import Index, open_index
from rag.settings import Settings

__all__ = ["work"]

_PATIENCE = 0.5  # seconds between two messages of progress, and two looks at the parent


def work(settings: Settings, todo: list[tuple[Job, Request]], told: Connection) -> None:
    """Do these jobs, one after the other, and tell of each how far it is, and what became of it.

    One that fails does not keep the others from being done.

    Args:
        settings: which index to write to.
        todo: the jobs.
        told: is sent `(job id, field, value)` of what becomes of a job, as it comes.

    Raises:
        RagError: the index cannot be opened; nothing was done.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server decides when it is enough
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with open_index(settings, create=True) as index:
        for job, request in todo:
            told.send((job.id, "state", "running"))
            try:
                told.send((job.id, "report", _done(index, request, _Told(job.id, told))))
            except RagError as error:
                what = {"code": error.code, "message": error.message, "hint": error.hint}
                told.send((job.id, "error", what))
            except Exception as error:  # noqa: BLE001  one job's fault is not the others'
                said = f"{type(error).__name__}: {first_line(error)}"
                told.send((job.id, "error", {"code": "unexpected", "message": said, "hint": ""}))


class _Told:
    """Progress that is sent on, not more than twice a second."""

    def __init__(self, job_id: str, told: Connection) -> None:
        self._job_id = job_id
        self._told = told
        self._done = 0.0
        self._last = 0.0

    def start(self, total: int) -> None:
        self._told.send((self._job_id, "total", total))

    def advance(self, count: float, tokens: int = 0) -> None:
        del tokens
        self._done += count
        if (now := time.monotonic()) - self._last > _PATIENCE:
            self._last = now
            self._told.send((self._job_id, "done", self._done))


def _done(index: Index, request: Request, progress: _Told) -> dict[str, Any]:
    if request.kind == "delete":
        return {"retired": int(_deleted(index, request.doc_id))}
    sources: list[Connector] = [connect(source, index.settings) for source in request.sources]
    if request.documents:
        sources.append(BroughtDocuments(request.documents, request.tenant))
    return asdict(ingest(index, sources, prune=request.prune, progress=progress))


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
