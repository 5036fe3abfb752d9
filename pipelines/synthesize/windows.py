"""Where questions are asked: stretches of documents, spread evenly and always the same."""

from __future__ import annotations

import math
import random
import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property, lru_cache, partial
from itertools import accumulate

from rag.grounding.support import content_words
from rag.sentences import sentence_spans
from rag.spans import Span, SpanSet
from rag.types import Document

__all__ = ["Reading", "Window", "Windows"]

_GOLDEN = (math.sqrt(5) - 1) / 2
_KEPT_READINGS = 16
_MOST_TOGETHER = 5  # sentences of one topic: as many excerpts as a question may have
_SHORTEST_TOPIC = 4  # letters
_SMALL = re.compile(r"\b[a-z][\w'-]*")
_NO_TOPIC = frozenset(
    "january february march april june july august september october november december monday "
    "tuesday wednesday thursday friday saturday sunday table figure section item note".split()
)


class Reading:
    """A document as sentences, and where each of its words stands."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.sentences = list(sentence_spans(document.text))

    def text(self, number: int) -> str:
        """A sentence as the document has it."""
        return self.sentences[number].text_in(self.document.text)

    @cached_property
    def where(self) -> dict[str, list[int]]:
        """Each word that carries meaning, in lower case, with the sentences it stands in."""
        found: dict[str, list[int]] = {}
        for number in range(len(self.sentences)):
            for word in content_words(self.text(number)):
                found.setdefault(word, []).append(number)
        return found

    @cached_property
    def small(self) -> frozenset[str]:
        """Every word that the document writes in small letters."""
        return frozenset(found[0] for found in _SMALL.finditer(self.document.text))

    @cached_property
    def folded(self) -> str:
        """The document in small letters, every white space a single blank."""
        return " ".join(self.document.text.lower().split())


class Window:
    """Neighbouring sentences of one document, and others elsewhere in it on the same topic.

    Args:
        reading: of the document.
        first: its first sentence.
        last: one past its last.
        length: characters a window has; what lies so far off is elsewhere.
    """

    def __init__(self, reading: Reading, first: int, last: int, length: int) -> None:
        self.reading = reading
        self.first = first
        self.last = last
        self._length = length

    @property
    def document(self) -> Document:
        """Whose sentences these are."""
        return self.reading.document

    @property
    def span(self) -> Span:
        """From the first sentence to the end of the last."""
        sentences = self.reading.sentences
        return Span(sentences[self.first].start, sentences[self.last - 1].end)

    @cached_property
    def topics(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names in the window that are also said elsewhere, each with all sentences that say it.

        The rarest first. A name is said two to five times, at least once of them outside.
        """
        named: set[tuple[int, str]] = set()
        for number in range(self.first, self.last):
            for word in content_words(self.reading.text(number)):
                at = self.reading.where[word]
                if 2 <= len(at) <= _MOST_TOGETHER and self._reaches_out(at) and self._is_name(word):
                    named.add((len(at), word))
        return [(word, tuple(self.reading.where[word])) for _, word in sorted(named)]

    def _is_name(self, word: str) -> bool:
        """Whether it is written with a capital or a digit, and not only to open a sentence."""
        return (
            len(word) >= _SHORTEST_TOPIC
            and (word.isalnum() or any(map(str.isdigit, word)))
            and any(map(str.isalpha, word))
            and word not in self.reading.small
            and word not in _NO_TOPIC
            and any(
                re.search(rf"[\w,]\s{re.escape(word)}\b", self.reading.text(at), re.IGNORECASE)
                for at in self.reading.where[word]
            )
        )

    def pieces(self, *, apart: bool) -> SpanSet:
        """What a language model is shown.

        Args:
            apart: half a window, and around each sentence elsewhere that says its rarest name a
                part of the other half.
        """
        if not apart or not self.topics:
            return SpanSet([self.span])
        said = self.topics[0][1]
        elsewhere = [number for number in said if not self.first <= number < self.last]
        text = self.document.text
        share = self._length // 2 // len(elsewhere)
        half = Span(self.span.start, min(self.span.end, self.span.start + self._length // 2))
        spans = [_whole_words(text, half)]
        for number in elsewhere:
            sentence = self.reading.sentences[number]
            around = max((share - len(sentence)) // 2, 0)
            wide = Span(max(sentence.start - around, 0), min(sentence.end + around, len(text)))
            spans.append(_whole_words(text, wide))
        return SpanSet(spans)

    def _reaches_out(self, sentences: Sequence[int]) -> bool:
        """Whether one of these stands outside."""
        return any(not self.first <= number < self.last for number in sentences)


class Windows:
    """The windows of a corpus, one for each number: evenly spread, long documents not favoured.

    Windows are placed by an additive recurrence with the golden ratio over all documents, each
    as wide as the root of its length, so that any first n of them cover the corpus evenly.

    Args:
        documents: those with a sentence in them are asked about.
        length: characters of a window, about.
        seed: another seed is another order of documents and another start.
    """

    def __init__(self, documents: Sequence[Document], length: int, seed: int) -> None:
        chance = random.Random(seed)
        told = (each for each in documents if each.text.strip())
        self._documents = sorted(told, key=lambda each: each.name)
        chance.shuffle(self._documents)
        self._start = chance.random()
        self._length = length
        widths = [math.sqrt(len(each.text)) for each in self._documents]
        self._ends = list(accumulate(widths))
        self._reading = lru_cache(_KEPT_READINGS)(lambda at: Reading(self._documents[at]))

    def __len__(self) -> int:
        """How many documents there are to ask about."""
        return len(self._documents)

    def at(self, number: int) -> Window:
        """The window of an attempt."""
        place = (self._start + number * _GOLDEN) % 1.0 * self._ends[-1]
        which = min(bisect_right(self._ends, place), len(self._ends) - 1)
        begins = self._ends[which - 1] if which else 0.0
        share = (place - begins) / (self._ends[which] - begins)
        reading = self._reading(which)
        length = len(reading.document.text)
        offset = int(share * max(length - self._length, 0))
        begun = partial(bisect_right, reading.sentences, key=lambda span: span.start)
        first = max(begun(offset) - 1, 0)
        last = max(begun(offset + self._length - 1), first + 1)
        return Window(reading, first, last, self._length)


def _whole_words(text: str, span: Span) -> Span:
    """The span without the halves of words at its ends; as it is, if it has no whole word."""
    start, end = span.start, span.end
    while 0 < start < end and not text[start - 1].isspace():
        start += 1
    while start < end < len(text) and not text[end].isspace():
        end -= 1
    return Span(start, end) if start < end else span
