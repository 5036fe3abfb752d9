from __future__ import annotations

import asyncio

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pipelines.serve.traced import TRACE_HEADER, Traced
from rag.errors import ModelError
from rag.trace import current_ids

BAD = "00-not-a-trace-01"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the status that the path is, or fails."""
    request = Request(scope)
    if request.url.path == "/fails":
        raise ModelError("it quotes a document")
    ids = current_ids()
    assert ids is not None
    status = int(request.url.path.removeprefix("/"))
    await Response(ids[0], status_code=status)(scope, receive, send)


def get(path: str, **headers: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(Traced(app), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(asked())


def test_an_answer_names_the_trace_that_it_was_made_in(spans: InMemorySpanExporter) -> None:
    answer = get("/200", traceparent=BAD)
    (span,) = spans.get_finished_spans()
    assert span.context is not None
    assert answer.headers[TRACE_HEADER] == answer.text == f"{span.context.trace_id:032x}"
    assert span.parent is None
    assert span.name == "GET"  # a path is what was said, and this app has no routes


@pytest.mark.parametrize(
    ("path", "code", "kind"),
    [
        ("/200", StatusCode.UNSET, None),
        ("/499", StatusCode.UNSET, None),
        ("/503", StatusCode.ERROR, "503"),
        ("/fails", StatusCode.ERROR, "model"),
    ],
)
def test_what_fails_here_is_an_error_and_says_no_more_than_its_code(
    spans: InMemorySpanExporter, path: str, code: StatusCode, kind: str | None
) -> None:
    get(path)
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is code
    assert span.status.description is None
    assert dict(span.attributes or {}).get("error.type") == kind
    assert not span.events
