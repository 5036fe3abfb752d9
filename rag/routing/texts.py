"""What a route learns from: sentences of its index's own documents."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.embedding.lexical import LexicalEncoder
from rag.ids import digest
from rag.routing.vocabulary import counted
from rag.sentences import sentence_spans
from rag.store import Store
from rag.store.base import DocumentRecord

__all__ = ["RouteTexts", "documents_of", "route_texts"]

_LETTERS = 20  # fewer say nothing: a page number, a row of figures
_LONGEST = 600  # characters; a question is shorter
_HELD = 0.25


class RouteTexts(NamedTuple):
    """Sentences to fit to and, out of other documents, those held out to calibrate on.

    `fitted_words` are counts of words of all the sentences of the fitted documents, `words` of
    those of the held ones as well (`rag.routing.vocabulary`).
    """

    fitted: list[str]
    held: list[str]
    documents: int
    fitted_words: NDArray[np.int64]
    words: NDArray[np.int64]


def documents_of(store: Store) -> list[DocumentRecord]:
    """What an index serves, links to copies left out, in an order that nothing but names sets."""
    served = (each for each in store.documents() if each.live and not each.twin_of)
    return sorted(served, key=lambda each: (digest(each.name), each.doc_id))


def route_texts(
    store: Store, documents: Sequence[DocumentRecord], most: int, lexical: LexicalEncoder
) -> RouteTexts:
    """As many sentences of each document, give or take one, spread over it; `most` at the most.

    A quarter of the documents is held out. Of a single document it is the last quarter, which is
    less of a proof: its words are the same.

    Args:
        store: holds the documents.
        documents: of `documents_of`; where there are more than `most`, the first.
        most: sentences.
        lexical: counts the words, of every sentence.
    """
    chosen = documents[:most]
    if len(chosen) == 1:
        return _of_one(_sentences(store.text(chosen[0])), most, lexical)
    # Those who may give one more are spread evenly too, or all would be among the held out.
    ends = [at * most // max(len(chosen), 1) for at in range(len(chosen) + 1)]
    cut = max(int(len(chosen) * _HELD), 1)
    held, fitted = _Part(lexical), _Part(lexical)
    for number, (document, (start, end)) in enumerate(zip(chosen, pairwise(ends), strict=True)):
        part = held if number < cut else fitted
        part.add(_sentences(store.text(document)), end - start)
    words = fitted.words + held.words
    return RouteTexts(fitted.texts, held.texts, len(chosen), fitted.words, words)


def _of_one(sentences: Sequence[str], most: int, lexical: LexicalEncoder) -> RouteTexts:
    cut = -(-3 * len(sentences) // 4)
    few = min(most, len(sentences))
    fitted, held = _Part(lexical), _Part(lexical)
    fitted.add(sentences[:cut], -(-3 * few // 4))
    held.add(sentences[cut:], few // 4)
    return RouteTexts(fitted.texts, held.texts, 1, fitted.words, fitted.words + held.words)


class _Part:
    """What is taken of some documents, and the words of all there is of them."""

    def __init__(self, lexical: LexicalEncoder) -> None:
        self.texts: list[str] = []
        self.words = counted((), lexical)
        self._lexical = lexical

    def add(self, sentences: Sequence[str], count: int) -> None:
        """So many sentences of a document, and the words of all of them."""
        self.texts += _spread(sentences, count)
        self.words += counted(sentences, self._lexical)


def _sentences(text: str) -> list[str]:
    """The distinct sentences of a document that say something, each on one line."""
    lines = (" ".join(span.text_in(text).split())[:_LONGEST] for span in sentence_spans(text))
    return [line for line in dict.fromkeys(lines) if sum(map(str.isalpha, line)) >= _LETTERS]


def _spread(sentences: Sequence[str], count: int) -> list[str]:
    step = max(len(sentences) / max(count, 1), 1.0)
    return [sentences[int(at * step)] for at in range(min(count, len(sentences)))]
