"""Verification: numbers, dates and identifiers of an answer must stand in what it cites."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.grounding.values import supports, values_of
from rag.types import Citation

__all__ = ["unsupported"]

_NUMBER = re.compile(r"\[\d+\]")  # of a citation


def unsupported(text: str, citations: Sequence[Citation]) -> tuple[str, ...]:
    """The numbers, dates and identifiers of an answer that no quote of its citations holds.

    Those written in words are let be: "one" and "first" are mostly none.

    Args:
        text: of the answer, its citations numbered like [1].
        citations: of the answer.
    """
    held = [value for citation in citations for value in values_of(citation.quote)]
    # A paper's own citations are shown as ⟦29], so as not to pose as ours; they state nothing.
    stated = values_of(_NUMBER.sub(" ", text.replace("⟦", "[")))
    missing = (
        value.text
        for value in stated
        if any(map(str.isdigit, value.text)) and not any(supports(known, value) for known in held)
    )
    return tuple(dict.fromkeys(missing))
