"""`rag query --explain`: what was kept of each passage, what each stage dropped, and why."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

from pipelines.cli.documents import plain, plain_lines, where
from rag.explain import Loss
from rag.spans import Span, SpanSet
from rag.types import Answer, Passage, Place

__all__ = ["explanation_to_json", "print_explanation"]


def explanation_to_json(answer: Answer, losses: Sequence[Loss]) -> dict[str, Any]:
    """Each passage whole, with the spans the generator was given, and every loss on the way."""
    return {
        "passages": [_passage_to_json(passage) for passage in answer.context.passages],
        "dropped": [_loss_to_json(loss) for loss in losses],
    }


def _passage_to_json(passage: Passage) -> dict[str, Any]:
    chunk = passage.chunk
    found: dict[str, Any] = {
        "doc": chunk.name,
        "start": chunk.span.start,
        "end": chunk.span.end,
        "text": chunk.text,
        "kept": _spans_to_json(passage.kept),
        "score": passage.score,
    }
    if passage.written:
        found["written"] = passage.written
        found["sources"] = [
            {"doc": source.chunk.name, "kept": _spans_to_json(source.kept)}
            for source in passage.sources
        ]
    return found


def _loss_to_json(loss: Loss) -> dict[str, Any]:
    chunk = loss.chunk
    return {
        "stage": loss.stage,
        "doc": chunk.name,
        "start": chunk.span.start,
        "end": chunk.span.end,
        "whole": loss.whole,
        "spans": _spans_to_json(loss.spans),
        "why": loss.why,
    }


def _spans_to_json(spans: SpanSet) -> list[dict[str, int]]:
    return [{"start": span.start, "end": span.end} for span in spans]


def print_explanation(console: Console, answer: Answer, losses: Sequence[Loss]) -> None:
    """Each passage in full, kept text plain and the rest struck through; then the losses."""
    for number, passage in enumerate(answer.context.passages, start=1):
        for at, source in enumerate(passage.sources):
            console.print()
            head = f"S{number} {where(source.chunk, _first(source))}"
            if passage.written and not at:
                console.print(f"S{number} written from what is plain below", style="bold")
                console.print(plain(passage.written), style="italic")
            console.print(head, style="bold")
            console.print(_marked(source))
    for stage, of_stage in groupby(losses, key=lambda loss: loss.stage):
        _print_losses(console, stage, list(of_stage))


def _print_losses(console: Console, stage: str, losses: Sequence[Loss]) -> None:
    whole = [loss for loss in losses if loss.whole]
    parts = len(losses) - len(whole)
    console.print()
    console.print(
        f"{stage} dropped {len(whole)} passages whole, and parts of {parts}", style="bold"
    )
    for loss in (*whole, *(each for each in losses if not each.whole)):
        first = next(iter(loss.spans))
        length = f"{loss.spans.length:,} of {len(loss.chunk.span):,} characters"
        console.print(f"- {where(loss.chunk, loss.chunk.place_at(first.start))}, {length}")
        if loss.why:
            console.print(f"  {loss.why}", style="dim")
        console.print(f'  "{plain(loss.chunk.slice(first))[:120]}"', style="dim")


def _first(passage: Passage) -> Place:
    first = passage.kept.hull
    return passage.chunk.place_at((first or passage.chunk.span).start)


def _marked(passage: Passage) -> Text:
    dropped = SpanSet([passage.chunk.span]) - passage.kept
    marked: list[tuple[Span, str]] = [(span, "") for span in passage.kept]
    marked += [(span, "dim strike") for span in dropped]
    shown = Text()
    for span, style in sorted(marked):
        shown.append(plain_lines(passage.chunk.slice(span)), style=style)
    return shown
