"""An OpenAI-compatible server that fails, is slow, refuses, or is asked for much at once.

The real server of llama.cpp answers; a proxy before it fails as each test tells it to.
"""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from rag.errors import ModelError
from rag.generation import load_generator
from rag.generation.base import Generator, Prompt, Writer
from rag.generation.prompt import INSTRUCTIONS
from rag.grounding.prompts import write_sticker
from rag.grounding.sift import SiftGenerator
from rag.grounding.sticker import SCHEMA, read_sticker
from rag.settings import GenerationSettings, GroundingSettings
from rag.spans import Span, SpanSet
from rag.tokens import TokenCounter
from rag.types import Chunk, Context, Passage

QUESTION = "What did the harbour office record?"
TEXT = "The harbour office recorded 412 arrivals in May, 38 more than in April."
CONTEXT = Context(
    (Passage(Chunk("d", "r", 0, Span(0, len(TEXT)), TEXT), SpanSet([Span(0, len(TEXT))])),)
)
SOON = {"Retry-After": "0.01"}


def of(proxy: Any, counter: TokenCounter, **changed: object) -> Writer:
    chosen = {
        "kind": "server", "url": proxy.base, "model": "smollm2", "context_window": 2048,
        "max_tokens": 24, "retries": 2, **changed,
    }  # fmt: skip
    found = load_generator(GenerationSettings.model_validate(chosen), counter)
    assert isinstance(found, Writer)
    return found


@pytest.fixture(scope="module")
def told(chat_server: int, counter: TokenCounter) -> str:
    """What the real server answers, asked without any proxy."""
    settings = GenerationSettings(
        kind="server", url=f"http://127.0.0.1:{chat_server}/v1", model="smollm2",
        context_window=2048, max_tokens=24,
    )  # fmt: skip
    return load_generator(settings, counter).generate(QUESTION, CONTEXT).text


@pytest.mark.parametrize(
    "script",
    [[(429, SOON)], [(429, SOON), (429, SOON)], [(500, SOON)], [(503, SOON)], ["drop"]],
    ids=str,
)
@pytest.mark.parametrize("streamed", [False, True])
def test_what_passes_is_tried_again(
    proxy: Any, counter: TokenCounter, told: str, script: list[Any], streamed: bool
) -> None:
    proxy.script = list(script)
    parts: list[str] = []
    watch = parts.append if streamed else None
    written = of(proxy, counter).generate(QUESTION, CONTEXT, watch=watch)
    assert written.text == told
    assert len(proxy.requests) == len(script) + 1
    assert written.llm_calls == 1


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (1, 2), (2, 3)])
def test_it_is_tried_as_often_as_the_settings_say_and_no_more(
    proxy: Any, counter: TokenCounter, retries: int, tries: int
) -> None:
    proxy.script = [(503, SOON)] * 9
    with pytest.raises(ModelError, match="did not answer: InternalServerError"):
        of(proxy, counter, retries=retries).generate(QUESTION, CONTEXT)
    assert len(proxy.requests) == tries


def test_what_does_not_pass_is_not_tried_again(proxy: Any, counter: TokenCounter) -> None:
    proxy.script = [(401, {})]
    with pytest.raises(ModelError, match="AuthenticationError"):
        of(proxy, counter).generate(QUESTION, CONTEXT)
    assert len(proxy.requests) == 1


def test_a_server_that_never_answers_is_given_up(proxy: Any, counter: TokenCounter) -> None:
    proxy.script = ["hang"]
    with pytest.raises(ModelError, match="APITimeoutError"):
        of(proxy, counter, retries=0, timeout=0.5).generate(QUESTION, CONTEXT)
    assert proxy.left.wait(timeout=30)  # and it is told so


def test_half_an_answer_is_none(proxy: Any, counter: TokenCounter) -> None:
    proxy.script = ["break"]
    parts: list[str] = []
    with pytest.raises(ModelError, match="did not answer"):
        of(proxy, counter).generate(QUESTION, CONTEXT, watch=parts.append)
    assert parts


def test_a_stream_is_the_whole_answer_with_the_servers_own_counts(
    proxy: Any, counter: TokenCounter
) -> None:
    generator = of(proxy, counter)
    parts: list[str] = []
    streamed = generator.generate(QUESTION, CONTEXT, watch=parts.append)
    whole = generator.generate(QUESTION, CONTEXT)
    assert "".join(parts).strip() == streamed.text == whole.text
    assert len(parts) > 3
    assert streamed.llm_tokens == whole.llm_tokens > 0
    assert whole.cached_tokens > 0  # the same prompt again
    asked = [request.get("stream", False) for request in proxy.requests]
    assert asked == [True, False]
    assert "stream_options" not in proxy.requests[1]


@pytest.mark.parametrize("mode", ["off", "sift"])
def test_a_domain_s_advice_is_told_in_every_request(
    proxy: Any, counter: TokenCounter, mode: str
) -> None:
    writer = of(proxy, counter, advice="Give every figure with its unit.", max_tokens=120)
    generator: Generator = writer
    if mode == "sift":
        paper = GroundingSettings(mode="sift", paper=True)  # leaves no stage out
        generator = SiftGenerator(writer, paper, lambda _, given: given, counter)
    generator.generate(QUESTION, CONTEXT)
    systems = [request["messages"][0] for request in proxy.requests]
    said = {"role": "system", "content": f"{INSTRUCTIONS} Give every figure with its unit."}
    assert all(system == said for system in systems)  # SIFT's prompts still begin alike
    assert len(systems) == 1 if mode == "off" else len(systems) >= 3


def prompts(count: int) -> list[Any]:
    return [
        lambda _, number=number: Prompt("Answer in one word.", f"What is {number} plus one?")
        for number in range(count)
    ]


def test_prompts_are_asked_side_by_side_and_answered_in_order(
    proxy: Any, counter: TokenCounter
) -> None:
    one_by_one = of(proxy, counter, concurrency=1).write(prompts(4), CONTEXT)
    assert proxy.most_open == 1
    proxy.gate = threading.Barrier(2)  # opens only where two are asked at a time
    together = of(proxy, counter, concurrency=2).write(prompts(4), CONTEXT)
    assert proxy.most_open == 2
    assert [each.text for each in together] == [each.text for each in one_by_one]


def test_one_of_several_that_fails_fails_them(proxy: Any, counter: TokenCounter) -> None:
    proxy.script = [(401, {})]
    with pytest.raises(ModelError, match="AuthenticationError"):
        of(proxy, counter, concurrency=2).write(prompts(2), CONTEXT)


def test_a_server_that_knows_no_schema_is_asked_without(proxy: Any, counter: TokenCounter) -> None:
    proxy.refuses_schema = True
    writer = of(proxy, counter)
    asking = [lambda fitting: write_sticker(QUESTION, fitting, few_shot=False)]
    for _ in range(2):
        (written,) = writer.write(asking, CONTEXT, schema=SCHEMA)
        assert written.text
    assert ["response_format" in request for request in proxy.requests] == [True, False, False]


def test_a_server_that_knows_schemas_keeps_to_them(proxy: Any, counter: TokenCounter) -> None:
    asking = [lambda fitting: write_sticker(QUESTION, fitting, few_shot=False)]
    (written,) = of(proxy, counter, max_tokens=200).write(asking, CONTEXT, schema=SCHEMA)
    assert written.text.startswith("{")
    assert read_sticker(written.text, few_shot=False) is not None


def test_no_more_than_so_many_requests_a_minute(
    proxy: Any, counter: TokenCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llama_index.core import rate_limiter

    clock = [1000.0]
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        clock[0] += seconds

    # The limiter's alone: the client, too, sleeps before it tries again.
    told = SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep)
    monkeypatch.setattr(rate_limiter, "time", told)
    generator = of(proxy, counter, requests_per_minute=2, max_tokens=2)
    for _ in range(2):
        generator.generate(QUESTION, CONTEXT)
    assert waited == []
    generator.generate(QUESTION, CONTEXT)
    assert sum(waited) == pytest.approx(30, rel=0.1)
    assert len(proxy.requests) >= 3
