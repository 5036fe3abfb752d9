"""From a setting to a generator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rag.generation.base import Generator
from rag.generation.extractive import ExtractiveGenerator
from rag.settings import GenerationSettings
from rag.tokens import TokenCounter

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

__all__ = ["load_generator"]


def load_generator(
    settings: GenerationSettings,
    counter: TokenCounter,
    models: Path | None = None,
    *,
    offline: bool = True,
) -> Generator:
    """The generator the settings name.

    Args:
        settings: which one.
        counter: measures prompts.
        models: the folder of pulled model files; by default the user's cache.
        offline: take a hub's model from its cache only.

    Raises:
        ModelError: it is not there.
        ExtraMissing: it needs a package that is not installed.
    """
    if settings.kind == "extractive":
        return ExtractiveGenerator()
    from rag.generation.llm import LlmGenerator

    few_shot = False
    if settings.kind == "bundled":
        from rag.generation.bundled import BundledLlm

        few_shot = True
        llm: LLM = BundledLlm(
            folder=models,
            context_window=settings.context_window,
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
        ).loaded()
    elif settings.kind == "local":
        from rag.generation.local import load_local

        llm = load_local(settings, offline=offline)
        few_shot = not llm.metadata.is_chat_model  # a base model has no chat template
    else:
        from rag.generation.server import load_server

        llm = load_server(settings)
    served = settings.kind == "server"
    return LlmGenerator(
        llm,
        counter,
        max_tokens=settings.max_tokens,
        few_shot=few_shot,
        holds_schema=served,
        concurrency=settings.concurrency if served else 1,
        reading_speed=settings.reading_speed,
        advice=settings.advice,
    )
