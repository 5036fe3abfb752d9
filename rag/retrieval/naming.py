"""Which documents a question names, and how much of it a text holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log1p
from typing import NamedTuple

from rag.embedding.lexical import LexicalEncoder

__all__ = ["Naming", "held_share", "naming"]

_WORD = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"['’]s\b")  # noqa: RUF001
_LONG_NUMBER = re.compile(r"\d{4,}")  # a year or a number of a report


class Naming(NamedTuple):
    """How much of each name the question holds.

    Attributes:
        mass: of each document, the rarity of the terms of its name that the question holds, summed.
        share: of the best name, the part of its rarity that the question holds, 0 to 1; 0 where
            that is one term alone: "sales" in a question need not mean sales.txt.
    """

    mass: Mapping[str, float]
    share: float


def naming(question: str, names: Mapping[str, str], lexical: LexicalEncoder) -> Naming:
    """Weigh the names of documents (id to name) against a question, rarity counted among them.

    Two neighbouring words of the question also count as one ("Best Buy" names BESTBUY), and a
    number of four digits or more is a word of its own ("FY2018" and "2018Q2" both hold 2018).
    """
    words = _words(question)
    asked = _terms([*words, *(one + other for one, other in pairwise(words))], lexical)
    terms = {doc: _terms(_words(name), lexical) for doc, name in names.items()}
    rarity = _rarity(list(terms.values()))
    mass = {doc: sum(rarity[term] for term in held & asked) for doc, held in terms.items()}
    best = max(mass.values(), default=0.0)
    shares = (
        mass[doc] / sum(rarity[term] for term in held)
        for doc, held in terms.items()
        if best > 0 and mass[doc] == best and len(held & asked) > 1
    )
    return Naming(mass, max(shares, default=0.0))


def held_share(question: str, texts: Sequence[str], lexical: LexicalEncoder) -> float:
    """The share of the question's terms in the first text, by rarity among all texts, 0 to 1."""
    asked = set(lexical.encode_query(question).indices)
    held = [asked & set(vector.indices) for vector in lexical.encode_documents(texts)]
    rarity = _rarity(held, asked)
    whole = sum(rarity.values())
    return sum(rarity[term] for term in held[0]) / whole if held and whole else 0.0


def _words(text: str) -> list[str]:
    plain = _POSSESSIVE.sub(" ", text.lower())
    return [
        word
        for token in _WORD.findall(plain)
        for word in _LONG_NUMBER.sub(lambda number: f" {number[0]} ", token).split()
    ]


def _terms(words: Sequence[str], lexical: LexicalEncoder) -> set[int]:
    return set(lexical.encode_query(" ".join(words)).indices)


def _rarity(held: Sequence[set[int]], terms: set[int] | None = None) -> dict[int, float]:
    found = Counter(term for each in held for term in each)
    every = found.keys() if terms is None else terms
    return {term: log1p((len(held) - found[term] + 0.5) / (found[term] + 0.5)) for term in every}
