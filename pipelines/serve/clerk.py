"""Who has jobs done: one process at a time that writes, beside the one that answers.

Of several indexes each has a clerk, and a process that writes; the clerks take turns.

An embedded index has one owner, which answers questions; so the writer works on a copy of it, and
the copy takes its place when a round of jobs is done. On a server both work on the same
collection. Either way what a killed process leaves behind is done again: ingest converges.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from pipelines.serve.asking import Desk
from pipelines.serve.jobs import Job, Jobs
from pipelines.serve.work import Message, Order
from pipelines.serve.writer import WriterDied, WriterProcess
from rag.errors import RagError
from rag.settings import Settings
from rag.store.edge import EdgeStore

__all__ = ["Clerk"]

_LOOK = 5.0  # seconds between two looks at what waits, where nobody rings
_LONGEST = 60.0  # between two tries, where they fail
_MOST_ATTEMPTS = 5  # at a job at which the process or the server dies

logger = logging.getLogger(__name__)


class Clerk:
    """Takes jobs out of their folder and has them done.

    Args:
        jobs: what waits.
        desk: answers from the index, and is handed the new one.
        count: is told the state of every job that is finished.
        route: whose index it is, where there are several.
    """

    def __init__(
        self, jobs: Jobs, desk: Desk, count: Callable[[str], None], route: str = ""
    ) -> None:
        self.jobs = jobs
        self._desk = desk
        self.route = route
        self._count = count
        self._bell = asyncio.Event()
        self._writer = WriterProcess(desk.index.settings.telemetry)
        # A round may take hours: the threads that all others share are not for that.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"clerk-{route}")

    def ring(self) -> None:
        """There is something to do."""
        self._bell.set()

    async def run(self) -> None:
        """Do what there is to do, until cancelled; what is under way then is done another time."""
        pause = _LOOK
        round_: asyncio.Future[bool] | None = None
        try:
            while True:
                round_ = asyncio.get_running_loop().run_in_executor(self._thread, self._round)
                try:
                    found = await asyncio.shield(round_)
                    pause = _LOOK
                    if found:
                        continue
                except Exception as error:  # noqa: BLE001  whatever it is, they wait on
                    self._tell(error)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST)
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._bell.wait(), _LOOK)
                self._bell.clear()
        finally:
            self._writer.stop()
            if round_ is not None:  # its thread does not end with its task
                await asyncio.gather(round_, return_exceptions=True)
            await asyncio.to_thread(self._writer.close)
            self._thread.shutdown()

    def _round(self) -> bool:
        """Do what waits, or a part of it; whether there was anything.

        Raises:
            Exception: it cannot be done now.
        """
        todo = self.jobs.next_round()
        if hopeful := [job for job in todo if not self._is_hopeless(job)]:
            with self._desk.writing:
                if not self._writer.stopped:  # it may have been while another was at it
                    self._do(hopeful)
        elif not todo:
            self._writer.rest()
        return bool(todo)

    def _is_hopeless(self, job: Job) -> bool:
        if job.attempts >= _MOST_ATTEMPTS:
            self._finish(job.model_copy(update={"error": _HOPELESS}))
        return job.attempts >= _MOST_ATTEMPTS

    def _do(self, todo: Sequence[Job]) -> None:
        """Have them done, and serve the outcome.

        Raises:
            WriterDied, RagError: what is not done waits on.
        """
        index = self._desk.indexes[self.route]
        store, settings = index.store, index.given
        if not isinstance(store, EdgeStore):
            done = _Round(self.jobs, todo)
            self._finish_all(done, self._write(settings, done))
            return
        copy = store.copied()
        there = settings.store.model_copy(update={"path": settings.store.path / copy})
        done = _Round(self.jobs, todo)
        failure = self._write(settings.model_copy(update={"store": there}), done)
        if self._writer.stopped:
            done.put_back(died=False)
            return
        if any(job.report for job in done.now.values()):
            store = store.moved(copy)
            self._desk.move(index.over(store), self.route)
        store.tidy()  # what was deleted is not to lie about in the old one
        self._finish_all(done, failure)

    def _write(self, settings: Settings, done: _Round) -> WriterDied | RagError | None:
        as_built = self._desk.indexes[self.route].as_built
        order = Order(settings, self.jobs.folder, list(done.now), as_built)
        return self._writer.do(order, done.hear)

    def _finish_all(self, done: _Round, failure: WriterDied | RagError | None) -> None:
        """Put away what is finished; the rest is done another time."""
        for job in done.now.values():
            if job.report is not None or job.error is not None:
                self._finish(job)
        if failure is not None:
            no_room = isinstance(failure, WriterDied) and failure.no_room
            done.put_back(died=not (self._writer.stopped or no_room))
            if not self._writer.stopped:
                raise failure

    def _tell(self, error: Exception) -> None:
        """To the log; where it is foreseen, in a line."""
        whose = f"jobs of {self.route}" if self.route else "jobs"
        foreseen = isinstance(error, RagError)
        logger.error("%s wait: %s", whose, error, exc_info=None if foreseen else error)

    def _finish(self, job: Job) -> None:
        state = "failed" if job.error else "done"
        self.jobs.finish(job.model_copy(update={"state": state}))
        self._count(state)


class _Round:
    """What is known of some jobs that are being done.

    Args:
        jobs: where it is noted, as it comes; but for reports and errors: those are true once the
            outcome is served.
        todo: the jobs.
    """

    def __init__(self, jobs: Jobs, todo: Sequence[Job]) -> None:
        fresh = {"report": None, "error": None, "done": 0, "total": 0}
        self._jobs = jobs
        self._before = {job.id: job for job in todo}
        self.now = {job.id: job.model_copy(update=fresh) for job in todo}

    def hear(self, message: Message) -> None:
        """Note it. Whoever dies at a job has it counted on the disk, whether or not we live on."""
        job = self.now[message.job_id].model_copy(update={message.field: message.value})
        outcome = message.field in ("report", "error")
        if outcome or message.field == "state":
            before = self._before[job.id].attempts
            job = job.model_copy(update={"attempts": before if outcome else before + 1})
        self.now[job.id] = job
        self._jobs.update(job.model_copy(update={"report": None, "error": None}))

    def put_back(self, *, died: bool) -> None:
        """Have those that are not finished wait again: as if nobody had tried, unless it `died`."""
        for job in self._before.values():
            if self._jobs.is_waiting(job.id):
                attempts = self.now[job.id].attempts if died else job.attempts
                self._jobs.update(job.model_copy(update={"state": "queued", "attempts": attempts}))


_HOPELESS = {
    "code": "unexpected",
    "message": f"the process that writes, or a server, died {_MOST_ATTEMPTS} times at this job",
    "hint": "see the server's log; bring fewer documents at once",
}
