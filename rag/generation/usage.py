"""What an engine says of a call, read from its raw reply: speed, tokens, what it remembered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["cached_tokens", "read_and_written", "reading_speed", "used_tokens"]

_FEWEST_TIMED = 64  # prompt tokens; the speed of fewer is mostly overhead


def reading_speed(raw: Any) -> float:
    """Prompt tokens a second as llama.cpp tells them, or 0; a prompt it had cached says nothing."""
    timings = _of(raw, "timings")
    if (_of(timings, "prompt_n") or 0) < _FEWEST_TIMED:
        return 0.0
    return float(_of(timings, "prompt_per_second") or 0)


def used_tokens(raw: Any) -> int:
    """The tokens of a prompt and its completion, or 0 where the engine does not say."""
    output = _of(raw, "model_output")
    if output is not None:
        return int(output.numel())  # HuggingFaceLLM: the token ids themselves
    return int(_of(_of(raw, "usage"), "total_tokens") or 0)


def read_and_written(raw: Any) -> tuple[int, int]:
    """The tokens of a prompt and those of its completion, or 0 where the engine does not say."""
    usage = _of(raw, "usage")
    return int(_of(usage, "prompt_tokens") or 0), int(_of(usage, "completion_tokens") or 0)


def cached_tokens(raw: Any) -> int:
    """The tokens of the prompt that an engine remembered, or 0 where it does not say."""
    told = _of(_of(raw, "timings"), "cache_n")  # llama.cpp
    if told is None:
        told = _of(_of(_of(raw, "usage"), "prompt_tokens_details"), "cached_tokens")
    return int(told or 0)


def _of(raw: Any, name: str) -> Any:
    """A field of a reply, which may be a mapping, an object, or not there."""
    return raw.get(name) if isinstance(raw, Mapping) else getattr(raw, name, None)
