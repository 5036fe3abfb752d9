"""What every stage of a query dropped, and why: the difference of what it was given and let on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from rag.spans import SpanSet
from rag.types import Chunk, Context

__all__ = ["Loss", "losses"]


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
        left = {source.chunk.id: source.kept for source in after.sources}
        for source in before.sources:
            lost = source.kept - left.get(source.chunk.id, SpanSet())
            if any(source.chunk.slice(span).strip() for span in lost):
                why = after.remark.why.get(source.chunk.id, "")
                whole = source.chunk.id not in left
                found.append(Loss(stage, source.chunk, lost, whole, why))
    return found
