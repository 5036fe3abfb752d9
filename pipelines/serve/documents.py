"""`/v1/ingest`, `/v1/jobs` and `/v1/documents`: what the index holds."""

from __future__ import annotations

import asyncio
from itertools import chain
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi import Request as HttpRequest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.serve.brought import namespace_of
from pipelines.serve.callers import Admin, Ingester, Reader, state_of
from pipelines.serve.clerk import Clerk
from pipelines.serve.jobs import Brought, Job, Request
from pipelines.serve.keys import TENANT_FIELD, Access, Role
from pipelines.serve.problems import Problem
from pipelines.serve.schemas import Body
from pipelines.serve.state import ServerState
from rag.store import DocumentRecord, Store

__all__ = ["router"]

router = APIRouter(tags=["documents"])


class PostIngest(Body):
    """Documents, or places to read them from."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "documents": [
                        {
                            "id": "notes-2025-05",
                            "name": "notes/may.md",
                            "text": "# May\n\nThe harbour office recorded 412 arrivals.",
                            "meta": {"year": 2025},
                        }
                    ]
                }
            ]
        },
    )

    documents: list[Brought] = Field([], max_length=1_000, fail_fast=True)
    sources: list[Annotated[str, Field(min_length=1, max_length=2_000)]] = Field(
        [],
        max_length=20,
        fail_fast=True,
        description="As `rag ingest` takes them; those of `serve.sources` only.",
    )
    prune: bool = Field(False, description="Retire documents that are gone from their source.")
    route: str = Field(
        "", max_length=200, description="Whose index to write to, of a server with routes."
    )

    @model_validator(mode="after")
    def _something(self) -> PostIngest:
        if not self.documents and not self.sources:
            raise ValueError("neither documents nor sources are given")
        return self


class DocumentOut(BaseModel):
    """A document as it was parsed."""

    doc_id: str
    name: str
    source: str
    title: str
    revision: str
    text: str


Revision = Annotated[
    str, Query(max_length=200, description="That of a hit or citation, of a server with routes.")
]
Route = Annotated[
    str, Query(max_length=200, description="From whose index, where several routes hold it.")
]

_LISTED = 100
_OF_THE_INDEX = ("documents", "chunks", "tokens")
_NONE = Problem(404, "not_found", "there is no such document")


@router.post("/v1/ingest", status_code=202, response_model=Job)
async def ingest(
    body: PostIngest, request: HttpRequest, response: Response, caller: Ingester
) -> Job:
    """Take documents on; the answer is a job. Once it is given, no crash loses them."""
    state = state_of(request)
    if body.sources or body.prune:
        _require_allowed(body.sources, caller, state)
    clerk = _clerk_of(body.route, state)
    return await _submitted(
        clerk,
        Request(
            kind="ingest",
            documents=tuple(body.documents),
            sources=tuple(body.sources),
            prune=body.prune,
            tenant=caller.tenant,
        ),
        response,
    )


@router.get("/v1/jobs", response_model=list[Job])
async def jobs(request: HttpRequest, caller: Admin) -> list[Job]:
    """The newest hundred, the newest first."""
    _require_no_tenant(caller)
    clerks = state_of(request).clerks.values()
    found = [await asyncio.to_thread(each.jobs.latest, _LISTED) for each in clerks]
    return sorted(chain(*found), key=lambda job: job.id, reverse=True)[:_LISTED]


@router.get("/v1/jobs/{job_id}", response_model=Job)
async def job(job_id: str, request: HttpRequest, caller: Ingester) -> Job:
    """How far a job is, and in the end its report."""
    clerks = state_of(request).clerks.values()
    kept = [await asyncio.to_thread(each.jobs.find, job_id) for each in clerks]
    found = next(filter(None, kept), None)
    if found is None or (caller.tenant and caller.tenant != found[1]):
        raise Problem(404, "not_found", "there is no such job, or it was long ago")
    return _without_totals(found[0]) if caller.tenant else found[0]


@router.get("/v1/documents/{doc_id}", response_model=DocumentOut)
async def document(
    doc_id: str, request: HttpRequest, caller: Reader, revision: Revision = ""
) -> DocumentOut:
    """The text of a document: what the offsets of hits and citations are offsets of.

    Several routes may hold different revisions of it: with that of a hit or citation it is the one
    they are of, or the first where it is gone.
    """
    desk = state_of(request).desk

    def of_revision(store: Store) -> DocumentOut | None:
        found = _read(doc_id, caller, store)
        return found if found and revision in ("", found.revision) else None

    found = await asyncio.to_thread(desk.look, of_revision)
    if found is None and revision:
        found = await asyncio.to_thread(desk.look, lambda store: _read(doc_id, caller, store))
    if found is None:
        raise _NONE
    return found[1]


@router.delete("/v1/documents/{doc_id}", status_code=202, response_model=Job)
async def delete(
    doc_id: str, request: HttpRequest, response: Response, caller: Ingester, route: Route = ""
) -> Job:
    """Delete a document, by the `doc_id` of a hit or citation; the answer is a job."""
    state = state_of(request)
    routes = [_clerk_of(route, state).route] if route else list(state.clerks)
    owned = await asyncio.to_thread(
        state.desk.look_at, routes, lambda store: _owned(doc_id, caller, store)
    )
    having = [name for name, has in owned.items() if has]
    if not having:
        raise _NONE
    if len(having) > 1:
        names = ", ".join(having)
        raise Problem(400, "usage", f"several routes hold it; say `?route=`, one of: {names}")
    return await _submitted(
        state.clerks[having[0]],
        Request(kind="delete", doc_id=doc_id, tenant=caller.tenant),
        response,
    )


def _clerk_of(route: str, state: ServerState) -> Clerk:
    """Who writes to a route's index.

    Raises:
        Problem: there is no such route, or no route is named where there are several.
    """
    if route in state.clerks:
        return state.clerks[route]
    if "" in state.clerks:
        raise Problem(400, "usage", "this server has one index and no routes; leave `route` out")
    names = ", ".join(state.clerks)
    raise Problem(400, "usage", f"`route` has to name the index to write to, one of: {names}")


async def _submitted(clerk: Clerk, request: Request, response: Response) -> Job:
    taken = await asyncio.to_thread(clerk.jobs.submit, request)
    clerk.ring()
    response.headers["Location"] = f"/v1/jobs/{taken.id}"
    return taken


def _without_totals(job: Job) -> Job:
    """Without what a report says of the whole index, which is everybody's."""
    if job.report is None:
        return job
    own = {name: value for name, value in job.report.items() if name not in _OF_THE_INDEX}
    return job.model_copy(update={"report": own})


def _seen(doc_id: str, caller: Access, store: Store) -> DocumentRecord | None:
    """The document, if there is one that the caller is shown."""
    record = store.served(doc_id)
    if record is None or not caller.tenant:
        return record
    said = record.meta.get(TENANT_FIELD)
    return record if caller.tenant in (said if isinstance(said, list) else [said]) else None


def _owned(doc_id: str, caller: Access, store: Store) -> bool:
    """Whether there is such a document, and the caller may delete it: a tenant, what it brought."""
    record = store.served(doc_id)
    return record is not None and (
        not caller.tenant or record.namespace == namespace_of(caller.tenant)
    )


def _read(doc_id: str, caller: Access, store: Store) -> DocumentOut | None:
    record = _seen(doc_id, caller, store)
    if record is None:
        return None
    text = store.text(store.served(record.twin_of) or record if record.twin_of else record)
    if record.stands:  # a copy has no text of its own, and may say less than its original
        text = record.stands.text_in(text)
    return DocumentOut(
        doc_id=record.doc_id,
        name=record.name,
        source=record.source,
        title=record.title,
        revision=record.revision,
        text=text,
    )


def _require_no_tenant(caller: Access) -> None:
    if caller.tenant:
        raise Problem(403, "forbidden", "a tenant's key is for the tenant's documents")


def _require_allowed(sources: list[str], caller: Access, state: ServerState) -> None:
    """Refuse places that the settings do not name: the server would read them with its own rights.

    Raises:
        Problem: one is not named, or the caller is no admin, or a tenant.
    """
    _require_no_tenant(caller)
    if caller.role < Role.admin:
        raise Problem(403, "forbidden", "sources and prune are for keys whose role is admin")
    named = state.desk.index.settings.serve.sources
    for source in sources:
        if not any(_is_within(source, each) for each in named):
            raise Problem(
                403, "forbidden", f"{source} is not among what serve.sources lets requests name"
            )


def _is_within(source: str, named: str) -> bool:
    if source == named:
        return True
    folder = Path(named).resolve()
    return folder.is_dir() and Path(source).resolve().is_relative_to(folder)
