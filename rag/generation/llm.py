"""Any LlamaIndex `LLM` as a generator."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rag.errors import ModelError
from rag.generation.base import Generation, Prompt
from rag.generation.prompt import (
    chat_answer,
    chat_summary,
    complete_answer,
    complete_summary,
)
from rag.tokens import TokenCounter
from rag.types import Context

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

__all__ = ["LlmGenerator"]

_FEWEST_TIMED = 64  # prompt tokens; the speed of fewer is mostly overhead
_TOKENS_PER_TOKEN = 1.4  # the embedder's tokenizer against an unknown model's; on the safe side


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
        holds_schema: the engine takes an OpenAI `response_format` and keeps to it.
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
    ) -> None:
        self._llm = llm
        self._counter = counter
        self._max_tokens = max_tokens
        self.few_shot = few_shot
        self._holds_schema = holds_schema
        self._given_speed = reading_speed
        self._measured_speed = 0.0

    @property
    def name(self) -> str:
        """The model's name."""
        return self._llm.metadata.model_name

    @property
    def signature(self) -> str:
        """The model, and how it is asked to summarise."""
        style = "few-shot" if self.few_shot else "chat"
        temperature = getattr(self._llm, "temperature", None)
        return f"{self.name}, {style}, {self._max_tokens} tokens, temperature {temperature}"

    @property
    def reading_speed(self) -> float:
        """Prompt tokens a second: as given, or as the engine last said; 0 where it is not known."""
        return self._given_speed or self._measured_speed

    def generate(self, question: str, context: Context) -> Generation:
        """One call of the model.

        Raises:
            ModelError: it failed, or the question alone does not fit its window.
        """
        prompt_for = complete_answer if self.few_shot else chat_answer
        return self.write(lambda fitting: prompt_for(question, fitting), context)

    def write(
        self,
        prompt_with: Callable[[Context], Prompt],
        context: Context,
        *,
        schema: dict[str, Any] | None = None,
        temperature: float | None = None,
    ) -> Generation:
        """One call of the model, with as many of the passages as fit.

        Raises:
            ModelError: it failed, or the prompt with one passage does not fit its window.
        """

        def prompt(kept: int) -> Prompt:
            return prompt_with(replace(context, passages=context.passages[:kept]))

        options: dict[str, Any] = {} if temperature is None else {"temperature": temperature}
        if schema and self._holds_schema:
            form = {"name": "answer", "strict": True, "schema": schema}
            options["response_format"] = {"type": "json_schema", "json_schema": form}
        return self._write(prompt, len(context.passages), "passages", options)

    def summarise(self, texts: Sequence[str], words: int) -> Generation:
        """One call of the model: these texts together, in about so many words.

        Texts that would not fit the model's window are left out, last ones first.

        Raises:
            ModelError: it failed, or not one text fits its window.
        """
        prompt_for = complete_summary if self.few_shot else chat_summary
        return self._write(lambda kept: prompt_for(texts[:kept], words), len(texts), "texts")

    def _write(
        self,
        prompt_with: Callable[[int], Prompt],
        parts: int,
        what: str,
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> Generation:
        """Ask with as many of the parts as fit."""
        kept = self._most_that_fit(prompt_with, parts)
        prompt = prompt_with(kept)
        try:
            text, raw = self._ask(prompt, options)
        except ModelError:
            raise
        except Exception as error:  # every engine behind LlamaIndex raises its own kinds
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ModelError(
                f"{self.name} did not answer: {reason}",
                hint="check the generation settings, or use generation.kind = extractive",
            ) from error
        self._measured_speed = _prompt_speed(raw) or self._measured_speed
        return Generation(
            text.strip(),
            llm_calls=1,
            llm_tokens=_used(raw) or self._counter.count("".join(prompt) + text),
            degraded=f"{parts - kept} {what} did not fit the model's window" * (kept < parts),
            cached_tokens=_cached(raw),
        )

    def _ask(self, prompt: Prompt, options: Mapping[str, Any]) -> tuple[str, Any]:
        from llama_index.core.llms import ChatMessage, MessageRole  # slow: 2 s

        if not prompt.orders:
            completion = self._llm.complete(prompt.request, formatted=True, **options)
            # Engines that do not stop at the line's end go on with a third example.
            return completion.text.strip().partition("\n")[0], completion.raw
        response = self._llm.chat(
            [
                ChatMessage(prompt.orders, role=MessageRole.SYSTEM),
                ChatMessage(prompt.request, role=MessageRole.USER),
            ],
            **options,
        )
        return response.message.content or "", response.raw

    def _most_that_fit(self, prompt_with: Callable[[int], Prompt], parts: int) -> int:
        room = (self._llm.metadata.context_window - self._max_tokens) / _TOKENS_PER_TOKEN

        def fits(kept: int) -> bool:
            return self._counter.fits("".join(prompt_with(kept)), int(room))

        kept = bisect_left(range(1, parts + 1), True, key=lambda kept: not fits(kept))
        if kept or (not parts and fits(0)):
            return kept
        raise ModelError(
            f"the question and one passage do not fit {self.name}, which reads "
            f"{self._llm.metadata.context_window} tokens",
            hint="ask shorter, set selection.budget, or raise generation.context_window",
        )


def _prompt_speed(raw: Any) -> float:
    """Prompt tokens a second as llama.cpp tells them, or 0; a prompt it had cached says nothing."""
    timings = raw.get("timings") if isinstance(raw, Mapping) else getattr(raw, "timings", None)
    if not isinstance(timings, Mapping) or timings.get("prompt_n", 0) < _FEWEST_TIMED:
        return 0.0
    return float(timings.get("prompt_per_second", 0.0))


def _used(raw: Any) -> int:
    """The tokens an engine says it processed, prompt and completion, or 0 where it does not."""
    if isinstance(raw, Mapping) and raw.get("model_output") is not None:
        return int(raw["model_output"].numel())  # HuggingFaceLLM: the token ids themselves
    usage = raw.get("usage") if isinstance(raw, Mapping) else getattr(raw, "usage", None)
    if usage is None:
        return 0
    total = usage.get("total_tokens") if isinstance(usage, Mapping) else usage.total_tokens
    return int(total or 0)


def _cached(raw: Any) -> int:
    """The tokens of the prompt that an engine remembered, or 0 where it does not say."""
    raw = raw if isinstance(raw, Mapping) else {"usage": getattr(raw, "usage", None)}
    timings, usage = raw.get("timings"), raw.get("usage")
    if isinstance(timings, Mapping):  # llama.cpp
        return int(timings.get("cache_n") or 0)
    details = getattr(usage, "prompt_tokens_details", None)
    return int(getattr(details, "cached_tokens", 0) or 0)
