"""Answer text against the answers that people gave.

Normalisation and scores are those of the SQuAD evaluation script (Rajpurkar et al., 2016):
lower case, no punctuation, no articles, white space collapsed; the best of several right answers.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

__all__ = ["contained", "exact_match", "token_f1"]

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(answer: str, right: Sequence[str]) -> float:
    """1 where the answer is one of the right ones, else 0.

    >>> exact_match("The Fed.", ["fed"])
    1.0
    """
    return float(any(_words(answer) == _words(each) for each in right))


def token_f1(answer: str, right: Sequence[str]) -> float:
    """The harmonic mean of precision and recall of words, against the nearest right answer.

    >>> token_f1("in May 2019", ["May 2019"])
    0.8
    """
    return max((_f1(_words(answer), _words(each)) for each in right), default=0.0)


def contained(answer: str, right: Sequence[str]) -> float:
    """1 where a right answer stands in the answer, word for word; what suits quoting answers."""
    text = f" {' '.join(_words(answer))} "
    return float(any(words and f" {' '.join(words)} " in text for words in map(_words, right)))


def _words(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _f1(answer: list[str], right: list[str]) -> float:
    if not answer or not right:
        return float(answer == right)
    shared = (Counter(answer) & Counter(right)).total()
    return 2 * shared / (len(answer) + len(right))
