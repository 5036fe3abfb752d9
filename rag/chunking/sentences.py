"""Whole sentences, packed: the default. No chunk begins or ends in the middle of a thought."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from rag.chunking.base import Cut, SpanChunker
from rag.chunking.tokens import windows
from rag.sentences import sentence_spans
from rag.spans import Span
from rag.types import Document

__all__ = ["SentenceChunker"]

_NO_SPACE = "\v\f\x1c\x1d\x1e\x1f\x85"  # white space to Python, dropped by BERT's tokenizer
_MOST_LETTERS = 20  # of a token; more is white space
_BATCH = 512  # sentences measured in one call of the tokenizer


class SentenceChunker(SpanChunker):
    """As many whole sentences as fit into `size` tokens.

    A new section begins a new chunk, unless the chunk so far is less than a quarter full (a lone
    heading is no chunk). So does a table or a list that fits into a chunk, but not into what is
    left of this one. A sentence longer than `size` is cut into windows of tokens.
    """

    kind = "sentences"

    def cuts(self, document: Document) -> Iterator[Cut]:
        """Packed sentences of the whole text."""
        section_starts = {each.span.start for each in document.sections if each.kind == "section"}
        blocks = {
            each.span.start: each.span for each in document.sections if each.kind != "section"
        }
        held: list[Cut] = []
        total = 0
        for cut in self._sentences(document.text):
            after = self._joined(document.text, held, total, cut)
            full = after > self.size
            start = cut.span.start
            turns = total * 4 >= self.size and (
                start in section_starts
                or (start in blocks and self._parts(document.text, total, blocks[start]))
            )
            if held and (full or turns):
                yield Cut(_hull(held), total)
                held = self._tail(held, cut.tokens) if full else []
                total = sum(each.tokens for each in held)
                after = self._joined(document.text, held, total, cut)
                if after > self.size:
                    held, after = [], cut.tokens
            held.append(cut)
            total = after
        if held:
            yield Cut(_hull(held), total)

    def _parts(self, text: str, total: int, block: Span) -> bool:
        """Whether a table or list would be parted by the end of a chunk that has `total`."""
        if len(block) > self.size * _MOST_LETTERS:
            return False  # longer than any chunk: parted anyway
        tokens = self.counter.count(block.text_in(text))
        return self.size - total < tokens <= self.size

    def _joined(self, text: str, held: list[Cut], total: int, cut: Cut) -> int:
        """The tokens of a chunk of `held`, which has `total`, and `cut`."""
        if held and not text[held[-1].span.end : cut.span.start].strip(_NO_SPACE):
            # A cut inside a word, or a control character that tokenizers drop: the two ends may
            # read as one word.
            return self.counter.count(_hull([*held, cut]).text_in(text))
        return total + cut.tokens

    def _sentences(self, text: str) -> Iterator[Cut]:
        """The sentences with their token counts, none longer than `size`."""
        spans = sentence_spans(text)
        while batch := list(islice(spans, _BATCH)):
            counts = self.counter.count_all([span.text_in(text) for span in batch])
            for span, tokens in zip(batch, counts, strict=True):
                if tokens <= self.size:
                    yield Cut(span, tokens)
                else:
                    offsets = self.counter.offsets(span.text_in(text)) + span.start
                    yield from windows(text, span, offsets, self.counter, self.size)

    def _tail(self, held: list[Cut], following: int) -> list[Cut]:
        """The last sentences of a chunk that the next one repeats."""
        room = min(self.overlap, self.size - following)
        kept = len(held)
        while kept and (room := room - held[kept - 1].tokens) >= 0:
            kept -= 1
        return held[kept:]


def _hull(held: list[Cut]) -> Span:
    return Span(held[0].span.start, held[-1].span.end)
