"""Queries that nobody asked: what a passage could be looked for with, made of its own words.

Four kinds, each against another fault of a general embedder in a domain:

- *sentence*: a sentence looks for the passage it stands in, or was taken out of (the inverse
  cloze task of Lee et al., ACL 2019): what belongs together;
- *dropped*: the same with a third of its words gone: how people abridge;
- *keywords*: three to eight words, the rarer the likelier: terms a general model never learned;
- *heading*: the header a passage stands under.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import log
from random import Random
from typing import NamedTuple

from pipelines.adapt.passages import Passage
from rag.grounding.support import content_words

__all__ = ["KINDS", "Query", "QueryWriter"]

KINDS = {"sentence": 3, "keywords": 3, "dropped": 2, "heading": 1}
"""Every kind, and how often it is drawn."""

_KEPT = 0.67  # of the words of a sentence, in a dropped one
_FEWEST, _MOST = 3, 8  # keywords


class Query(NamedTuple):
    """A query, and the sentence it was made of ("" where it was made of none)."""

    text: str
    sentence: str


class QueryWriter:
    """Writes queries for the passages of one corpus.

    Args:
        passages: of the corpus: how rare a word is, is counted in them.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._holding = Counter(word for each in passages for word in content_words(each.text))
        self._passages = len(passages)

    def write(self, passage: Passage, chance: Random) -> Query:
        """A query for this passage, of a kind that is drawn."""
        kind = chance.choices([*KINDS], [*KINDS.values()])[0]
        sentence = chance.choice(passage.sentences)
        if kind == "heading" and (header := " ".join(passage.header.split())):
            return Query(header, "")
        if kind == "keywords":
            return Query(self._keywords(sentence, chance) or sentence, sentence)
        if kind == "dropped":
            words = [word for word in sentence.split() if chance.random() < _KEPT]
            return Query(" ".join(words) or sentence, sentence)
        return Query(sentence, sentence)

    def rarity(self, word: str) -> float:
        """Inverse document frequency, log(1 + (N - n + 0.5) / (n + 0.5)) of n in N passages."""
        holding = self._holding[word]
        return log(1 + (self._passages - holding + 0.5) / (holding + 0.5))

    def _keywords(self, sentence: str, chance: Random) -> str:
        lower = sentence.lower()
        words = sorted(content_words(sentence), key=lambda word: (lower.find(word), word))
        count = min(len(words), chance.randint(_FEWEST, _MOST))
        # Efraimidis and Spirakis (2006): a weighted sample without replacement.
        keys = {word: chance.random() ** (1 / self.rarity(word)) for word in words}
        chosen = sorted(words, key=keys.__getitem__, reverse=True)[:count]
        return " ".join(sorted(chosen, key=words.index) if chance.random() < 0.7 else chosen)
