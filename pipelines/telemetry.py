"""What a process says of its work: spans to a collector, and lines to a log."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from rag.errors import ExtraMissing
from rag.trace import current_ids

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    from rag.settings import TelemetrySettings

__all__ = ["exporting", "set_up_logs"]


class TextLines(logging.Formatter):
    """Lines for people, with the id of the trace where there is one."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the base's name
        """The first line."""
        ids = current_ids()
        return super().formatMessage(record) + (f" trace_id={ids[0]}" if ids else "")


class JsonLines(logging.Formatter):
    """A JSON object for each record. What libraries add to records of theirs is not in it."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if ids := current_ids():
            told["trace_id"], told["span_id"] = ids
        if record.exc_info and record.exc_info[1]:
            error = record.exc_info[1]
            told["exception"] = {
                "type": type(error).__name__,
                "message": str(error),
                "stack": self.formatException(record.exc_info),
            }
        return json.dumps(told, ensure_ascii=False)


def set_up_logs(settings: TelemetrySettings, level: int) -> None:
    """Have the process log to stderr, in the form that the settings want.

    Nothing changes where the root logger has a handler already.
    """
    as_json = settings.logs == "json"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    logging.basicConfig(handlers=[handler], level=level)
    logging.captureWarnings(as_json)  # they would be lines of another form


@contextmanager
def exporting(settings: TelemetrySettings) -> Iterator[None]:
    """Export the spans of what happens within, to the last one, as the settings want.

    Everything else that the SDK can be told, it reads from its own variables (`OTEL_...`).

    Raises:
        ExtraMissing: the SDK or the exporter is not installed.
    """
    if settings.traces == "off":
        yield
        return
    provider = _provider(settings)
    waits = True
    try:
        yield
    except KeyboardInterrupt:
        waits = False  # nobody who interrupts waits for a collector
        raise
    finally:
        if waits:
            provider.shutdown()


def _provider(settings: TelemetrySettings) -> TracerProvider:
    """The process's, from now on."""
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider

        ours = Resource({"service.name": "spanrag", "service.version": version("spanrag")})
        told = ours.merge(OTELResourceDetector().detect())  # OTEL_SERVICE_NAME goes before ours
        provider = TracerProvider(resource=Resource.create(told.attributes), shutdown_on_exit=False)
        provider.add_span_processor(_processor(settings))
    except ImportError as error:
        raise ExtraMissing(error.name or "opentelemetry-sdk", "telemetry") from None
    trace.set_tracer_provider(provider)
    return provider


def _processor(settings: TelemetrySettings) -> SpanProcessor:
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        ConsoleSpanExporter,
        SimpleSpanProcessor,
    )

    if settings.traces == "console":
        return SimpleSpanProcessor(
            ConsoleSpanExporter(
                out=sys.stderr, formatter=lambda span: span.to_json(indent=None) + "\n"
            )
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return BatchSpanProcessor(OTLPSpanExporter())
