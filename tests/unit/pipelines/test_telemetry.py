from __future__ import annotations

import json
import logging
import sys
from datetime import datetime
from types import TracebackType

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import get_tracer_provider

from pipelines.telemetry import JsonLines, TextLines, exporting
from rag.errors import ExtraMissing
from rag.settings import TelemetrySettings
from rag.trace import current_ids, spanned

Caught = tuple[type[BaseException], BaseException, TracebackType | None]


def record(caught: Caught | None = None) -> logging.LogRecord:
    made = logging.LogRecord(
        "rag.engine", logging.WARNING, __file__, 1, "stage %s failed", ("prüne",), caught
    )
    made.documents = ["what a library may add"]
    return made


@pytest.fixture
def caught() -> Caught:
    try:
        int("first line\nand another")
    except ValueError as error:
        return type(error), error, error.__traceback__
    raise AssertionError("it is a number")


def test_a_record_is_one_line_of_json_with_its_own_fields_alone() -> None:
    line = JsonLines().format(record())
    told = json.loads(line)
    assert datetime.fromisoformat(told.pop("time")).utcoffset() is not None
    assert told == {"level": "WARNING", "logger": "rag.engine", "message": "stage prüne failed"}
    assert "prüne" in line


def test_an_exception_is_fields_of_the_same_line(caught: Caught) -> None:
    line = JsonLines().format(record(caught))
    assert "\n" not in line
    told = json.loads(line)["exception"]
    assert told["type"] == "ValueError"
    assert "first line" in told["message"]
    assert told["stack"].startswith("Traceback")
    assert told["stack"].endswith(told["message"])


def test_lines_name_the_span_they_were_written_in(
    spans: InMemorySpanExporter, caught: Caught
) -> None:
    plain = "WARNING rag.engine: stage prüne failed"
    assert TextLines().format(record()) == plain
    with spanned("rag.query"):
        ids = current_ids()
        assert ids is not None
        told = json.loads(JsonLines().format(record()))
        first = TextLines().format(record(caught)).splitlines()[0]
    assert (told["trace_id"], told["span_id"]) == ids
    assert first == f"{plain} trace_id={ids[0]}"


def test_without_the_setting_nothing_is_set_up() -> None:
    before = get_tracer_provider()
    with exporting(TelemetrySettings()):
        assert get_tracer_provider() is before


@pytest.mark.parametrize("traces", ["otlp", "console"])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, traces: str) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with (
        pytest.raises(ExtraMissing, match=r"pip install 'spanrag\[telemetry\]'"),
        exporting(TelemetrySettings(traces=traces)),
    ):
        pass
