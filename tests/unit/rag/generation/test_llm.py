"""What every model behind LlamaIndex has in common; real engines answer in tests/e2e."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.llms import CustomLLM
from pydantic import PrivateAttr

from rag.errors import ModelError
from rag.generation import ExtractiveGenerator, load_generator
from rag.generation.base import Prompt, Summariser, Writer
from rag.generation.llm import LlmGenerator
from rag.generation.prompt import (
    INSTRUCTIONS,
    chat_summary,
    complete_answer,
    complete_summary,
    render_question,
)
from rag.settings import GenerationSettings
from rag.spans import Span, SpanSet
from rag.tokens import TokenCounter
from rag.types import Chunk, Context, Passage


class ScriptedLlm(CustomLLM):
    """Says what it is told to say, and keeps what it was asked."""

    answer: str = "Sales rose [S1]."
    window: int = 4096
    raw: Any = None
    failure: Any = None
    _asked: list[str] = PrivateAttr(default_factory=list)
    _roles: list[list[MessageRole]] = PrivateAttr(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=self.window, model_name="scripted")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self._asked.append(prompt)
        if self.failure:
            raise self.failure
        return CompletionResponse(text=self.answer, raw=self.raw)

    def chat(self, messages: list[ChatMessage], **kwargs: Any) -> ChatResponse:
        self._roles.append([message.role for message in messages])
        said = self.complete("\n".join(message.content or "" for message in messages))
        return ChatResponse(
            message=ChatMessage(said.text, role=MessageRole.ASSISTANT), raw=said.raw
        )

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        raise NotImplementedError

    @property
    def asked(self) -> list[str]:
        return self._asked

    @property
    def roles(self) -> list[list[MessageRole]]:
        return self._roles


def context(*texts: str) -> Context:
    chunks = (
        Chunk("d", "r", ordinal, Span(0, len(text)), text, name="a.txt")
        for ordinal, text in enumerate(texts)
    )
    return Context(tuple(Passage(chunk, SpanSet([chunk.span])) for chunk in chunks))


def test_a_chat_model_gets_the_instructions_and_the_rendered_context(
    counter: TokenCounter,
) -> None:
    llm, given = ScriptedLlm(answer="  Sales rose [S1].\n"), context("Sales rose.")
    written = LlmGenerator(llm, counter, max_tokens=64).generate("Did they?", given)
    assert llm.roles == [[MessageRole.SYSTEM, MessageRole.USER]]
    assert llm.asked == [f"{INSTRUCTIONS}\n{render_question('Did they?', given)}"]
    assert written.text == "Sales rose [S1]."
    assert (written.llm_calls, written.degraded) == (1, "")


def test_a_small_model_completes_a_prompt_with_examples(counter: TokenCounter) -> None:
    llm, given = ScriptedLlm(), context("Sales rose.")
    LlmGenerator(llm, counter, max_tokens=64, few_shot=True).generate("Did they?", given)
    assert llm.roles == []
    assert llm.asked == [complete_answer("Did they?", given).request]


def test_a_completion_ends_with_its_line(counter: TokenCounter) -> None:
    # Few engines stop by themselves before a third worked example.
    llm = ScriptedLlm(answer=" 412\n\nText: Another harbour.\nQuestion: Why?\nAnswer: 7")
    generator = LlmGenerator(llm, counter, max_tokens=64, few_shot=True)
    assert generator.generate("How many?", context("412 arrivals.")).text == "412"


def test_it_is_named_as_its_model(counter: TokenCounter) -> None:
    assert LlmGenerator(ScriptedLlm(), counter, max_tokens=64).name == "scripted"


@pytest.mark.parametrize("few_shot", [False, True])
def test_passages_that_do_not_fit_are_left_out_from_the_last_and_it_is_said(
    counter: TokenCounter, few_shot: bool
) -> None:
    long = "harbour timber arrivals kidney turbine margin revenue gateway " * 20
    given = context(f"first {long}", f"second {long}", f"third {long}")
    llm = ScriptedLlm(window=900)
    generator = LlmGenerator(llm, counter, max_tokens=100, few_shot=few_shot)
    written = generator.generate("Did they?", given)
    (prompt,) = llm.asked
    left_out = [word for word in ("first", "second", "third") if f"{word} harbour" not in prompt]
    assert left_out in (["second", "third"], ["third"])
    assert written.degraded.startswith(str(len(left_out)))
    assert "did not fit" in written.degraded
    assert counter.count(prompt) <= 900 - 100


def test_the_room_for_the_answer_is_kept_free(counter: TokenCounter) -> None:
    given = context("harbour " * 300, "timber " * 300)
    much, little = (
        LlmGenerator(ScriptedLlm(window=1400), counter, max_tokens=free).generate("?", given)
        for free in (100, 800)
    )
    assert much.degraded == ""
    assert little.degraded


def test_a_question_that_leaves_no_room_is_a_model_error(counter: TokenCounter) -> None:
    llm = ScriptedLlm(window=600)
    with pytest.raises(ModelError, match="do not fit scripted") as caught:
        LlmGenerator(llm, counter, max_tokens=64).generate("why " * 2_000, context("Sales rose."))
    assert "generation.context_window" in caught.value.hint
    assert llm.asked == []


@pytest.mark.parametrize(
    "failure", [RuntimeError("CUDA out of memory\nat line 3"), TimeoutError(), ValueError("")]
)
def test_whatever_a_model_raises_becomes_a_model_error_of_one_line(
    counter: TokenCounter, failure: Exception
) -> None:
    llm = ScriptedLlm(failure=failure)
    with pytest.raises(ModelError, match=f"scripted did not answer: {type(failure).__name__}") as e:
        LlmGenerator(llm, counter, max_tokens=64).generate("Did they?", context("Sales rose."))
    assert "\n" not in str(e.value)
    assert e.value.__cause__ is failure


def test_a_model_error_passes_as_it_is(counter: TokenCounter) -> None:
    failure = ModelError("not pulled", hint="pull it")
    with pytest.raises(ModelError) as caught:
        LlmGenerator(ScriptedLlm(failure=failure), counter, max_tokens=64).generate(
            "Did they?", context("Sales rose.")
        )
    assert caught.value is failure


@pytest.mark.parametrize(
    "raw",
    [
        {"usage": {"prompt_tokens": 100, "completion_tokens": 23, "total_tokens": 123}},
        SimpleNamespace(usage=SimpleNamespace(total_tokens=123)),
        {"usage": SimpleNamespace(total_tokens=123)},
    ],
    ids=["a mapping", "an object", "an object in a mapping"],
)
def test_the_tokens_are_those_the_engine_counted(counter: TokenCounter, raw: object) -> None:
    generator = LlmGenerator(ScriptedLlm(raw=raw), counter, max_tokens=64)
    assert generator.generate("Did they?", context("Sales rose.")).llm_tokens == 123


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        {"usage": None},
        {"usage": {}},
        SimpleNamespace(usage=None),
        {"usage": {"total_tokens": None}},
    ],
)
def test_where_the_engine_counts_none_the_prompt_and_answer_are_measured(
    counter: TokenCounter, raw: object
) -> None:
    llm, given = ScriptedLlm(raw=raw), context("Sales rose.")
    written = LlmGenerator(llm, counter, max_tokens=64, few_shot=True).generate("Did they?", given)
    measured = counter.count(llm.asked[0]) + counter.count(llm.answer)
    assert abs(written.llm_tokens - measured) <= 1


def timed(tokens: int, speed: float) -> dict[str, object]:
    return {"timings": {"prompt_n": tokens, "prompt_per_second": speed}}


def test_the_reading_speed_is_what_the_engine_last_said(counter: TokenCounter) -> None:
    llm = ScriptedLlm()
    generator = LlmGenerator(llm, counter, max_tokens=20)
    given = context("The sea is deep.")
    speeds = []
    for raw in ({}, timed(200, 90.0), timed(3, 5.0), SimpleNamespace(**timed(400, 120.0))):
        llm.raw = raw
        generator.generate("How deep?", given)
        speeds.append(generator.reading_speed)
    assert speeds == [0.0, 90.0, 90.0, 120.0]


def test_a_reading_speed_that_was_given_stands(counter: TokenCounter) -> None:
    llm = ScriptedLlm()
    llm.raw = timed(200, 90.0)
    generator = LlmGenerator(llm, counter, max_tokens=20, reading_speed=7.0)
    generator.generate("How deep?", context("The sea is deep."))
    assert generator.reading_speed == 7.0


# --- advice --------------------------------------------------------------------------------

ADVICE = "Give every figure with its currency."


def test_advice_ends_the_orders_of_every_chat_prompt(counter: TokenCounter) -> None:
    given = context("Sales rose.")
    asked = []
    for advice in ("", f" {ADVICE}\n"):
        llm = ScriptedLlm()
        generator = LlmGenerator(llm, counter, max_tokens=64, advice=advice)
        generator.generate("Did they?", given)
        generator.write([lambda _: Prompt("Be brief.", "Why?")] * 2, given)
        generator.summarise(TEXTS, 30)
        asked.append(llm.asked)
    bare, advised = asked
    orders = [INSTRUCTIONS, "Be brief.", "Be brief.", chat_summary(TEXTS, 30).orders]
    assert advised == [
        each.replace(begins, f"{begins} {ADVICE}", 1)
        for each, begins in zip(bare, orders, strict=True)
    ]


def test_worked_examples_are_completed_without_advice(counter: TokenCounter) -> None:
    asked = []
    for advice in ("", ADVICE):
        llm = ScriptedLlm()
        generator = LlmGenerator(llm, counter, max_tokens=64, few_shot=True, advice=advice)
        generator.generate("Did they?", context("Sales rose."))
        generator.summarise(TEXTS, 30)
        asked.append([*llm.asked, generator.signature])
    assert asked[0] == asked[1]


def test_room_is_kept_for_the_advice(counter: TokenCounter) -> None:
    long = "harbour timber arrivals kidney turbine margin revenue gateway " * 20
    given = context(*(f"{name} {long}" for name in ("first", "second", "third")))
    left_out = []
    for advice in ("", "Mind the currency. " * 60):
        llm = ScriptedLlm(window=900)
        written = LlmGenerator(llm, counter, max_tokens=100, advice=advice).generate("?", given)
        left_out.append(written.degraded[:10])
        assert counter.count(llm.asked[0]) <= 900 - 100
    assert left_out == ["1 passages", "2 passages"]


def test_what_a_model_is_told_of_the_domain_is_in_its_signature(counter: TokenCounter) -> None:
    bare, advised, other = (
        LlmGenerator(ScriptedLlm(), counter, max_tokens=64, advice=advice).signature
        for advice in ("", ADVICE, "Name the dose.")
    )
    assert bare == "scripted, chat, 64 tokens, temperature None"
    assert len({bare, advised, other}) == 3


def test_a_batch_of_a_local_model_is_told_too(tiny_llama: Path, counter: TokenCounter) -> None:
    def told(orders: str, advice: str) -> list[str]:
        settings = GenerationSettings(
            kind="local", model=str(tiny_llama), device="cpu", max_tokens=12, advice=advice
        )
        writer = load_generator(settings, counter)
        assert isinstance(writer, Writer)
        prompts = [lambda _, ask=ask: Prompt(orders, ask) for ask in ("Why?", "How many?")]
        return [each.text for each in writer.write(prompts, Context())]

    assert told("Be brief.", ADVICE) == told(f"Be brief. {ADVICE}", "") != told("Be brief.", "")


# --- summaries -----------------------------------------------------------------------------

TEXTS = ["Sales rose </passage> in Norway.", "Costs fell <|im_start|> in May."]


def test_a_chat_model_summarises_what_it_is_given(counter: TokenCounter) -> None:
    llm = ScriptedLlm(answer="  Sales rose.\nCosts fell.\n")
    written = LlmGenerator(llm, counter, max_tokens=64).summarise(TEXTS, 30)
    assert llm.roles == [[MessageRole.SYSTEM, MessageRole.USER]]
    assert llm.asked == ["\n".join(chat_summary(TEXTS, 30))]
    assert written.text == "Sales rose.\nCosts fell."
    assert (written.llm_calls, written.degraded) == (1, "")
    assert abs(written.llm_tokens - counter.count(llm.asked[0]) - counter.count(llm.answer)) <= 1


def test_a_small_model_completes_a_summary_and_ends_with_its_line(counter: TokenCounter) -> None:
    llm = ScriptedLlm(answer=" Sales rose.\n\nText: Another.\nSummary: More.")
    written = LlmGenerator(llm, counter, max_tokens=64, few_shot=True).summarise(TEXTS, 30)
    assert llm.roles == []
    assert llm.asked == [complete_summary(TEXTS, 30).request]
    assert written.text == "Sales rose."


@pytest.mark.parametrize("answer", ["", " \n", "\n\n"])
@pytest.mark.parametrize("few_shot", [False, True])
def test_a_model_that_says_nothing_writes_an_empty_summary(
    counter: TokenCounter, answer: str, few_shot: bool
) -> None:
    llm = ScriptedLlm(answer=answer)
    written = LlmGenerator(llm, counter, max_tokens=64, few_shot=few_shot).summarise(TEXTS, 30)
    assert (written.text, written.llm_calls) == ("", 1)


@pytest.mark.parametrize("few_shot", [False, True])
def test_texts_that_do_not_fit_are_left_out_of_a_summary_from_the_last_and_it_is_said(
    counter: TokenCounter, few_shot: bool
) -> None:
    long = "harbour timber arrivals kidney turbine margin revenue gateway " * 20
    texts = [f"{name} {long}" for name in ("first", "second", "third")]
    llm = ScriptedLlm(window=700)
    written = LlmGenerator(llm, counter, max_tokens=100, few_shot=few_shot).summarise(texts, 30)
    (prompt,) = llm.asked
    there = [name for name in ("first", "second", "third") if f"{name} harbour" in prompt]
    assert there in (["first"], ["first", "second"])
    assert written.degraded == f"{3 - len(there)} texts did not fit the model's window"
    assert counter.count(prompt) <= 700 - 100


def test_a_text_longer_than_the_window_is_no_summary_but_a_model_error(
    counter: TokenCounter,
) -> None:
    llm = ScriptedLlm(window=600)
    for texts in (["why " * 2_000], ["why " * 2_000, "because"]):
        with pytest.raises(ModelError, match="do not fit scripted"):
            LlmGenerator(llm, counter, max_tokens=64).summarise(texts, 30)
    assert llm.asked == []


def test_what_a_model_raises_while_summarising_becomes_a_model_error(counter: TokenCounter) -> None:
    llm = ScriptedLlm(failure=RuntimeError("CUDA out of memory\nat line 3"))
    with pytest.raises(ModelError, match="scripted did not answer: RuntimeError") as caught:
        LlmGenerator(llm, counter, max_tokens=64).summarise(TEXTS, 30)
    assert "\n" not in str(caught.value)


def test_language_models_are_summarisers_and_quoting_is_not(counter: TokenCounter) -> None:
    assert isinstance(LlmGenerator(ScriptedLlm(), counter, max_tokens=64), Summariser)
    assert not isinstance(ExtractiveGenerator(), Summariser)
