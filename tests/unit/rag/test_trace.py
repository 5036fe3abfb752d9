"""The query path as spans, with OpenTelemetry's own SDK and LlamaIndex's own dispatcher."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import CompletionResponse, LLMMetadata
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import CustomLLM
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    SpanKind,
    StatusCode,
    get_current_span,
    get_tracer,
    set_span_in_context,
)

from rag.engine import QueryEngine
from rag.errors import ModelError
from rag.generation import ExtractiveGenerator
from rag.generation.base import Generator, Prompt
from rag.generation.llm import LlmGenerator
from rag.index import Index, open_index
from rag.ledger import Entry
from rag.settings import GroundingSettings, Settings, StoreSettings
from rag.trace import booked, carried, code_of, continued, current_ids, spanned
from rag.types import Answer, Context, Document

TEXT = "The harbour office recorded 412 arrivals in May, 38 more than in April."
QUESTION = "How many arrivals did the harbour record in May?"
REPLY = "412 arrivals [S1]."
SAID = ("harbour", "arrivals", "April", "sources")
USAGE = {"prompt_tokens": 70, "completion_tokens": 6, "total_tokens": 76}


class Parrot(CustomLLM):
    """A LlamaIndex `LLM` that always says the same, or fails."""

    reply: str = REPLY
    fails: bool = False

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=4096, num_output=64, model_name="parrot")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        if self.fails:
            raise OSError(f"refused: {prompt}")
        return CompletionResponse(text=self.reply, raw={"usage": USAGE})

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> Iterator[CompletionResponse]:
        def parts() -> Iterator[CompletionResponse]:
            for end in range(1, len(self.reply) + 1):
                raw = {"usage": USAGE if end == len(self.reply) else None}
                yield CompletionResponse(
                    text=self.reply[:end], delta=self.reply[end - 1 : end], raw=raw
                )

        return parts()


class Broken:
    name = "broken"

    def __call__(self, question: str, context: Context) -> Context:
        raise RuntimeError(f"cannot read {context.pieces}")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    where = tmp_path_factory.mktemp("home") / "index"
    with open_index(Settings(store=StoreSettings(path=where)), create=True) as index:
        of = Document("file", "port", "docs/port.txt", "port.txt", TEXT)
        chunks = list(index.chunk(of))
        vectors = index.embed(chunks)
        index.store.stage(of, chunks, vectors.dense, vectors.lexical)
        index.store.commit(of.id, of.revision, 50)
        yield index


def writer(index: Index, concurrency: int = 1, **how: Any) -> LlmGenerator:
    return LlmGenerator(
        Parrot(**how), index.embedder.counter, max_tokens=64, concurrency=concurrency
    )


def grounded(index: Index, generator: Generator, grounding: GroundingSettings) -> QueryEngine:
    settings = index.settings.model_copy(update={"grounding": grounding})
    return QueryEngine(Index(settings, index.store, index.embedder, index.sentences), generator)


def named(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {each.name: each for each in spans.get_finished_spans()}


def parents(spans: InMemorySpanExporter) -> dict[str, str]:
    """The name of each span's parent."""
    names = {each.context.span_id: each.name for each in spans.get_finished_spans() if each.context}
    return {
        each.name: names[each.parent.span_id] if each.parent else ""
        for each in spans.get_finished_spans()
    }


def check_no_word(spans: InMemorySpanExporter) -> None:
    told = " ".join(each.to_json() for each in spans.get_finished_spans())
    assert [word for word in SAID if word in told] == []


def check_every_entry(answer: Answer, spans: InMemorySpanExporter) -> None:
    """One span for each, with its figures; and none besides but the query's and the model's."""
    found = [
        each
        for each in spans.get_finished_spans()
        if each.attributes and "spanrag.stage" in each.attributes
    ]
    by_stage = {each.attributes["spanrag.stage"]: each for each in found if each.attributes}
    assert len(by_stage) == len(found) == len(list(answer.ledger))
    for entry in answer.ledger:
        assert dict(by_stage[entry.stage].attributes or {}) == booked(entry)


def test_each_entry_of_the_ledger_is_a_span_of_the_query(
    index: Index, spans: InMemorySpanExporter
) -> None:
    answer = QueryEngine(index, ExtractiveGenerator()).query(QUESTION)
    check_every_entry(answer, spans)
    stages = ("retrieve", "cluster", "select", "generate", "verify")
    under_query = dict.fromkeys((f"rag.{stage}" for stage in stages), "rag.query")
    assert parents(spans) == {"rag.query": "", **under_query}
    query = named(spans)["rag.query"]
    assert dict(query.attributes or {}) == {
        "spanrag.abstained": False,
        "spanrag.citations": 1,
        "spanrag.unsupported": 0,
    }
    assert query.kind is SpanKind.INTERNAL
    assert query.status.status_code is StatusCode.UNSET
    check_no_word(spans)


def test_no_words_of_the_ledger_are_told() -> None:
    entry = Entry("select", 9, 3, 1, 80, 0.5, "RuntimeError: a quote", "a note", 2, 40)
    assert booked(entry) == {
        "spanrag.stage": "select",
        "spanrag.tokens_in": 9,
        "spanrag.tokens_out": 3,
        "spanrag.llm_calls": 1,
        "spanrag.llm_tokens": 80,
        "spanrag.llm_cached": 40,
        "spanrag.overruled": 2,
        "spanrag.degraded": True,
    }


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_of_a_model_is_a_span_with_the_names_of_the_conventions(
    index: Index, spans: InMemorySpanExporter, streamed: bool
) -> None:
    watch = (lambda text: None) if streamed else None
    answer = QueryEngine(index, writer(index)).query(QUESTION, watch=watch)
    assert answer.citations
    check_every_entry(answer, spans)
    assert parents(spans)["chat parrot"] == "rag.generate"
    assert dict(named(spans)["chat parrot"].attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "parrot",
        "gen_ai.usage.input_tokens": 70,
        "gen_ai.usage.output_tokens": 6,
        "gen_ai.usage.cache_read.input_tokens": 0,
    }
    check_no_word(spans)


def test_the_steps_of_grounding_are_spans_and_hold_their_calls(
    index: Index, spans: InMemorySpanExporter
) -> None:
    engine = grounded(index, writer(index), GroundingSettings(mode="sift"))
    answer = engine.query(QUESTION)  # no sticker is ever one: sentences take its place
    check_every_entry(answer, spans)
    assert parents(spans)["rag.sift.sticker"] == "rag.generate"
    assert parents(spans)["chat parrot"] == "rag.sift.sticker"
    check_no_word(spans)


def test_calls_side_by_side_stay_in_their_trace(index: Index, spans: InMemorySpanExporter) -> None:
    several = [lambda _, number=number: Prompt("Say.", str(number)) for number in range(3)]
    with spanned("rag.generate"):
        writer(index, concurrency=3).write(several, Context())
    assert parents(spans) == {"rag.generate": "", "chat parrot": "rag.generate"}
    assert len(spans.get_finished_spans()) == 4


def test_a_stage_that_fails_is_no_error_of_the_query(
    index: Index, spans: InMemorySpanExporter
) -> None:
    answer = QueryEngine(index, ExtractiveGenerator(), [Broken()]).query(QUESTION)
    assert answer.citations
    broken = named(spans)["rag.broken"]
    assert broken.attributes is not None
    assert broken.attributes["spanrag.degraded"] is True
    assert broken.attributes["error.type"] == "RuntimeError"
    assert {each.status.status_code for each in spans.get_finished_spans()} == {StatusCode.UNSET}
    check_no_word(spans)


def test_a_query_that_fails_says_its_code_and_not_its_message(
    index: Index, spans: InMemorySpanExporter
) -> None:
    with pytest.raises(ModelError, match="sources alone"):
        QueryEngine(index, writer(index, fails=True)).query(QUESTION)
    for name, code in (
        ("rag.query", "model"),
        ("rag.generate", "model"),
        ("chat parrot", "OSError"),
    ):
        status = named(spans)[name].status
        assert (status.status_code, status.description) == (StatusCode.ERROR, code)
    assert code_of(ModelError("a quote")) == "model"
    check_no_word(spans)


def test_who_stops_listening_makes_no_error(index: Index, spans: InMemorySpanExporter) -> None:
    def leave(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        QueryEngine(index, writer(index)).query(QUESTION, watch=leave)
    query = named(spans)["rag.query"]
    assert query.attributes == {"spanrag.interrupted": True}
    assert query.status.status_code is StatusCode.UNSET


def test_an_abstention_before_the_model_is_marked(
    index: Index, spans: InMemorySpanExporter
) -> None:
    answer = QueryEngine(index, ExtractiveGenerator()).query("Who won the chess match in Lima?")
    assert answer.abstained
    query = named(spans)["rag.query"]
    assert query.attributes is not None
    assert query.attributes["spanrag.abstained"] is True
    assert "rag.generate" not in named(spans)


def test_the_ids_are_those_of_the_span_that_is_open(spans: InMemorySpanExporter) -> None:
    assert current_ids() is None
    with spanned("rag.query"):
        here = get_current_span().get_span_context()
        assert current_ids() == (f"{here.trace_id:032x}", f"{here.span_id:016x}")
    assert current_ids() is None
    assert list(named(spans)) == ["rag.query"]


@pytest.fixture
def handler() -> Iterator[SimpleSpanHandler]:
    """LlamaIndex's own, where its users put theirs: at the root."""
    handler, root = SimpleSpanHandler(), get_dispatcher()
    before = list(root.span_handlers)
    root.add_span_handler(handler)
    yield handler
    root.span_handlers = before


def test_a_handler_of_llama_index_sees_the_stages_and_its_own_calls_under_them(
    index: Index, handler: SimpleSpanHandler
) -> None:
    QueryEngine(index, writer(index)).query(QUESTION)
    names = {each.id_: each.id_.partition("-")[0] for each in handler.completed_spans}
    above = {
        names[each.id_]: names.get(each.parent_id or "", "") for each in handler.completed_spans
    }
    stages = ("retrieve", "cluster", "select", "generate", "verify")
    assert above == {
        "rag.query": "",
        **dict.fromkeys((f"rag.{stage}" for stage in stages), "rag.query"),
        "Parrot.chat": "rag.generate",
        "Parrot.complete": "Parrot.chat",
    }
    assert not handler.open_spans


class Bridge(SimpleSpanHandler):
    """Opens a span of OpenTelemetry for each of the dispatcher's, as LlamaIndex's own package."""

    def new_span(self, id_: str, *args: Any, **kwargs: Any) -> Any:
        span = get_tracer("llama_index").start_span(id_.partition("-")[0])
        OPENED[id_] = span, attach(set_span_in_context(span))
        return super().new_span(id_, *args, **kwargs)

    def prepare_to_exit_span(self, id_: str, *args: Any, **kwargs: Any) -> Any:
        span, token = OPENED.pop(id_)
        detach(token)
        span.end()
        return super().prepare_to_exit_span(id_, *args, **kwargs)

    prepare_to_drop_span = prepare_to_exit_span


OPENED: dict[str, Any] = {}


def test_a_handler_that_makes_spans_of_its_own_is_given_the_figures_and_none_comes_twice(
    index: Index, spans: InMemorySpanExporter
) -> None:
    root = get_dispatcher()
    before = list(root.span_handlers)
    root.add_span_handler(Bridge())
    try:
        answer = QueryEngine(index, writer(index)).query(QUESTION)
        spans_of_it = spans.get_finished_spans()
        spans.clear()
        with pytest.raises(ModelError):
            QueryEngine(index, writer(index, fails=True)).query(QUESTION)
    finally:
        root.span_handlers = before
    stages = ("retrieve", "cluster", "select", "generate", "verify")
    found = {span.name: span for span in spans_of_it}
    assert len(found) == len(spans_of_it)
    assert {*(f"rag.{each}" for each in stages), "rag.query", "chat parrot"} < set(found)
    by_id = {span.context.span_id: name for name, span in found.items()}
    above = {name: by_id.get(span.parent.span_id) for name, span in found.items() if span.parent}
    assert {above[f"rag.{stage}"] for stage in stages} == {"rag.query"}
    assert (above["chat parrot"], above["Parrot.chat"]) == ("rag.generate", "chat parrot")
    (retrieved, *_) = answer.ledger
    assert dict(found["rag.retrieve"].attributes) == booked(retrieved)
    (failed,) = (span for span in spans.get_finished_spans() if span.name == "rag.query")
    assert dict(failed.attributes) == {"error.type": "model"}


def test_a_handler_of_llama_index_is_told_the_figures_and_of_failures(index: Index) -> None:
    told: dict[str, Any] = {}

    class Figures(SimpleSpanHandler):
        def prepare_to_exit_span(self, id_: str, *args: Any, **kwargs: Any) -> Any:
            told[id_.partition("-")[0]] = kwargs["result"]
            return super().prepare_to_exit_span(id_, *args, **kwargs)

    dispatcher = get_dispatcher("rag.trace")
    before = list(dispatcher.span_handlers)
    dispatcher.add_span_handler(handler := Figures())
    try:
        answer = QueryEngine(index, ExtractiveGenerator()).query(QUESTION)
        with pytest.raises(ModelError):
            QueryEngine(index, writer(index, fails=True)).query(QUESTION)
    finally:
        dispatcher.span_handlers = before
    (retrieved, *_) = answer.ledger
    assert told["rag.retrieve"] == booked(retrieved)
    dropped = {each.id_.partition("-")[0] for each in handler.dropped_spans}
    assert dropped == {"rag.generate", "rag.query"}


def test_where_nothing_listens_nothing_is_imported_and_nothing_recorded() -> None:
    code = """
import sys
from rag.trace import current_ids, mark, spanned
with spanned("rag.query") as figures:
    figures["spanrag.abstained"] = True
    mark({"spanrag.citations": 1})
    assert current_ids() is None
assert not [name for name in sys.modules if name.startswith(("opentelemetry", "llama_index"))]
from opentelemetry import trace
with spanned("rag.query"):
    assert not trace.get_current_span().is_recording()
    assert current_ids() is None
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_another_process_goes_on_with_a_span(spans: InMemorySpanExporter) -> None:
    with spanned("outer"):
        told, ids = carried(), current_ids()
    assert ids is not None
    assert told.startswith(f"00-{ids[0]}-{ids[1]}-")
    assert carried() == ""
    for traceparent in (told, "", "00-nonsense"):
        with continued(traceparent), spanned(f"inner {traceparent}"):
            pass
    found = {each.name: each for each in spans.get_finished_spans()}
    inner = found[f"inner {told}"]
    assert inner.parent is not None
    assert inner.parent.span_id == found["outer"].context.span_id
    assert (found["inner "].parent, found["inner 00-nonsense"].parent) == (None, None)
