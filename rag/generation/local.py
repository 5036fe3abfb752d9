"""Any Hugging Face causal model, through torch: on a GPU where there is one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import torch
from llama_index.core.base.llms.types import (
    ChatMessage,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import CustomLLM
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.generation.streamers import TextStreamer

from rag.errors import ModelError, first_line
from rag.generation.prefix import Batch, PrefixCache
from rag.generation.streaming import parts_of
from rag.settings import GenerationSettings

__all__ = ["LocalLlm", "load_local"]

logger = logging.getLogger(__name__)


class LocalLlm(CustomLLM):
    """A causal model in this process.

    What it has read is remembered, and prompts that begin alike are read from where they differ.
    One batch at a time: others, of other threads, wait.
    Several prompts are answered in one batch; a batch that does not fit the GPU is halved.
    """

    context_window: int = 4096
    max_tokens: int = 256
    temperature: float = 0.0
    name: str = ""

    _model: PreTrainedModel = PrivateAttr()
    _tokenizer: PreTrainedTokenizerBase = PrivateAttr()
    _read: PrefixCache = PrivateAttr(default_factory=PrefixCache)
    _reading: Lock = PrivateAttr(default_factory=Lock)

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, **fields: Any
    ) -> None:
        super().__init__(messages_to_prompt=None, **fields)
        self._model = model
        self._tokenizer = tokenizer
        self.messages_to_prompt = self._chat_prompt

    @classmethod
    def class_name(cls) -> str:
        """As LlamaIndex serialises it."""
        return "spanrag_local"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex asks of a model."""
        return LLMMetadata(
            context_window=self.context_window,
            num_output=self.max_tokens,
            is_chat_model=self._tokenizer.chat_template is not None,
            model_name=self.name,
        )

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Complete a prompt."""
        del formatted
        (response,) = self.complete_all([prompt], **kwargs)
        return response

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Complete a prompt, word by word; the last part has the counts."""
        del formatted

        def write(emit: Callable[[str | CompletionResponse], bool]) -> None:
            streamer = _Emitting(self._tokenizer, emit)
            (response,) = self._answered([prompt], streamer=streamer, **kwargs)
            emit(response)

        def parts() -> CompletionResponseGen:
            text = ""
            for part in parts_of(write):
                if isinstance(part, CompletionResponse):
                    yield CompletionResponse(text=text, delta="", raw=part.raw)
                else:
                    text += part
                    yield CompletionResponse(text=text, delta=part)

        return parts()

    def complete_all(self, prompts: Sequence[str], **options: Any) -> list[CompletionResponse]:
        """Complete several prompts in one batch, or in as few as the GPU has room for.

        Args:
            prompts: as the model reads them.
            options: `temperature` and `seed`.

        Raises:
            ModelError: there is not even room for one.
        """
        try:
            return self._answered(prompts, **options)
        except torch.OutOfMemoryError as error:
            self._read.forget()
            torch.cuda.empty_cache()
            if len(prompts) == 1:
                raise ModelError(
                    f"{self.name} has no room on {self._model.device} for a prompt like this",
                    hint="narrow the context, lower generation.max_tokens, or use a smaller model",
                ) from error
        half = len(prompts) // 2
        logger.info("no room for %d prompts at a time: going on with %d", len(prompts), half)
        return [
            *self.complete_all(prompts[:half], **options),
            *self.complete_all(prompts[half:], **options),
        ]

    def _answered(
        self, prompts: Sequence[str], *, streamer: TextStreamer | None = None, **options: Any
    ) -> list[CompletionResponse]:
        # A chat template has written the special tokens already; a bare text gets them here.
        chat = self.metadata.is_chat_model
        ids = [self._tokenizer(each, add_special_tokens=not chat)["input_ids"] for each in prompts]
        with self._reading:
            return self._generated(ids, streamer=streamer, **options)

    def _generated(
        self, ids: list[list[int]], *, streamer: TextStreamer | None, **options: Any
    ) -> list[CompletionResponse]:
        temperature = options.get("temperature", self.temperature)
        batch = self._read.batch(ids, self._model.device)
        if "seed" in options or temperature:
            torch.manual_seed(options.get("seed", 0))
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        generate: Any = self._model.generate  # torch's types take it for a tensor
        with torch.inference_mode():
            written = generate(
                **batch.inputs,
                max_new_tokens=self.max_tokens,
                pad_token_id=self._padding,
                streamer=streamer,
                return_dict_in_generate=True,
                **(sampling if temperature else {"do_sample": False}),
            )
        self._read.remember(batch, written.past_key_values)
        answers = written.sequences[:, batch.width :]
        return [self._response(batch, row, answer.tolist()) for row, answer in enumerate(answers)]

    def _response(self, batch: Batch, row: int, answer: list[int]) -> CompletionResponse:
        ends = self._model.generation_config.eos_token_id
        ending = set(ends if isinstance(ends, list) else [ends])
        length = next((at + 1 for at, token in enumerate(answer) if token in ending), len(answer))
        usage = {
            "prompt_tokens": len(batch.ids[row]),
            "completion_tokens": length,
            "total_tokens": len(batch.ids[row]) + length,
            "prompt_tokens_details": {"cached_tokens": batch.reused[row]},
        }
        text = self._tokenizer.decode(answer[:length], skip_special_tokens=True)
        return CompletionResponse(text=text, raw={"usage": usage})

    @property
    def _padding(self) -> int:
        given = self._tokenizer.pad_token_id
        return self._tokenizer.eos_token_id or 0 if given is None else given

    def _chat_prompt(self, messages: Sequence[ChatMessage]) -> str:
        told = [{"role": each.role.value, "content": each.content or ""} for each in messages]
        text = self._tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
        return str(text)


class _Emitting(TextStreamer):
    """Hands on each word as it is finished; stops the model when nobody listens any more."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, emit: Callable[[str], bool]) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._emit = emit

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """A word, or the rest of the text."""
        del stream_end
        if self._emit(text):
            raise _NobodyListens


class _NobodyListens(Exception):
    """Ends a generation from within."""


def load_local(settings: GenerationSettings, *, offline: bool = True) -> LocalLlm:
    """The model the settings name, loaded.

    Raises:
        ModelError: it is not there, or does not fit the device.
    """
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = settings.precision
    if dtype == "auto":
        dtype = "bfloat16" if device.startswith("cuda") else "float32"
    try:
        model = AutoModelForCausalLM.from_pretrained(
            settings.model, dtype=getattr(torch, dtype), local_files_only=offline
        )
        tokenizer = AutoTokenizer.from_pretrained(settings.model, local_files_only=offline)
        model = model.to(device)  # type: ignore[arg-type]  # the stub forgets the first argument
    except (OSError, ValueError, RuntimeError, AssertionError, SafetensorError) as error:
        # AssertionError: a torch without CUDA, asked for it
        raise ModelError(
            f"cannot load {settings.model} on {device}: {first_line(error)}",
            hint="set generation.model to a folder or a cached name, and check generation.device",
        ) from error
    return LocalLlm(
        model,
        tokenizer,
        name=settings.model,
        context_window=settings.context_window,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
    )
