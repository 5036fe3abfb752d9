"""What every stage of a query dropped, and why: the difference of what it was given and let on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from rag.spans import SpanSet
from rag.types import Chunk, Context

__all__ = ["Loss", "kept_by_chunk", "losses"]


class Loss(NamedTuple):
    """What one stage dropped of one chunk. `whole` says that nothing of it is left."""

    stage: str
    chunk: Chunk
    spans: SpanSet
    whole: bool
    why: str


def losses(steps: Sequence[tuple[str, Context]]) -> list[Loss]:
    """What was dropped between retrieval and the generator, stage by stage.

    Args:
        steps: the name of each stage and what it let through, in order, as `QueryEngine.query`
            tells its observer; retrieval first.
    """
    found: list[Loss] = []
    for (_, before), (stage, after) in pairwise(steps):
        chunks = {source.chunk.id: source.chunk for source in before.sources}
        given, left = kept_by_chunk(before), kept_by_chunk(after)
        for each, chunk in chunks.items():
            lost = given[each] - left.get(each, SpanSet())
            if any(chunk.slice(span).strip() for span in lost):
                why = after.remark.why.get(each, "")
                found.append(Loss(stage, chunk, lost, not left.get(each), why))
    return found


def kept_by_chunk(context: Context) -> dict[str, SpanSet]:
    """What is kept of each chunk, in all passages of it together."""
    kept: dict[str, SpanSet] = {}
    for source in context.sources:
        kept[source.chunk.id] = kept.get(source.chunk.id, SpanSet()) | source.kept
    return kept
