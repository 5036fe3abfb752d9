"""FrugalPrompt: keep the most salient units of a context, in their order.

Source: the FrugalPrompt notebooks (keep the k % most salient tokens, in order, with salience from
GlobEnc or DecompX). Departures: units are stretches of the source, so casing, spacing and markup
survive; special tokens take no part in the ranking; salience may be about the question; classes of
text that must not be lost are kept whatever their salience; a question that needs numbers or steps
is answered from whole clauses, because the published results collapse there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.attribution.base import Attributor, TokenScores
from rag.pruning.protect import PROFILES, protected_spans
from rag.pruning.units import Granularity, unit_scores, unit_spans
from rag.settings import PruningSettings
from rag.spans import Span, SpanSet
from rag.tokens import TokenCounter
from rag.types import Context, Passage, Remark

__all__ = ["FrugalPrompt", "Pruned", "prune_text"]

_NUMERIC = re.compile(
    r"\b(?:how\s+(?:many|much|long|often|old|far|large|big|high)|what\s+(?:percentage|share|"
    r"number|amount|ratio|rate|value|year|date|margin)|total|sum|average|difference|increase|"
    r"decrease|grow(?:th|n)?|change[ds]?|compare[ds]?|ratio|percent(?:age)?|calculate|steps?|"
    r"procedure|why|explain)\b|\d",
    re.IGNORECASE,
)


class Pruned(NamedTuple):
    """What is kept of a text, and how many of its units only protection kept."""

    kept: SpanSet
    overruled: int


class FrugalPrompt:
    """Prunes each passage to its most salient units.

    Args:
        attributor: scores tokens.
        settings: how much to keep, of what, and what to protect.
        counter: counts tokens, to tell what would be saved.
        reading_speed: tells the prompt tokens a second of the generator; infinite where it reads
            no prompt, 0 where it is not known. Below break-even the stage lets everything through.
    """

    name = "prune"

    def __init__(
        self,
        attributor: Attributor,
        settings: PruningSettings,
        counter: TokenCounter,
        reading_speed: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._attributor = attributor
        self._settings = settings
        self._counter = counter
        self._reading_speed = reading_speed
        self._seconds_per_token = float("inf")  # of pruning; measured as we go
        if settings.mode == "on" or reading_speed() != float("inf"):
            attributor.scores(["load"])  # so that no question is charged with loading the model

    def __call__(self, question: str, context: Context) -> Context:
        """The context pruned, or as it was where that would not pay."""
        reason = self._not_worth_it(context)
        if reason:
            return replace(context, remark=Remark(reason))
        began = time.perf_counter()
        texts = [_Text(passage) for passage in context.passages]
        query = question if self._attributor.query_aware else None
        scored = self._attributor.scores([each.text for each in texts], query=query)
        granularity = self._granularity(question)
        overruled = 0
        passages: list[Passage] = []
        for each, scores in zip(texts, scored, strict=True):
            pruned = prune_text(each.text, scores, self._settings, granularity)
            overruled += pruned.overruled
            passages.append(each.passage.narrow(each.in_document(pruned.kept)))
        passed = time.perf_counter() - began
        # The least seen: one slow moment of the machine must not switch the stage off for good.
        tokens = max(self._counter.total(context.pieces), 1)
        self._seconds_per_token = min(self._seconds_per_token, passed / tokens)
        kept = tuple(passage for passage in passages if passage.kept)
        note = (
            "whole clauses: the question asks for numbers or steps"
            if (granularity != self._settings.granularity)
            else ""
        )
        why = {each.chunk.id: f"the least salient {granularity}s" for each in context.passages}
        return Context(kept, context.evidence, Remark(note, overruled, why=why))

    def _granularity(self, question: str) -> Granularity:
        """Clauses for a question that needs numbers or steps, else as the settings say."""
        return "clause" if _NUMERIC.search(question) else self._settings.granularity

    def _not_worth_it(self, context: Context) -> str:
        """Why pruning would not pay, or ""."""
        settings = self._settings
        if context.written:
            return "not pruned: a summary is left as it is"
        if settings.mode == "on":
            return ""
        tokens = self._counter.total(context.pieces)
        if tokens < settings.min_tokens:
            return f"not pruned: {tokens} tokens are few"
        saved = tokens * (1 - settings.retention)
        speed = self._reading_speed()
        if speed == float("inf"):
            return "not pruned: the generator reads no prompt"
        if speed and self._seconds_per_token < float("inf"):
            cost, gain = self._seconds_per_token * tokens, saved / speed
            if cost > gain:
                return f"not pruned: {cost * 1000:.0f} ms would save {gain * 1000:.0f}"
        return ""


def prune_text(
    text: str, scores: TokenScores, settings: PruningSettings, granularity: Granularity
) -> Pruned:
    """What to keep of a text.

    The units that are protected and, after them, the most salient ones, ties by position, until
    `retention` of all units, or in their place `mass` of all positive score, is kept; at least one.
    Neighbours that are both kept keep the white space between them.
    """
    units = unit_spans(text, granularity, scores)
    if not units:
        return Pruned(SpanSet([Span(0, len(text))]), 0)
    found = unit_scores(units, scores)
    order = np.argsort(-found, kind="stable")
    count = _how_many(found[order], settings)
    guards = SpanSet(protected_spans(text, PROFILES[settings.profile]))
    pinned = np.array([bool(guards.clip(unit)) for unit in units])
    chosen = np.zeros(len(units), dtype=bool)
    chosen[order[:count]] = True
    overruled = int((pinned & ~chosen).sum())
    # Protected units come first; the salient ones share what room is left.
    room = max(count - int(pinned.sum()), 0)
    kept = pinned.copy()
    kept[[at for at in order if not pinned[at]][:room]] = True
    if not kept.any():
        kept[order[0]] = True
    return Pruned(_joined(text, units, kept), overruled)


def _how_many(ranked: NDArray[np.float64], settings: PruningSettings) -> int:
    """How many units to keep, of scores sorted from high to low."""
    if not settings.mass:
        return max(1, ceil(len(ranked) * settings.retention - 1e-9))
    positive = np.where(ranked > 0, ranked, 0.0)
    total = positive.sum()
    if not total:
        return len(ranked)
    return int(np.searchsorted(positive.cumsum(), settings.mass * total - 1e-12)) + 1


def _joined(text: str, units: Sequence[Span], kept: NDArray[np.bool_]) -> SpanSet:
    if kept.all():
        return SpanSet([Span(0, len(text))])
    spans: list[Span] = []
    for at, unit in enumerate(units):
        if kept[at]:
            start = units[at - 1].end if at and kept[at - 1] else unit.start
            spans.append(Span(start, unit.end))
    return SpanSet(spans)


class _Text:
    """The kept pieces of a passage as one text, and the way back to the document."""

    def __init__(self, passage: Passage) -> None:
        self.passage = passage
        self.text = "\n".join(passage.pieces)
        self._starts: list[tuple[int, Span]] = []
        at = 0
        for span in passage.kept:
            self._starts.append((at, span))
            at += len(span) + 1

    def in_document(self, kept: SpanSet) -> SpanSet:
        """The same stretches in the document's coordinates."""
        return SpanSet(
            part.shift(span.start - start)
            for start, span in self._starts
            for part in kept.clip(Span(start, start + len(span)))
        )
