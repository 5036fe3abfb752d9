"""Any OpenAI-compatible server: vLLM, llama.cpp, or a hosted one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.errors import ExtraMissing
from rag.settings import GenerationSettings

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

__all__ = ["load_server"]


def load_server(settings: GenerationSettings) -> LLM:
    """A client of the server the settings name; it is first asked when it answers.

    Raises:
        ExtraMissing: LlamaIndex's OpenAI-compatible package is not installed.
    """
    try:
        from llama_index.llms.openai_like import OpenAILike
    except ImportError:
        raise ExtraMissing("llama-index-llms-openai-like", "server") from None
    llm: LLM = OpenAILike(
        model=settings.model,
        api_base=settings.url,
        api_key=settings.api_key.get_secret_value() or "none",
        is_chat_model=True,
        context_window=settings.context_window,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        timeout=settings.timeout,
        max_retries=3,
    )
    return llm
