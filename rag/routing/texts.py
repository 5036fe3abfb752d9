"""What a route learns from: sentences of its index's own documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from rag.ids import digest
from rag.sentences import sentence_spans
from rag.store import Store
from rag.store.base import DocumentRecord

__all__ = ["RouteTexts", "documents_of", "route_texts"]

_LETTERS = 20  # fewer say nothing: a page number, a row of figures
_LONGEST = 600  # characters; a question is shorter
_HELD = 0.25


class RouteTexts(NamedTuple):
    """Sentences to fit to and, out of other documents, those held out to calibrate on."""

    fitted: list[str]
    held: list[str]
    documents: int


def documents_of(store: Store) -> list[DocumentRecord]:
    """What an index serves, links to copies left out, in an order that nothing but names sets."""
    served = (each for each in store.documents() if each.live and not each.twin_of)
    return sorted(served, key=lambda each: (digest(each.name), each.doc_id))


def route_texts(store: Store, documents: Sequence[DocumentRecord], most: int) -> RouteTexts:
    """As many sentences of each document, give or take one, spread over it; `most` at the most.

    A quarter of the documents is held out. Of a single document it is the last quarter, which is
    less of a proof: its words are the same.

    Args:
        store: holds the documents.
        documents: of `documents_of`; where there are more than `most`, the first.
        most: sentences.
    """
    chosen = documents[:most]
    # Those who may give one more are spread evenly too, or all would be among the held out.
    ends = [at * most // max(len(chosen), 1) for at in range(len(chosen) + 1)]
    found = [
        _spread(_sentences(store.text(document)), end - start)
        for document, (start, end) in zip(chosen, pairwise(ends), strict=True)
    ]
    if len(found) == 1:
        cut = -(-3 * len(found[0]) // 4)
        return RouteTexts(found[0][:cut], found[0][cut:], 1)
    cut = max(int(len(found) * _HELD), 1)
    return RouteTexts(_flat(found[cut:]), _flat(found[:cut]), len(found))


def _sentences(text: str) -> list[str]:
    """The distinct sentences of a document that say something, each on one line."""
    lines = (" ".join(span.text_in(text).split())[:_LONGEST] for span in sentence_spans(text))
    return [line for line in dict.fromkeys(lines) if sum(map(str.isalpha, line)) >= _LETTERS]


def _spread(sentences: Sequence[str], count: int) -> list[str]:
    step = max(len(sentences) / count, 1.0)
    return [sentences[int(at * step)] for at in range(min(count, len(sentences)))]


def _flat(found: Iterable[Sequence[str]]) -> list[str]:
    return [sentence for sentences in found for sentence in sentences]
