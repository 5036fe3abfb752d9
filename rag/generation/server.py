"""Any OpenAI-compatible server: vLLM, llama.cpp, or a hosted one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.rate_limiter import TokenBucketRateLimiter

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
        from openai import OpenAI
    except ImportError:
        raise ExtraMissing("llama-index-llms-openai-like", "server") from None
    # The client tries again itself, also what is streamed: after a while that doubles and is never
    # twice the same, or as long as the server says. LlamaIndex would multiply its tries by its own.
    client = OpenAI(
        base_url=settings.url,
        api_key=settings.api_key.get_secret_value() or "none",
        timeout=settings.timeout,
        max_retries=settings.retries,
    )
    llm: LLM = OpenAILike(
        model=settings.model,
        api_base=settings.url,
        api_key=client.api_key,
        is_chat_model=True,
        context_window=settings.context_window,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        max_retries=0,
        openai_client=client,
        additional_kwargs={"stream_options": {"include_usage": True}},
    )
    if settings.requests_per_minute:
        llm.rate_limiter = TokenBucketRateLimiter(requests_per_minute=settings.requests_per_minute)
    return llm
