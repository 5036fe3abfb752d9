"""Grounding: whether citations lead to the evidence, and numbers come from the sources."""

from __future__ import annotations

import re
from collections.abc import Sequence

from eval.located import Located, by_document

__all__ = ["citation_precision", "citation_recall", "unmarked", "unsupported_numbers"]

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_MARK = re.compile(r"\[S?\d+\]")


def citation_precision(references: Sequence[Located], citations: Sequence[Located]) -> float:
    """The share of the citations that touch a reference; 0 where nothing is cited."""
    wanted = by_document(references)
    right = sum(
        bool(wanted[each.doc].clip(each.span)) if each.doc in wanted else False
        for each in citations
    )
    return right / len(citations) if citations else 0.0


def citation_recall(references: Sequence[Located], citations: Sequence[Located]) -> float:
    """The share of the references that a citation touches; 0 where there are none."""
    return citation_precision(citations, references)


def unsupported_numbers(answer: str, sources: Sequence[str]) -> list[str]:
    """The numbers of an answer that stand in none of its sources, as the answer writes them.

    Thousands separators do not matter; citation marks such as [1] or [S1] are not numbers.
    Sources are the texts that were before the generator, and the question.

    >>> unsupported_numbers("It fell 12% to 1,204 [1].", ["1204 units"])
    ['12']
    """
    known = {_plain(found) for source in sources for found in _NUMBER.findall(source)}
    return [found for found in _NUMBER.findall(unmarked(answer)) if _plain(found) not in known]


def unmarked(answer: str) -> str:
    """An answer without its citation marks.

    >>> unmarked("It fell 12% [1].")
    'It fell 12% .'
    """
    return _MARK.sub("", answer)


def _plain(number: str) -> str:
    return re.sub(r",(?=\d{3}(?:\D|$))", "", number)
