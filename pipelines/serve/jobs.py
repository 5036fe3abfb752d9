"""What is to be written to the index: kept on disk until it is, whatever happens to the server."""

from __future__ import annotations

import logging
import os
import re
import secrets
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Annotated, Any, Literal, NamedTuple

import portalocker
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from pipelines.serve.problems import Problem
from pipelines.serve.schemas import Body
from rag.errors import ConfigError
from rag.trace import carried

__all__ = ["REQUEST", "Brought", "Job", "Jobs", "Request", "read_request"]

_ID = re.compile(r"[0-9a-f]{14}-[0-9a-f]{8}")
_MOST_WAITING = 1_000
_MOST_OF_A_TENANT = 250  # of those: no tenant is to take all the room there is
_MOST_BYTES = 2 << 30  # on the disk, of all that waits
_MOST_KEPT = 1_000  # finished ones
_ROUND = 200  # jobs that are served together, at most
_ROUND_BYTES = 64 << 20  # that they brought, unless the first by itself brought more
_MOST_FACTS = 64  # of a document
_JOB, REQUEST = ".job", ".request"

Word = Annotated[str, StringConstraints(max_length=10_000)]
"""Constrained, or half a surrogate pair would pass: pydantic takes it for a `str` of a union."""
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63, strict=True)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Words = Annotated[list[Word], Field(max_length=1_000, fail_fast=True)]


def _few(given: Any) -> Any:
    """Refuse before each is looked at."""
    if isinstance(given, dict) and len(given) > _MOST_FACTS:
        raise ValueError(f"more than {_MOST_FACTS} facts")
    return given


Meta = Annotated[dict[Word, Word | bool | Whole | Real | Words], BeforeValidator(_few)]
State = Literal["queued", "running", "done", "failed"]


logger = logging.getLogger(__name__)


class Brought(Body):
    """A document that a request brings along."""

    id: str = Field(min_length=1, max_length=500, description="The same id again replaces it.")
    text: str = Field(min_length=1, description="Text, Markdown or HTML, by the name's suffix.")
    name: str = Field(
        "", max_length=500, description="What citations show, e.g. `notes/may.md`; default: the id."
    )
    title: str = Field("", max_length=1_000)
    meta: Meta = Field({}, max_length=_MOST_FACTS, description="Facts to filter by.")


class Request(BaseModel):
    """What a job is to do."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["ingest", "delete"]
    documents: tuple[Brought, ...] = ()
    sources: tuple[str, ...] = ()
    prune: bool = False
    doc_id: str = ""
    tenant: str = ""
    traceparent: str = Field("", description="The span of who submitted it.")


class Job(BaseModel):
    """A job, and how far it is: `done` of `total` documents. Its report is that of `rag ingest`.

    `route` is whose index it writes to, where there are several. `attempts` are those at which the
    process that writes, or the server, died.
    """

    id: str
    route: str = ""
    kind: Literal["ingest", "delete"]
    state: State = "queued"
    submitted: str
    finished: str | None = None
    total: int = 0
    done: float = 0
    attempts: int = 0
    report: dict[str, Any] | None = None
    error: dict[str, str] | None = None


class _Kept(BaseModel):
    """A job as its file holds it."""

    job: Job
    tenant: str = ""


class _Waiting(NamedTuple):
    tenant: str
    size: int
    written: bool = True  # not while it is taken on: it has its place, and no files yet


class Jobs:
    """Jobs in a folder; what is told is on the disk.

    Each has a small file that says how far it is (`.job`), and until it is done another with all
    that was brought (`.request`), which only the process that writes reads.

    Args:
        folder: made where it is not there, for its owner alone: it holds what was brought.
        route: whose index they write to, where there are several.

    Raises:
        ConfigError: another server has it, or it cannot be written to.
    """

    def __init__(self, folder: Path, route: str = "") -> None:
        self.folder = folder
        self._route = route
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(PermissionError):  # a volume may be somebody else's, and ours by group
                folder.chmod(0o700)
            self._lock = (folder / "lock").open("w")
        except OSError as error:
            raise ConfigError(
                f"cannot keep jobs in {folder}: {error.strerror}",
                hint="set serve.jobs to a folder that can be written to",
            ) from None
        try:
            portalocker.lock(self._lock, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.LockException:
            self._lock.close()
            raise ConfigError(
                f"another server has the jobs in {folder}", hint="set serve.jobs to another folder"
            ) from None
        self._counting = Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._take_over()

    def close(self) -> None:
        """Let another server have them."""
        self._lock.close()

    @property
    def waiting(self) -> int:
        """How many are not finished."""
        return len(self._waiting)

    def is_waiting(self, job_id: str) -> bool:
        """Whether it is not finished."""
        return job_id in self._waiting

    def submit(self, request: Request) -> Job:
        """Take a job on: once this returns, it will be done.

        Raises:
            Problem: too many wait, or the disk is full or the like; the job is not taken on.
        """
        job = Job(
            id=f"{time.time_ns() // 1_000:014x}-{secrets.token_hex(4)}",
            route=self._route,
            kind=request.kind,
            submitted=_now(),
        )
        request = request.model_copy(update={"traceparent": carried()})
        content = request.model_dump_json().encode()
        with self._counting:
            self._require_room(request.tenant, len(content))
            self._waiting[job.id] = _Waiting(request.tenant, len(content), written=False)
        try:
            self._write(f"{job.id}{REQUEST}", content)
            self._note(job, request.tenant)
            self._waiting[job.id] = _Waiting(request.tenant, len(content))
        except OSError as error:
            self._forget(job.id)
            (self.folder / f"{job.id}{REQUEST}").unlink(missing_ok=True)
            logger.error("a job could not be written down: %s", error)  # noqa: TRY400  no bug
            raise _full("jobs cannot be written down now; try again later") from None
        return job

    def find(self, job_id: str) -> tuple[Job, str] | None:
        """A job and whose it is, if there is one of this id."""
        kept = self._kept(job_id) if _ID.fullmatch(job_id) else None
        return (kept.job, kept.tenant) if kept else None

    def latest(self, most: int) -> list[Job]:
        """The newest jobs, the newest first."""
        names = sorted(self._names(_JOB), reverse=True)[:most]
        return [kept.job for name in names if (kept := self._kept(name))]

    def next_round(self) -> list[Job]:
        """The jobs to do next, the oldest first: no more than may wait for each other."""
        found: list[Job] = []
        size = 0
        with self._counting:
            waiting = sorted(self._waiting.items())
        for job_id, (_, each, written) in waiting:
            if not written:
                continue
            kept = self._kept(job_id)
            if kept is None:  # one damaged file must not keep the others from being done
                self._put_aside(job_id)
                continue
            size += each
            if found and (len(found) == _ROUND or size > _ROUND_BYTES):
                break
            found.append(kept.job)
        return found

    def update(self, job: Job) -> None:
        """Note how far a job is."""
        self._note(job, self._waiting[job.id].tenant)

    def finish(self, job: Job) -> None:
        """Note what became of a job; what it brought along is let go."""
        self.update(job.model_copy(update={"finished": _now()}))
        (self.folder / f"{job.id}{REQUEST}").unlink(missing_ok=True)
        self._forget(job.id)
        finished = sorted(set(self._names(_JOB)) - set(self._waiting))
        for old in finished[:-_MOST_KEPT]:
            (self.folder / f"{old}{_JOB}").unlink()

    def _take_over(self) -> None:
        """What another server has left: what was taken on waits, what was not taken on goes."""
        for part in self.folder.glob("*.part"):
            part.unlink()
        known = set(self._names(_JOB))
        for job_id in self._names(REQUEST):
            path = self.folder / f"{job_id}{REQUEST}"
            kept = self._kept(job_id)
            if job_id not in known or (kept and kept.job.finished):
                path.unlink()  # nobody was told of it yet; or it is done
            else:
                self._waiting[job_id] = _Waiting(kept.tenant if kept else "", path.stat().st_size)

    def _require_room(self, tenant: str, size: int) -> None:
        waiting = self._waiting.values()
        if len(waiting) >= _MOST_WAITING or size + sum(w.size for w in waiting) > _MOST_BYTES:
            raise _full("too many jobs wait; try again later")
        if tenant and sum(w.tenant == tenant for w in waiting) >= _MOST_OF_A_TENANT:
            raise _full("too many jobs of yours wait; try again later")

    def _kept(self, job_id: str) -> _Kept | None:
        path = self.folder / f"{job_id}{_JOB}"
        try:
            return _Kept.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            logger.exception("%s is no job", path)
            return None

    def _put_aside(self, job_id: str) -> None:
        for suffix in (_JOB, REQUEST):
            path = self.folder / f"{job_id}{suffix}"
            with suppress(FileNotFoundError):
                os.replace(path, path.with_name(f"{path.name}.bad"))
        self._forget(job_id)

    def _forget(self, job_id: str) -> None:
        with self._counting:
            del self._waiting[job_id]

    def _names(self, suffix: str) -> list[str]:
        return [
            entry.stem
            for entry in self.folder.iterdir()
            if entry.suffix == suffix and _ID.fullmatch(entry.stem)
        ]

    def _note(self, job: Job, tenant: str) -> None:
        self._write(f"{job.id}{_JOB}", _Kept(job=job, tenant=tenant).model_dump_json().encode())

    def _write(self, name: str, content: bytes) -> None:
        """Whole or not at all, for nobody else to read, and not lost to a power cut."""
        part = self.folder / f"{name}.part"
        try:
            with open(part, "wb", opener=_private) as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part, self.folder / name)
        except OSError:
            part.unlink(missing_ok=True)  # a full disk is not to be filled with these
            raise
        entry = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)


def read_request(folder: Path, job_id: str) -> Request:
    """What a job is to do.

    Raises:
        OSError, ValueError: it cannot be read any more.
    """
    return Request.model_validate_json((folder / f"{job_id}{REQUEST}").read_bytes())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _full(detail: str) -> Problem:
    return Problem(503, "busy", detail, {"Retry-After": "60"})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
