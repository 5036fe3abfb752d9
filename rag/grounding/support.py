"""Support: which stretch of a passage says what a claim says. A check of words and numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rag.pruning.render import readable
from rag.sentences import sentence_spans
from rag.spans import Span
from rag.types import Passage

__all__ = ["SUPPORT", "Support", "content_words", "figures", "find_support"]

SUPPORT = 0.5
"""Share of a claim's content words that must stand in its source for it to count as supported."""

_WORD = re.compile(r"\w+(?:[.,'’-]\w+)*")  # noqa: RUF001
_FUNCTION_WORDS = frozenset(
    "a about after all also an and any are as at be been before both but by can could did do "
    "does each for from had has have he her his how i if in into is it its may more most no "
    "not of on one only or other our over she should so some such than that the their them "
    "then there these they this those to under was we were what when where which while who "
    "will with would you your according source sources stated states answer".split()
)


class Support(NamedTuple):
    """Where a claim is supported: a stretch of a passage.

    `share` of the claim's content words stand there; `verified` says that these are enough, and
    that every figure of the claim is among them.
    """

    passage: Passage
    span: Span
    share: float
    verified: bool


def find_support(claim: str, passages: Sequence[Passage]) -> Support | None:
    """The stretch of these passages that shares most content words with the claim, or None."""
    words = content_words(claim)
    best: Support | None = None
    for passage in passages:
        span, share = _stretch(words, passage)
        if span is not None and share > (best.share if best else 0.0):
            held = content_words(passage.chunk.slice(span))
            best = Support(passage, span, share, share >= SUPPORT and figures(words) <= held)
    return best


def content_words(text: str) -> set[str]:
    """The words of a text that carry meaning, in lower case."""
    return {word.strip(".,_") for word in _WORD.findall(text.lower())} - _FUNCTION_WORDS


def figures(words: set[str]) -> set[str]:
    """Those words that hold a digit."""
    return {word for word in words if any(map(str.isdigit, word))}


def _stretch(words: set[str], passage: Passage) -> tuple[Span | None, float]:
    """The sentences of the passage that share most words with the claim, and the share.

    One sentence where one says it all; its neighbours are added where they say more, never
    across a sentence that was not kept.
    """
    best: tuple[float, Span | None] = (0.0, None)
    start = passage.chunk.span.start
    for kept in readable(passage) if words else ():
        sentences = [
            span.shift(start) for span in sentence_spans(passage.chunk.text, kept.shift(-start))
        ]
        shared = [words & content_words(passage.chunk.slice(span)) for span in sentences]
        if any(shared):
            first, last, covered = _run(shared)
            span = Span(sentences[first].start, sentences[last].end)
            best = max(best, (len(covered) / len(words), span), key=lambda found: found[0])
    return best[1], best[0]


def _run(shared: list[set[str]]) -> tuple[int, int, set[str]]:
    """The sentence with most shared words, grown while its neighbours share further ones."""
    first = last = max(range(len(shared)), key=lambda at: len(shared[at]))
    covered = shared[first]
    while last + 1 < len(shared) and shared[last + 1] - covered:
        last += 1
        covered = covered | shared[last]
    while first and shared[first - 1] - covered:
        first -= 1
        covered = covered | shared[first]
    return first, last, covered
