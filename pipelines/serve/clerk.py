"""Who has jobs done: one process at a time that writes, beside the one that answers.

An embedded index has one owner, which answers questions; so the writer works on a copy of it, and
the copy takes its place when all that waited is done. On a server both work on the same
collection. Either way what a killed process leaves behind is done again: ingest converges.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from pipelines.serve.asking import Desk
from pipelines.serve.jobs import Job, Jobs, Request
from pipelines.serve.work import work
from rag.settings import Settings
from rag.store.edge import EdgeStore

__all__ = ["Clerk"]

_LOOK = 5.0  # seconds between two looks at what waits, where nobody rings
_MOST_ATTEMPTS = 3  # at a job at which the process dies

logger = logging.getLogger(__name__)

Todo = Sequence[tuple[Job, Request]]


class Clerk:
    """Takes jobs out of their folder and has them done.

    Args:
        jobs: what waits.
        desk: answers from the index, and is handed the new one.
    """

    def __init__(self, jobs: Jobs, desk: Desk) -> None:
        self.jobs = jobs
        self._desk = desk
        self._bell = asyncio.Event()
        self._process: BaseProcess | None = None
        self._closing = False

    def ring(self) -> None:
        """There is something to do."""
        self._bell.set()

    async def run(self) -> None:
        """Do what there is to do, until cancelled; what is under way then is done another time."""
        try:
            while True:
                if not await asyncio.to_thread(self._round):
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._bell.wait(), _LOOK)
                    self._bell.clear()
        finally:
            self._closing = True
            if self._process is not None:
                self._process.kill()

    def _round(self) -> bool:
        """Do all that waits; whether there was anything, and it went well."""
        try:
            todo = self.jobs.waiting()
            if todo:
                self._do(todo)
        except Exception:
            logger.exception("jobs wait, and cannot be done now")
            return False
        return bool(todo)

    def _do(self, todo: Todo) -> None:
        """Have them done, and serve the outcome."""
        store, settings = self._desk.index.store, self._desk.index.settings
        if not isinstance(store, EdgeStore):
            self._finish(self._done(settings, todo), todo)
            return
        copy = store.copied()
        there = settings.store.model_copy(update={"path": settings.store.path / copy})
        now = self._done(settings.model_copy(update={"store": there}), todo)
        if self._closing:
            return
        if any(job.report for job in now.values()):
            self._desk.move(store.moved(copy))
        self._finish(now, todo)

    def _done(self, settings: Settings, todo: Todo) -> dict[str, Job]:
        """What became of the jobs, as far as the process that writes came."""
        fresh = {"report": None, "error": None, "done": 0, "total": 0}
        now = {job.id: job.model_copy(update=fresh) for job, _ in todo}
        requests = {job.id: request for job, request in todo}
        context = multiprocessing.get_context("spawn")
        hears, tells = context.Pipe(duplex=False)
        self._process = context.Process(target=work, args=(settings, todo, tells), daemon=True)
        self._process.start()
        tells.close()
        for job_id, what, value in _messages(hears):
            now[job_id] = now[job_id].model_copy(update={what: value})
            if what not in ("report", "error"):  # those are true once the outcome is served
                self.jobs.update(now[job_id], requests[job_id])
        self._process.join()
        self._process = None
        return now

    def _finish(self, now: dict[str, Job], todo: Todo) -> None:
        """Put away what is finished. What the process died at is tried again, but not for ever.

        Raises:
            RuntimeError: it died.
        """
        died_at: Job | None = None
        for before, request in todo:
            job = now[before.id]
            if job.report is not None or job.error is not None:
                state = "failed" if job.error else "done"
                self.jobs.finish(job.model_copy(update={"state": state}), request)
            elif died_at is None and not self._closing:
                died_at = job = job.model_copy(
                    update={"state": "queued", "attempts": job.attempts + 1}
                )
                if job.attempts < _MOST_ATTEMPTS:
                    self.jobs.update(job, request)
                else:
                    self.jobs.finish(
                        job.model_copy(update={"state": "failed", "error": _HOPELESS}), request
                    )
        if died_at:
            raise RuntimeError(f"the process that writes died at job {died_at.id}")


_HOPELESS = {
    "code": "unexpected",
    "message": f"the process that writes died {_MOST_ATTEMPTS} times at this job",
    "hint": "see the server's log; bring fewer documents at once",
}


def _messages(hears: Connection) -> Iterator[tuple[str, str, Any]]:
    """What is told, until the teller ends."""
    with hears, suppress(EOFError):
        while True:
            yield hears.recv()
