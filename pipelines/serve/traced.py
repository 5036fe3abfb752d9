"""A span for every request: it goes on with its caller's trace, and its answer names it."""

from __future__ import annotations

import asyncio
from typing import Any

from opentelemetry import propagate, trace
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.trace import code_of

__all__ = ["PROBES", "TRACE_HEADER", "Traced"]

TRACE_HEADER = "X-Trace-Id"
PROBES = frozenset(("/healthz", "/readyz", "/metrics"))
"""Asked every few seconds: not traced, and logged where they fail."""

_METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS".split())


class Traced:
    """Opens a span before an app, and ends it with the answer.

    It holds the method, the route's template and the status: no path, no address, no body.
    FastAPI's own telemetry would tell paths, queries and the text of exceptions.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, _after_flushing(send))
        elif scope["type"] == "http" and scope["path"] not in PROBES:
            await self._traced(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _traced(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        figures: dict[str, Any] = {"http.request.method": method}

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                figures["http.response.status_code"] = message["status"]
                here = span.get_span_context()
                if here.is_valid:
                    named = trace.format_trace_id(here.trace_id)
                    MutableHeaders(scope=message)[TRACE_HEADER] = named
            await send(message)

        with trace.get_tracer("spanrag").start_as_current_span(
            method,
            context=propagate.extract(Headers(scope=scope)),
            kind=trace.SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                await self._app(scope, receive, sent)
            except Exception as error:  # of which the framework makes an answer, or breaks one off
                figures["error.type"] = code_of(error)
                span.set_status(trace.StatusCode.ERROR)
                raise
            finally:
                if route := getattr(scope.get("route"), "path", ""):
                    figures["http.route"] = route
                    span.update_name(f"{method} {route}")
                status = figures.get("http.response.status_code", 0)
                if status >= 500:
                    figures["error.type"] = str(status)
                    span.set_status(trace.StatusCode.ERROR)
                span.set_attributes(figures)


def _after_flushing(send: Send) -> Send:
    """Sends on; that the app is closed, once its spans are exported: a signal may end it then."""

    async def sent(message: Message) -> None:
        if message["type"] == "lifespan.shutdown.complete":
            flush = getattr(trace.get_tracer_provider(), "force_flush", None)
            if flush:
                await asyncio.to_thread(flush)
        await send(message)

    return sent
