"""The answer without a language model: the evidence itself, quoted."""

from __future__ import annotations

import re

from rag.generation.base import Generation, Watch
from rag.pruning.render import readable
from rag.types import Context

__all__ = ["ExtractiveGenerator"]

_MARK = re.compile(r"\[(?=[sS]?\d+(?:\s*[,;-]\s*[sS]?\d+)*\])")  # papers cite like this too


class ExtractiveGenerator:
    """Quotes what is kept of each passage, best first, and marks the source of each stretch.

    It never invents, needs nothing, and is the default: with the bundled models the gold answer
    stands far more often in the best sentence than in what they write.
    """

    name = "extractive"
    reading_speed = float("inf")

    def generate(
        self, question: str, context: Context, *, watch: Watch | None = None
    ) -> Generation:
        """One line a kept stretch, and after it its mark."""
        # What to keep was decided with the question; what is there at once need not be watched.
        del question, watch
        lines = (
            f"{_MARK.sub('⟦', ' '.join(piece.split()))} [S{number}]"
            for number, passage in enumerate(context.passages, start=1)
            for piece in map(passage.chunk.slice, readable(passage))
        )
        return Generation("\n".join(lines))
