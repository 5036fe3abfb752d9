"""`/healthz`, `/readyz` and `/metrics`: what those ask who keep the server running."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pipelines.serve.answers import Health
from pipelines.serve.callers import Observer, state_of
from pipelines.serve.problems import Problem

__all__ = ["router"]

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_model=Health)
async def healthz() -> Health:
    """The server lives."""
    return Health(status="ok")


@router.get("/readyz", response_model=Health)
async def readyz(request: Request) -> Health:
    """Models are loaded, and the index answers; of several, one."""
    await asyncio.to_thread(state_of(request).desk.look, lambda store: store.count())
    return Health(status="ok")


@router.get("/metrics", response_class=Response)
async def metrics(request: Request, caller: Observer) -> Response:
    """Counters, as Prometheus reads them; they are everybody's, so no tenant's key will do."""
    if caller.tenant:
        raise Problem(403, "forbidden", "a tenant's key is for the tenant's documents")
    told = generate_latest(state_of(request).metrics.registry)
    return Response(told, media_type=CONTENT_TYPE_LATEST)
