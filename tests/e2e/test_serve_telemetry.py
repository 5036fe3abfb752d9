"""`rag serve` and `rag query` against a real OTLP collector on loopback, and what they log."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from connectors.registry import open_source
from pipelines.ingest import ingest
from rag.generation import load_generator
from rag.index import open_index
from rag.settings import GenerationSettings, Settings
from rag.spans import Span as Stretch
from rag.spans import SpanSet
from rag.tokens import TokenCounter
from rag.types import Chunk, Context, Passage

RAG = Path(sys.executable).with_name("rag")
TEXT = "The harbour office of Varde recorded 412 arrivals in May."
ASKED = "How many arrivals did the harbour office of Varde record in May?"
NOWHERE = "a-document-that-is-nowhere"
DOCUMENT = {"id": "ribe-of-may", "text": "The harbour office of Ribe recorded 38 arrivals."}
SAID = (
    b"harbour",
    b"Varde",
    b"arrivals",
    b"Ribe",
    b"ribe-of-may",
    NOWHERE.encode(),
    b"the wrong key",
)
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FIGURES = ("tokens_in", "tokens_out", "llm_calls", "llm_tokens", "llm_cached", "overruled")


@dataclass
class Collector:
    """What came in: as it came, and the spans that it is."""

    bodies: list[bytes] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)
    resources: dict[str, str] = field(default_factory=dict)
    port: int = 0

    def spans(self) -> list[Span]:
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for each in resource.resource.attributes:
                    self.resources[each.key] = each.value.string_value
                for scope in resource.scope_spans:
                    found.extend(scope.spans)
        return found

    def trace(self, trace_id: str) -> dict[str, Span]:
        """Its spans, by name."""
        return {each.name: each for each in self.spans() if each.trace_id.hex() == trace_id}


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            collector.paths.add(self.path)
            collector.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        collector.port = int(serving.server_address[1])
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield collector
        serving.shutdown()


def environment(collector: Collector) -> dict[str, str]:
    return os.environ | {
        "RAG_TELEMETRY__TRACES": "otlp",
        "RAG_TELEMETRY__LOGS": "json",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
        "OTEL_BSP_SCHEDULE_DELAY": "600000",  # so that all that comes was flushed at the end
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
    }


@contextmanager
def served(where: Path, collector: Collector, lines: list[str]) -> Iterator[httpx.Client]:
    """A client of a real `rag serve`, which a signal ends; what it wrote is in `lines`."""
    process = subprocess.Popen(
        [RAG, "serve", "--port", "0", "--where", str(where)],
        stderr=subprocess.PIPE, text=True, cwd=where.parent, env=environment(collector),
    )  # fmt: skip
    assert process.stderr is not None
    told = process.stderr
    for line in told:
        lines.append(line)
        if match := re.search(r"listening at (\S+)", line):
            break
    else:
        pytest.fail("".join(lines))
    reading = threading.Thread(target=lambda: lines.extend(told))
    reading.start()
    with httpx.Client(base_url=match[1], timeout=60, trust_env=False) as client:
        yield client
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
    reading.join()
    told.close()


@dataclass
class Happened:
    """What was answered, what came to the collector, and what was logged."""

    collector: Collector
    answers: dict[str, httpx.Response]
    lines: list[str]

    def id_of(self, name: str) -> str:
        return str(self.answers[name].headers["x-trace-id"])

    def trace(self, name: str) -> dict[str, Span]:
        return self.collector.trace(self.id_of(name))


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("telemetry")
    (folder / "varde.txt").write_text(TEXT, encoding="utf-8")
    with open_index(Settings(store={"path": folder / "index"}), create=True) as index:
        ingest(index, [open_source(str(folder / "varde.txt"))])
    return folder / "index"


@pytest.fixture(scope="module")
def happened(where: Path) -> Iterator[Happened]:
    lines: list[str] = []
    with collecting() as collector:
        with served(where, collector, lines) as client:
            called = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
            body = {"question": ASKED}
            answers = {
                "health": client.get("/healthz"),
                "query": client.post("/v1/query", json=body, headers=called),
                "stream": client.post("/v1/query", json=body | {"stream": True}),
                "search": client.post("/v1/search", json=body),
                "missing": client.get(f"/v1/documents/{NOWHERE}?key=the+wrong+key"),
                "malformed": client.post("/v1/query", json=body | {"top_k": 0}),
                "no route": client.request("HARBOUR", f"/{NOWHERE}"),
                "job": client.post("/v1/ingest", json={"documents": [DOCUMENT]}),
            }
            job = answers["job"].json()
            while not job["finished"]:
                time.sleep(0.2)
                answers[f"poll {len(answers)}"] = client.get(f"/v1/jobs/{job['id']}")
                job = answers[f"poll {len(answers) - 1}"].json()
        yield Happened(collector, answers, lines)


def attributes(span: Span) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in span.attributes:
        kind = each.value.WhichOneof("value")
        assert kind is not None
        found[each.key] = getattr(each.value, kind)
    return found


def check_stages(ledger: Sequence[dict[str, Any]], trace: dict[str, Span], above: Span) -> None:
    """A span for each entry, under one that is its parent, with the ledger's figures."""
    under = {name: each for name, each in trace.items() if each.parent_span_id == above.span_id}
    assert set(under) == {f"rag.{entry['stage']}" for entry in ledger}
    for entry in ledger:
        span = under[f"rag.{entry['stage']}"]
        told = attributes(span)
        assert {name: told[f"spanrag.{name}"] for name in FIGURES} == {
            name: entry[name] for name in FIGURES
        }
        assert above.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= above.end_time_unix_nano


def test_a_request_goes_on_with_its_caller_s_trace_down_to_the_stages(happened: Happened) -> None:
    answer, trace = happened.answers["query"], happened.trace("query")
    assert answer.status_code == 200, answer.text
    assert happened.id_of("query") == TRACE
    request = trace["POST /v1/query"]
    assert request.parent_span_id.hex() == CALLER
    assert request.kind == Span.SPAN_KIND_SERVER
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/v1/query",
        "http.response.status_code": 200,
    }
    query = trace["rag.query"]
    assert query.parent_span_id == request.span_id
    assert attributes(query)["spanrag.citations"] == len(answer.json()["citations"]) == 1
    check_stages(answer.json()["ledger"], trace, query)


def test_the_span_of_a_stream_ends_with_the_stream(happened: Happened) -> None:
    answer, trace = happened.answers["stream"], happened.trace("stream")
    last = answer.text.split("event: answer\n")[1].splitlines()[0].removeprefix("data: ")
    request = trace["POST /v1/query"]
    assert not request.parent_span_id
    assert trace["rag.query"].end_time_unix_nano <= request.end_time_unix_nano
    check_stages(json.loads(last)["ledger"], trace, trace["rag.query"])


def test_a_search_and_the_refusals_are_traced_by_their_route(happened: Happened) -> None:
    assert set(happened.trace("search")) == {"POST /v1/search", "rag.search"}
    for name, status, route in (
        ("missing", 404, "GET /v1/documents/{doc_id}"),
        ("malformed", 422, "POST /v1/query"),
        ("no route", 404, "_OTHER"),
    ):
        assert happened.answers[name].status_code == status
        assert happened.answers[name].headers["content-type"] == "application/problem+json"
        (span,) = happened.trace(name).values()
        assert span.name == route
        assert attributes(span)["http.response.status_code"] == status
        assert span.status.code == Status.STATUS_CODE_UNSET  # the caller's fault, not the server's


def test_a_job_goes_on_with_the_trace_of_who_submitted_it(happened: Happened) -> None:
    trace = happened.trace("job")
    assert set(trace) == {"POST /v1/ingest", "rag.job", "rag.ingest"}
    request, job, ingest = (trace[name] for name in ("POST /v1/ingest", "rag.job", "rag.ingest"))
    assert (job.parent_span_id, ingest.parent_span_id) == (request.span_id, job.span_id)
    assert job.start_time_unix_nano >= request.start_time_unix_nano
    assert attributes(job) == {"spanrag.job.kind": "ingest"}
    told = attributes(ingest)
    assert (told["spanrag.added"], told["spanrag.failed"], told["spanrag.documents"]) == (1, 0, 2)
    assert told["spanrag.embedded_tokens"] > 0


def test_probes_are_not_traced(happened: Happened) -> None:
    assert happened.answers["health"].status_code == 200
    assert "x-trace-id" not in happened.answers["health"].headers
    assert {each.trace_id.hex() for each in happened.collector.spans()} == {
        answer.headers["x-trace-id"]
        for name, answer in happened.answers.items()
        if name != "health"
    }


def test_what_is_exported_holds_nothing_that_was_said(happened: Happened) -> None:
    spans = happened.collector.spans()
    assert len(spans) > 10
    assert happened.collector.paths == {"/v1/traces"}
    told = b"".join(happened.collector.bodies)
    assert [each for each in SAID if each in told] == []
    assert happened.collector.resources["service.name"] == "spanrag"
    assert happened.collector.resources["deployment.environment.name"] == "tests"


def test_every_line_of_the_log_is_json_and_names_its_trace(happened: Happened) -> None:
    said = [line for line in happened.lines if not line.startswith("listening at ")]
    records = [json.loads(line) for line in said]
    requests = [each for each in records if each["logger"] == "spanrag.access"]
    assert {each.get("trace_id") for each in requests} == {
        answer.headers["x-trace-id"]
        for name, answer in happened.answers.items()
        if name != "health"  # asked every few seconds: only its failures are logged
    }
    query = next(each for each in requests if each.get("trace_id") == TRACE)
    assert query["span_id"] == happened.trace("query")["POST /v1/query"].span_id.hex()
    assert query["level"] == "INFO"
    assert query["message"].startswith("POST /v1/query 200 ")
    assert [each for each in SAID if each in "".join(said).encode()] == []


def test_a_command_exports_to_the_last_span_before_it_ends(where: Path, happened: Happened) -> None:
    del happened  # its server owns the index until it has ended
    with collecting() as collector:
        ran = subprocess.run(
            [RAG, "query", ASKED, "--where", str(where), "--json"],
            capture_output=True, text=True, check=True, env=environment(collector),
        )  # fmt: skip
        spans = {each.name: each for each in collector.spans()}
    assert len({each.trace_id for each in spans.values()}) == 1
    assert not spans["rag.query"].parent_span_id
    under = {name: each for name, each in spans.items() if name != "rag.query"}
    check_stages(json.loads(ran.stdout)["ledger"], under, spans["rag.query"])
    assert [each for each in SAID if each in b"".join(collector.bodies)] == []


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_of_a_served_model_is_a_span_with_the_server_s_own_counts(
    chat_server: int, counter: TokenCounter, spans: InMemorySpanExporter, streamed: bool
) -> None:
    settings = GenerationSettings(
        kind="server", url=f"http://127.0.0.1:{chat_server}/v1", model="smollm2", max_tokens=24
    )
    chunk = Chunk("d", "r", 0, Stretch(0, len(TEXT)), TEXT)
    written = load_generator(settings, counter).generate(
        ASKED,
        Context((Passage(chunk, SpanSet([chunk.span])),)),
        watch=(lambda text: None) if streamed else None,
    )
    (call,) = spans.get_finished_spans()
    assert call.name == "chat smollm2"
    told = dict(call.attributes or {})
    read, wrote = told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]
    assert isinstance(read, int)
    assert isinstance(wrote, int)
    assert read > wrote > 0
    assert read + wrote == written.llm_tokens
    assert told["gen_ai.usage.cache_read.input_tokens"] == written.cached_tokens
    assert [each for each in SAID if each in call.to_json().encode()] == []
