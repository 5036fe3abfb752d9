"""Units: the stretches of a text that are kept or dropped whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.attribution.base import TokenScores
from rag.sentences import sentence_spans
from rag.spans import Span

__all__ = ["Granularity", "unit_scores", "unit_spans"]

Granularity = Literal["token", "word", "clause"]

_WORD = re.compile(r"\S+")
_CLAUSE_END = re.compile(
    r"[,;:](?=\s)|\s(?=(?:and|or|but|which|that|who|because|although|while|if|when|unless)\b)|"
    r"\s[-–—]\s|\n"  # noqa: RUF001
)


def unit_spans(text: str, granularity: Granularity, scores: TokenScores) -> list[Span]:
    """The units of a text, in order, none with white space at its ends.

    Args:
        text: what is to be pruned.
        granularity: "word", runs of characters without white space; "clause", the parts of a
            sentence between commas, conjunctions and line breaks; "token", the model's own
            pieces, with whatever the tokenizer dropped before them in their word.
        scores: of the text; only their offsets are used, and only for "token".
    """
    words = [Span(*match.span()) for match in _WORD.finditer(text)]
    if granularity == "word":
        return words
    if granularity == "clause":
        return [clause for sentence in sentence_spans(text) for clause in _clauses(text, sentence)]
    starts = sorted({int(start) for start, _ in scores.offsets[scores.ranked]})
    return [piece for word in words for piece in _pieces(word, starts)]


def unit_scores(units: Sequence[Span], scores: TokenScores) -> NDArray[np.float64]:
    """The sum of the scores of the tokens that begin in each unit, shape (units,).

    A sum keeps a share a share: a word's is that of its pieces. A unit without a token, text the
    tokenizer drops, has minus infinity: it goes first.
    """
    found = np.full(len(units), -np.inf)
    starts = np.array([unit.start for unit in units], dtype=np.int64)
    for (start, end), score in zip(
        scores.offsets[scores.ranked].tolist(), scores.scores[scores.ranked], strict=True
    ):
        at = int(np.searchsorted(starts, start, side="right")) - 1
        if at >= 0 and end > start and start < units[at].end:
            found[at] = score if np.isinf(found[at]) else found[at] + score
    return found


def _clauses(text: str, sentence: Span) -> list[Span]:
    stretch = sentence.text_in(text)
    cuts = [0, *(match.end() for match in _CLAUSE_END.finditer(stretch)), len(stretch)]
    parts = (Span(start, end).shift(sentence.start) for start, end in pairwise(cuts))
    return [trimmed for part in parts if (trimmed := part.trim_in(text))]


def _pieces(word: Span, starts: Sequence[int]) -> list[Span]:
    inside = [start for start in starts if word.start < start < word.end]
    edges = [word.start, *inside, word.end]
    return [Span(start, end) for start, end in pairwise(edges)]
