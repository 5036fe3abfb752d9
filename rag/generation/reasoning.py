"""What a reasoning model thinks before it answers is no part of the answer."""

from __future__ import annotations

import re

__all__ = ["without_reasoning"]

_TAG = r"(?:think|thinking|thought|reasoning|reflection)"
_BLOCK = re.compile(rf"<({_TAG})>.*?</\1>", re.DOTALL | re.IGNORECASE)
_ENDED = re.compile(rf".*</{_TAG}>", re.DOTALL | re.IGNORECASE)
_BEGUN = re.compile(rf"<{_TAG}>.*", re.DOTALL | re.IGNORECASE)


def without_reasoning(text: str) -> str:
    """A model's reply without its `<think>` blocks.

    Some chat templates open the block in the prompt, so that only its end is in the reply; a reply
    that was cut off while the model thought holds no answer.

    >>> without_reasoning("<think>12 or 13?</think> 12"), without_reasoning("12 or 13?</think>12")
    ('12', '12')
    >>> without_reasoning("<think>12 or")
    ''
    """
    text = _ENDED.sub("", _BLOCK.sub("", text))
    return _BEGUN.sub("", text).strip()
