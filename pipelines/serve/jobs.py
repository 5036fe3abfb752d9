"""What is to be written to the index: kept on disk until it is, whatever happens to the server."""

from __future__ import annotations

import logging
import os
import re
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import portalocker
from pydantic import BaseModel, ConfigDict, Field

from pipelines.serve.problems import Problem
from rag.errors import ConfigError

__all__ = ["Brought", "Job", "Jobs", "Request"]

_ID = re.compile(r"[0-9a-f]{14}-[0-9a-f]{8}")
_MOST_WAITING = 1_000
_MOST_KEPT = 1_000  # finished ones

Whole = Annotated[int, Field(ge=-(2**63), lt=2**63, strict=True)]
Real = Annotated[float, Field(allow_inf_nan=False)]
State = Literal["queued", "running", "done", "failed"]


logger = logging.getLogger(__name__)


class Brought(BaseModel):
    """A document that a request brings along."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=500, description="The same id again replaces it.")
    text: str = Field(min_length=1, description="Text, Markdown or HTML, by the name's suffix.")
    name: str = Field(
        "", max_length=500, description="What citations show, e.g. `notes/may.md`; default: the id."
    )
    title: str = Field("", max_length=1_000)
    meta: dict[str, str | bool | Whole | Real | list[str]] = Field(
        {}, max_length=64, description="Facts to filter by."
    )


class Request(BaseModel):
    """What a job is to do."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["ingest", "delete"]
    documents: tuple[Brought, ...] = ()
    sources: tuple[str, ...] = ()
    prune: bool = False
    doc_id: str = ""
    tenant: str = ""


class Job(BaseModel):
    """A job, and how far it is: `done` of `total` documents. Its report is that of `rag ingest`."""

    id: str
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
    request: Request
    tenant: str = ""


class Jobs:
    """Jobs in a folder, a file each; what is told is on the disk.

    Args:
        folder: made where it is not there, for its owner alone: it holds what was brought.

    Raises:
        ConfigError: another server has it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            portalocker.lock(self._lock, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.LockException:
            self._lock.close()
            raise ConfigError(
                f"another server has the jobs in {folder}", hint="set serve.jobs to another folder"
            ) from None

    def close(self) -> None:
        """Let another server have them."""
        self._lock.close()

    def submit(self, request: Request) -> Job:
        """Take a job on: once this returns, it will be done.

        Raises:
            Problem: too many wait.
            OSError: the disk is full, or the like; the job is not taken on.
        """
        if sum(1 for _ in self._names(".todo")) >= _MOST_WAITING:
            raise Problem(503, "busy", "too many jobs wait; try again later", {"Retry-After": "60"})
        job = Job(
            id=f"{time.time_ns() // 1_000:014x}-{secrets.token_hex(4)}",
            kind=request.kind,
            submitted=_now(),
        )
        self._write(f"{job.id}.todo", _Kept(job=job, request=request, tenant=request.tenant))
        return job

    def find(self, job_id: str) -> tuple[Job, str] | None:
        """A job and whose it is, if there is one of this id."""
        if not _ID.fullmatch(job_id):
            return None
        for suffix in (".todo", ".done", ".todo"):  # it may be renamed while we look
            if (path := self._folder / f"{job_id}{suffix}").is_file():
                try:
                    kept = _Kept.model_validate_json(path.read_text(encoding="utf-8"))
                except FileNotFoundError:
                    continue
                return kept.job, kept.tenant
        return None

    def waiting(self) -> list[tuple[Job, Request]]:
        """All that is not finished, the oldest first; after a crash also what was begun."""
        found = []
        for name in sorted(self._names(".todo")):
            path = self._folder / name
            try:
                kept = _Kept.model_validate_json(path.read_text(encoding="utf-8"))
            except ValueError:  # one damaged file must not keep the others from being done
                logger.exception("%s is no job, and is put aside", path)
                os.replace(path, path.with_suffix(".bad"))
                continue
            found.append((kept.job, kept.request))
        return found

    def update(self, job: Job, request: Request) -> None:
        """Note how far a job is."""
        self._write(f"{job.id}.todo", _Kept(job=job, request=request, tenant=request.tenant))

    def finish(self, job: Job, request: Request) -> None:
        """Note what became of a job; what it brought along is let go."""
        done = job.model_copy(update={"finished": _now()})
        bare = request.model_copy(update={"documents": ()})
        self._write(f"{job.id}.done", _Kept(job=done, request=bare, tenant=request.tenant))
        (self._folder / f"{job.id}.todo").unlink()
        for old in sorted(self._names(".done"))[:-_MOST_KEPT]:
            (self._folder / old).unlink()

    def _names(self, suffix: str) -> list[str]:
        return [
            entry.name
            for entry in self._folder.iterdir()
            if entry.suffix == suffix and _ID.fullmatch(entry.stem)
        ]

    def _write(self, name: str, kept: _Kept) -> None:
        """Whole or not at all, and not lost to a power cut."""
        part = self._folder / f"{name}.part"
        with part.open("w", encoding="utf-8") as stream:
            stream.write(kept.model_dump_json())
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, self._folder / name)
        entry = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
