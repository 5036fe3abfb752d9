"""The application: routes, what they share, and what every answer has."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Set
from contextlib import ExitStack, asynccontextmanager
from http import HTTPMethod
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.serve import chat, documents, health, page, questions
from pipelines.serve.answers import ProblemDetails
from pipelines.serve.asking import Desk
from pipelines.serve.bodies import BoundedBodies
from pipelines.serve.callers import Admission, is_loopback
from pipelines.serve.clerk import Clerk
from pipelines.serve.jobs import REQUEST, Jobs
from pipelines.serve.keeping import keep_up
from pipelines.serve.keys import Keys
from pipelines.serve.limits import RateLimit
from pipelines.serve.metrics import Metrics
from pipelines.serve.problems import Problem, add_handlers, response
from pipelines.serve.state import ServerState
from pipelines.serve.traced import PROBES, Traced
from rag.engine import Searched
from rag.errors import ConfigError
from rag.generation.base import Generator
from rag.settings import ServeSettings, Settings

__all__ = ["create_app", "require_safe"]

_PROBLEM: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem.",
        "content": {"application/problem+json": {}},
        "model": ProblemDetails,
    }
}
_METHODS = frozenset(HTTPMethod)
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}

logger = logging.getLogger("spanrag.access")


def require_safe(settings: ServeSettings) -> Keys:
    """The keys; there have to be some where others than this machine can ask.

    Raises:
        ConfigError: there are none, or they cannot be read.
    """
    keys = Keys.read(settings.api_keys.get_secret_value())
    if not keys and not is_loopback(settings.host):
        raise ConfigError(
            f"serve.host is {settings.host}, and serve.api_keys is not set",
            hint="set keys, or listen at 127.0.0.1: without keys anybody may do anything",
        )
    return keys


def create_app(index: Searched, generator: Generator) -> FastAPI:
    """The server's application over an open index.

    Args:
        index: open, or several behind a router, with the settings to serve by; closed when the
            server ends.
        generator: who writes answers.

    Raises:
        ConfigError: as `require_safe`; or another server has the jobs.
    """
    settings = index.settings.serve
    keys = require_safe(settings)
    desk = Desk(index, generator)
    jobs = _jobs(desk)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        metrics = Metrics(desk.slots, lambda: sum(each.waiting for each in jobs.values()))
        clerks = {route: Clerk(own, desk, metrics.count_job, route) for route, own in jobs.items()}
        rate = RateLimit(settings.requests_per_minute)
        app.state.server = ServerState(keys, rate, desk, clerks, metrics)
        running = [asyncio.create_task(clerk.run()) for clerk in clerks.values()]
        if index.settings.store.kind == "server":
            running.append(asyncio.create_task(keep_up(desk)))
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for own in jobs.values():
                own.close()
            desk.close()

    app = FastAPI(
        title="spanrag",
        version=version("spanrag"),
        description="Answers from private documents, with exact citations.",
        lifespan=lifespan,
        docs_url=None,  # their pages ask other servers for scripts
        redoc_url=None,
        redirect_slashes=False,
        responses=_PROBLEM,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # `Traced` tells less
    )
    for router in (questions.router, documents.router, chat.router, health.router, page.router):
        app.include_router(router)
    add_handlers(app)
    most = {"/v1/ingest": settings.most_upload_bytes}
    app.add_middleware(Admission, questions=questions.PATHS | chat.PATHS)
    app.add_middleware(BoundedBodies, most=settings.most_bytes, of_paths=most)
    app.add_middleware(_Watched)
    app.add_middleware(Traced)
    return app


def _jobs(desk: Desk) -> dict[str, Jobs]:
    """Those of each route."""
    with ExitStack() as stack:
        found: dict[str, Jobs] = {}
        near: set[Path] = set()
        for route, index in desk.indexes.items():
            base = _jobs_folder(index.settings)
            own = base / quote(route, safe="").replace(".", "%2E")
            if index.settings.serve.jobs is None and index.settings.store.kind == "edge":
                own = base  # beside the index, whoever serves it
            found[route] = Jobs(own, route)
            stack.callback(found[route].close)
            near |= {base, *base.glob("*/")}
        _tell_of_strangers(near - {own.folder for own in found.values()})
        stack.pop_all()
    return found


def _jobs_folder(settings: Settings) -> Path:
    index = settings.store.path.resolve()
    return settings.serve.jobs or index.with_name(f"{index.name}-jobs")


def _tell_of_strangers(folders: Set[Path]) -> None:
    """Log where jobs wait that this server does not do."""
    for each in sorted(folders):
        if any(each.glob(f"*{REQUEST}")):
            logging.getLogger(__name__).warning(
                "jobs wait in %s, which are those of a server with other routes, or none", each
            )


class _Watched:
    """Counts and logs every request, when its answer is at its end; never what it said."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, begun = 500, False
        began = time.monotonic()

        async def sent(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as error:
            problem = response(Problem.of(error))
            if begun:  # it cannot be told any more: the connection is to break off
                raise
            await problem(scope, receive, sent)
        finally:
            seconds = time.monotonic() - began
            route = getattr(scope.get("route"), "path", "other")
            metrics = scope["app"].state.server.metrics
            metrics.requests.labels(route, str(status)).inc()
            metrics.seconds.labels(route).observe(seconds)
            # Never as it was sent: anybody may write anything there.
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            level = logging.DEBUG if route in PROBES and status < 400 else logging.INFO
            logger.log(level, "%s %s %d %.3f s", method, route, status, seconds)
