"""What the patterns of values have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

from rag.grounding.values.value import Reading

__all__ = ["LEFT", "LETTERS", "RIGHT", "Reader", "Rule", "bounded"]

Reader: TypeAlias = Callable[[re.Match[str]], Iterator[Reading]]
"""The readings of a match; none where it is no value after all."""

Rule: TypeAlias = tuple[re.Pattern[str], Reader]

LETTERS = r"A-Za-z0-9_\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff"
"""What no value may touch. Scripts without blanks between words are not here: 300円 holds 300."""

LEFT, RIGHT = rf"(?<![{LETTERS}])", rf"(?![{LETTERS}])"


def bounded(pattern: str) -> re.Pattern[str]:
    """The pattern, where it is no part of a longer word."""
    return re.compile(rf"{LEFT}(?:{pattern}){RIGHT}")
