"""Queries, ingests and jobs as spans: on OpenTelemetry's trace, and on LlamaIndex's dispatcher.

Neither library is imported here unless something in the process has done so already: only who has
imported OpenTelemetry can have set it up to export anything, and only who has imported LlamaIndex's
instrumentation can have put a handler there. Otherwise a span is nothing.

Spans hold names, figures and codes. No question, document, prompt or answer, and no message of an
error, which may quote one; nor a stage's note, for the same reason.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING
from uuid import uuid4

from rag.errors import RagError
from rag.ledger import Entry

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TracerProvider

__all__ = [
    "Figures",
    "booked",
    "calling",
    "carried",
    "code_of",
    "continued",
    "current_ids",
    "mark",
    "spanned",
]

Figures = dict[str, str | int | bool]
"""What a span says of itself."""

_NO_ARGUMENTS = inspect.signature(lambda: None).bind()


@contextmanager
def spanned(name: str) -> Iterator[Figures]:
    """A span of what happens within, told on both sides, with the figures that are put in.

    Figures are read when it ends. As a decorator: of what happens in a function. A handler of
    LlamaIndex's dispatcher may open spans of OpenTelemetry itself, as LlamaIndex's own package
    does: then the figures are put to its span, and ours would be the same once more.
    """
    figures: Figures = {}
    before = _current()
    with _dispatched(name, figures):
        bridged = _current() is not before
        with _filled(figures) if bridged else _traced(name, figures):
            yield figures


@contextmanager
def calling(model: str, operation: str) -> Iterator[Figures]:
    """A span of a call of a language model, on the trace alone: LlamaIndex tells its own of it.

    Names are those of OpenTelemetry's conventions for generative AI.
    """
    figures: Figures = {"gen_ai.operation.name": operation, "gen_ai.request.model": model}
    with _traced(f"{operation} {model}", figures):
        yield figures


def booked(entry: Entry) -> Figures:
    """What the ledger says of a stage, but for its words.

    >>> booked(Entry("select", 1494, 32, note="evidence 0.97"))["spanrag.tokens_out"]
    32
    """
    return {
        "spanrag.stage": entry.stage,
        "spanrag.tokens_in": entry.tokens_in,
        "spanrag.tokens_out": entry.tokens_out,
        "spanrag.llm_calls": entry.llm_calls,
        "spanrag.llm_tokens": entry.llm_tokens,
        "spanrag.llm_cached": entry.llm_cached,
        "spanrag.overruled": entry.overruled,
        "spanrag.degraded": bool(entry.degraded),
    }


def mark(figures: Figures) -> None:
    """Put figures to the span that is open here, whoever opened it."""
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes(figures)


def current_ids() -> tuple[str, str] | None:
    """The ids of the trace and the span that are open here, as W3C writes them."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

    here = get_current_span().get_span_context()
    return (format_trace_id(here.trace_id), format_span_id(here.span_id)) if here.is_valid else None


def carried() -> str:
    """The span that is open here, as another process can go on with it: W3C's `traceparent`.

    What a vendor keeps beside it (`tracestate`) is left behind.
    """
    if "opentelemetry.trace" not in sys.modules:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


@contextmanager
def continued(traceparent: str) -> Iterator[None]:
    """What happens within belongs to a span of another process; to none where it is no such."""
    if "opentelemetry.trace" not in sys.modules:
        yield
        return
    from opentelemetry.context import attach, detach
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    token = attach(TraceContextTextMapPropagator().extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        detach(token)


def code_of(error: BaseException) -> str:
    """What kind of error it is: the code of the command line, or the class; never its message."""
    return error.code if isinstance(error, RagError) else type(error).__name__


@contextmanager
def _traced(name: str, figures: Figures) -> Iterator[None]:
    """A span of OpenTelemetry. Who stops listening is no error."""
    tracer = _tracer()
    if tracer is None:
        yield
        return
    with (
        tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False),
        _filled(figures),
    ):
        yield


@contextmanager
def _filled(figures: Figures) -> Iterator[None]:
    """Put figures, and what goes wrong, to the span of OpenTelemetry that is open here."""
    from opentelemetry.trace import StatusCode, get_current_span

    span = get_current_span()
    try:
        yield
    except Exception as error:
        figures["error.type"] = code_of(error)
        span.set_status(StatusCode.ERROR, code_of(error))
        raise
    except BaseException:
        figures["spanrag.interrupted"] = True
        raise
    finally:
        span.set_attributes(figures)


@contextmanager
def _dispatched(name: str, figures: Figures) -> Iterator[None]:
    """A span of LlamaIndex's instrumentation; its result are the figures."""
    if "llama_index_instrumentation" not in sys.modules:
        yield
        return
    from llama_index_instrumentation import get_dispatcher
    from llama_index_instrumentation.dispatcher import active_instrument_tags
    from llama_index_instrumentation.span import active_span_id

    dispatcher = get_dispatcher(__name__)
    span_id = f"{name}-{uuid4()}"  # handlers read the name up to the first dash
    dispatcher.span_enter(
        span_id, _NO_ARGUMENTS, parent_id=active_span_id.get(), tags=active_instrument_tags.get()
    )
    outer = active_span_id.set(span_id)
    try:
        yield
    except BaseException as error:
        dispatcher.span_drop(span_id, _NO_ARGUMENTS, err=error)
        raise
    else:
        dispatcher.span_exit(span_id, _NO_ARGUMENTS, result=dict(figures))
    finally:
        active_span_id.reset(outer)


def _current() -> Span | None:
    """The span of OpenTelemetry that is open here, where something has imported that."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry.trace import get_current_span

    return get_current_span()


def _tracer() -> Tracer | None:
    """OpenTelemetry's, where something has imported it."""
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry.trace import get_tracer_provider

    return _tracer_of(get_tracer_provider())


@lru_cache(maxsize=4)
def _tracer_of(provider: TracerProvider) -> Tracer:
    from importlib.metadata import version

    return provider.get_tracer("spanrag", version("spanrag"))
