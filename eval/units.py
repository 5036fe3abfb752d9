"""Units: the same spans counted in characters, or in the tokens of a named tokenizer."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from eval.datasets import Texts
from eval.located import Located
from rag.tokens import Offsets, TokenCounter

__all__ = ["TokenRuler"]


class TokenRuler:
    """Turns spans of characters into spans of token numbers; all arithmetic stays the same.

    A token counts where its characters and the span have one in common, so a span that cuts a
    token in two holds it. White space belongs to no token.

    Args:
        counter: the tokenizer.
        texts: the documents to be measured; each is tokenized once, when it is first met.
    """

    def __init__(self, counter: TokenCounter, texts: Texts) -> None:
        self.name = counter.name
        self._counter = counter
        self._texts = texts
        self._offsets: dict[str, Offsets] = {}

    def measure(self, stretches: Iterable[Located]) -> tuple[Located, ...]:
        """The token numbers that each stretch covers; empty where it covers none."""
        return tuple(self._measure(each) for each in stretches)

    def _measure(self, stretch: Located) -> Located:
        if not stretch:
            return Located(stretch.doc, 0, 0)
        offsets = self._of(stretch.doc)
        first = int(np.searchsorted(offsets[:, 1], stretch.start, side="right"))
        last = int(np.searchsorted(offsets[:, 0], stretch.end, side="left"))
        return Located(stretch.doc, first, max(first, last))

    def _of(self, doc: str) -> Offsets:
        if doc not in self._offsets:
            found = self._counter.offsets(self._texts[doc])
            # Some tokenizers make tokens of white space alone: they hold no character.
            self._offsets[doc] = found[found[:, 0] < found[:, 1]]
        return self._offsets[doc]
