"""Any Hugging Face causal model, through torch: on a GPU where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.errors import ExtraMissing, ModelError, first_line
from rag.settings import GenerationSettings

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

__all__ = ["load_local"]


def load_local(settings: GenerationSettings, *, offline: bool = True) -> LLM:
    """The model the settings name, loaded.

    Raises:
        ModelError: it is not there, or does not fit the device.
        ExtraMissing: LlamaIndex's Hugging Face package is not installed.
    """
    import torch

    try:
        from llama_index.llms.huggingface import HuggingFaceLLM
    except ImportError:
        raise ExtraMissing("llama-index-llms-huggingface", "local") from None
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

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
    sampling = {"do_sample": True, "temperature": settings.temperature}
    llm: LLM = HuggingFaceLLM(
        model=model,
        tokenizer=tokenizer,
        model_name=settings.model,
        tokenizer_name=settings.model,
        context_window=settings.context_window,
        max_new_tokens=settings.max_tokens,
        generate_kwargs=sampling if settings.temperature else {"do_sample": False},
        is_chat_model=tokenizer.chat_template is not None,
    )
    return llm
