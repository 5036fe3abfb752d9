"""Any LlamaIndex `LLM` as a generator."""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from rag.errors import ModelError, first_line
from rag.generation.base import Generation, Prompt, PromptWith, Watch
from rag.generation.prompt import (
    chat_answer,
    chat_summary,
    complete_answer,
    complete_summary,
)
from rag.generation.reasoning import without_reasoning
from rag.generation.usage import cached_tokens, read_and_written, reading_speed, used_tokens
from rag.tokens import TokenCounter
from rag.trace import Figures, calling
from rag.types import Context

if TYPE_CHECKING:
    from llama_index.core.llms import LLM, ChatMessage, CompletionResponse

__all__ = ["Batching", "LlmGenerator"]

_TOKENS_PER_TOKEN = 1.4  # the embedder's tokenizer against an unknown model's; on the safe side
_REFUSED = (400, 422)  # how a server says that it does not know `response_format`


@runtime_checkable
class Batching(Protocol):
    """An `LLM` that answers several prompts in one batch."""

    def messages_to_prompt(self, messages: Sequence[ChatMessage]) -> str:
        """A chat as the model reads it."""

    def complete_all(self, prompts: Sequence[str], **options: Any) -> list[CompletionResponse]:
        """A completion of each."""


class _Request(NamedTuple):
    """A prompt that fits, and what had to be left out of it, in words."""

    prompt: Prompt
    left_out: str


class LlmGenerator:
    """Has a language model answer from the rendered context, and summarise.

    Passages that would not fit the model's window are left out, last ones first, and it is said.

    Args:
        llm: the model.
        counter: measures the prompt; the model's own tokenizer need not be known.
        max_tokens: what is kept free for the answer.
        reading_speed: prompt tokens a second; 0 to take what the engine says after an answer
            (llama.cpp does), if it says anything.
        few_shot: complete a prompt with two worked examples instead of chatting. A base model
            and a very small chat model need it (SmolLM2-135M: token F1 .30 against .15).
        holds_schema: the engine takes an OpenAI `response_format` and keeps to it; one that
            refuses it is asked without.
        concurrency: calls that may be under way at a time, where several are asked for.
        advice: ends the orders of every chat prompt; worked examples are completed without it.
    """

    def __init__(
        self,
        llm: LLM,
        counter: TokenCounter,
        *,
        max_tokens: int,
        few_shot: bool = False,
        holds_schema: bool = False,
        reading_speed: float = 0.0,
        concurrency: int = 1,
        advice: str = "",
    ) -> None:
        self._llm = llm
        self._counter = counter
        self._max_tokens = max_tokens
        self.few_shot = few_shot
        self._holds_schema = holds_schema
        self._given_speed = reading_speed
        self._measured_speed = 0.0
        self._concurrency = concurrency
        self._advice = advice.strip()

    @property
    def name(self) -> str:
        """The model's name."""
        return self._llm.metadata.model_name

    @property
    def signature(self) -> str:
        """The model, and how it is asked to summarise."""
        advised = f" ({self._advice})" if self._advice else ""
        style = "few-shot" if self.few_shot else f"chat{advised}"
        temperature = getattr(self._llm, "temperature", None)
        return f"{self.name}, {style}, {self._max_tokens} tokens, temperature {temperature}"

    @property
    def reading_speed(self) -> float:
        """Prompt tokens a second: as given, or as the engine last said; 0 where it is not known."""
        return self._given_speed or self._measured_speed

    def generate(
        self, question: str, context: Context, *, watch: Watch | None = None
    ) -> Generation:
        """One call of the model.

        Raises:
            ModelError: it failed, or the question alone does not fit its window.
        """
        prompt_for = complete_answer if self.few_shot else chat_answer
        request = self._with_passages(lambda fitting: prompt_for(question, fitting), context)
        return self._ask(request, {}, watch)

    def write(
        self,
        prompts_with: Sequence[PromptWith],
        context: Context,
        *,
        schema: dict[str, Any] | None = None,
        temperature: float | None = None,
    ) -> list[Generation]:
        """A call for each prompt: in one batch, side by side, or one after the other.

        Raises:
            ModelError: one failed, or with one passage does not fit the model's window.
        """
        options: dict[str, Any] = {}
        if schema and self._holds_schema:
            form = {"name": "answer", "strict": True, "schema": schema}
            options["response_format"] = {"type": "json_schema", "json_schema": form}
        if temperature is not None:
            options["temperature"] = temperature
        requests = [self._with_passages(each, context) for each in prompts_with]
        if len(requests) > 1 and isinstance(self._llm, Batching):
            return self._ask_at_once(self._llm, requests, options)
        seeded = [
            options if temperature is None else {**options, "seed": seed}
            for seed in range(len(requests))
        ]
        if len(requests) > 1 and self._concurrency > 1:
            asking = [
                self._threads.submit(copy_context().run, self._ask, request, each)
                for request, each in zip(requests, seeded, strict=True)
            ]
            return [each.result() for each in asking]
        return list(map(self._ask, requests, seeded))

    def summarise(self, texts: Sequence[str], words: int) -> Generation:
        """One call of the model: these texts together, in about so many words.

        Texts that would not fit the model's window are left out, last ones first.

        Raises:
            ModelError: it failed, or not one text fits its window.
        """
        prompt_for = complete_summary if self.few_shot else chat_summary
        request = self._fitted(lambda kept: prompt_for(texts[:kept], words), len(texts), "texts")
        return self._ask(request, {})

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._concurrency, thread_name_prefix="generation")

    def _with_passages(self, prompt_with: PromptWith, context: Context) -> _Request:
        """The prompt with as many of the passages as fit."""

        def prompt(kept: int) -> Prompt:
            return prompt_with(replace(context, passages=context.passages[:kept]))

        return self._fitted(prompt, len(context.passages), "passages")

    def _fitted(self, prompt_with: Callable[[int], Prompt], parts: int, what: str) -> _Request:
        """The prompt with as many of the parts as fit, and with the advice."""
        room = (self._llm.metadata.context_window - self._max_tokens) / _TOKENS_PER_TOKEN

        def prompt(kept: int) -> Prompt:
            return self._advised(prompt_with(kept))

        def fits(kept: int) -> bool:
            return self._counter.fits("".join(prompt(kept)), int(room))

        kept = bisect_left(range(1, parts + 1), True, key=lambda kept: not fits(kept))
        if not kept and (parts or not fits(0)):
            raise ModelError(
                f"the question and one passage do not fit {self.name}, which reads "
                f"{self._llm.metadata.context_window} tokens",
                hint="ask shorter, set selection.budget, or raise generation.context_window",
            )
        left_out = f"{parts - kept} {what} did not fit the model's window" * (kept < parts)
        return _Request(prompt(kept), left_out)

    def _advised(self, prompt: Prompt) -> Prompt:
        """Advice comes after the orders: prompts that began alike still do."""
        if not (prompt.orders and self._advice):
            return prompt
        return prompt._replace(orders=f"{prompt.orders} {self._advice}")

    def _ask(
        self, request: _Request, options: dict[str, Any], watch: Watch | None = None
    ) -> Generation:
        """One call."""
        try:
            with calling(self.name, _operation(request.prompt)) as figures:
                text, raw = self._reply(request.prompt, options, watch)
                figures.update(_usage(raw))
        except ModelError:
            raise
        except Exception as error:  # every engine behind LlamaIndex raises its own kinds
            if "response_format" in options and getattr(error, "status_code", 0) in _REFUSED:
                bare = {key: value for key, value in options.items() if key != "response_format"}
                written = self._ask(request, bare, watch)
                self._holds_schema = False
                return written
            raise self._silent(error) from error
        return self._generation(request, text, raw)

    def _ask_at_once(
        self, llm: Batching, requests: Sequence[_Request], options: dict[str, Any]
    ) -> list[Generation]:
        """All in one batch."""
        prompts = [
            llm.messages_to_prompt(_messages(request.prompt))
            if request.prompt.orders
            else request.prompt.request
            for request in requests
        ]
        try:
            with calling(self.name, "text_completion") as figures:
                replies = llm.complete_all(prompts, **options)
                figures.update(_usage(*(reply.raw for reply in replies)))
        except ModelError:
            raise
        except Exception as error:
            raise self._silent(error) from error
        return [
            self._generation(request, _first_line_of(request.prompt, reply.text), reply.raw)
            for request, reply in zip(requests, replies, strict=True)
        ]

    def _reply(
        self, prompt: Prompt, options: dict[str, Any], watch: Watch | None
    ) -> tuple[str, Any]:
        """The text, and whatever the engine says of the call."""
        if watch is not None:
            return self._streamed(prompt, options, watch)
        if prompt.orders:
            response = self._llm.chat(_messages(prompt), **options)
            return response.message.content or "", response.raw
        completion = self._llm.complete(prompt.request, formatted=True, **options)
        return _first_line_of(prompt, completion.text), completion.raw

    def _streamed(self, prompt: Prompt, options: dict[str, Any], watch: Watch) -> tuple[str, Any]:
        text, raw = "", None
        parts = (
            self._llm.stream_chat(_messages(prompt), **options)
            if prompt.orders
            else self._llm.stream_complete(prompt.request, formatted=True, **options)
        )
        try:
            for part in parts:
                delta = part.delta or ""
                text += delta
                raw = part.raw if raw is None or used_tokens(part.raw) else raw
                if not prompt.orders and "\n" in text.lstrip():
                    break  # a third example begins
                watch(delta)
        except BaseException:
            # Who stops listening has the engine stop. LlamaIndex leaves the stream under its own in
            # a cycle, where it would hang on, and the engine write on, until chance collects it.
            parts.close()
            gc.collect()
            raise
        return _first_line_of(prompt, text), raw

    def _generation(self, request: _Request, text: str, raw: Any) -> Generation:
        self._measured_speed = reading_speed(raw) or self._measured_speed
        return Generation(
            without_reasoning(text),
            llm_calls=1,
            llm_tokens=used_tokens(raw) or self._counter.count("".join(request.prompt) + text),
            degraded=request.left_out,
            cached_tokens=cached_tokens(raw),
        )

    def _silent(self, error: Exception) -> ModelError:
        return ModelError(
            f"{self.name} did not answer: {type(error).__name__}: {first_line(error)}",
            hint="check the generation settings, or use generation.kind = extractive",
        )


def _messages(prompt: Prompt) -> list[ChatMessage]:
    from llama_index.core.llms import ChatMessage, MessageRole  # slow: 2 s

    return [
        ChatMessage(prompt.orders, role=MessageRole.SYSTEM),
        ChatMessage(prompt.request, role=MessageRole.USER),
    ]


def _operation(prompt: Prompt) -> str:
    """As OpenTelemetry calls it."""
    return "chat" if prompt.orders else "text_completion"


def _usage(*raws: Any) -> Figures:
    """What engines say of the tokens of their calls, together, as OpenTelemetry calls them."""
    read, written = map(sum, zip(*map(read_and_written, raws), strict=True))
    if not written:
        return {}
    return {
        "gen_ai.usage.input_tokens": read,
        "gen_ai.usage.output_tokens": written,
        "gen_ai.usage.cache_read.input_tokens": sum(map(cached_tokens, raws)),
    }


def _first_line_of(prompt: Prompt, text: str) -> str:
    """A completion to its line's end; engines that do not stop there go on with a third example."""
    return text if prompt.orders else text.strip().partition("\n")[0]
