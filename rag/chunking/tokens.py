"""Fixed windows of tokens: the plainest chunker, and the baseline."""

from __future__ import annotations

from collections.abc import Iterator

from rag.chunking.base import Cut, SpanChunker
from rag.spans import Span
from rag.tokens import Offsets, TokenCounter
from rag.types import Document

__all__ = ["TokenChunker", "windows"]


class TokenChunker(SpanChunker):
    """Windows of `size` tokens, each `size - overlap` after the last, cut between words."""

    kind = "tokens"

    def cuts(self, document: Document) -> Iterator[Cut]:
        """Windows over the whole text."""
        text = document.text
        stretch = Span(0, len(text))
        offsets = self.counter.offsets(text)
        return windows(text, stretch, offsets, self.counter, self.size, self.overlap)


def windows(
    text: str,
    stretch: Span,
    offsets: Offsets,
    counter: TokenCounter,
    size: int,
    overlap: int = 0,
) -> Iterator[Cut]:
    """Windows of at most `size` tokens over `stretch`, whose tokens stand at `offsets`.

    A word is only cut where it alone is longer than a window; what is left of it may then read as
    other tokens, so every window is measured again as it stands. Characters the tokenizer drops
    stay with the token before them. White space at a cut belongs to neither side.
    """
    tokens = _Tokens(text, stretch, offsets, counter)
    start = done = 0
    while start < len(tokens):
        end = tokens.window_end(start, size)
        if end <= done:  # nothing new in it: the word after the overlap does not fit
            start = done
            continue
        yield tokens.cut(start, end)
        start, done = tokens.next_start(start, end, overlap), end
    if not len(tokens) and (rest := stretch.trim_in(text)):
        yield Cut(rest, 0)


class _Tokens:
    """The tokens of a stretch, and where it may be cut between them."""

    def __init__(self, text: str, stretch: Span, offsets: Offsets, counter: TokenCounter) -> None:
        gaps = offsets[1:, 0] - offsets[:-1, 1]
        first = [True] if len(offsets) else []
        self.text, self.stretch, self.counter = text, stretch, counter
        self.starts: list[int] = offsets[:, 0].tolist()
        self.begins_word: list[bool] = [*first, *(gaps > 0).tolist()]
        self.inside_character: list[bool] = [*(not each for each in first), *(gaps < 0).tolist()]

    def __len__(self) -> int:
        return len(self.starts)

    def cut(self, start: int, end: int) -> Cut:
        """Tokens `start` to `end` as a span, with the characters before the next token."""
        left = self.starts[start] if start else self.stretch.start
        right = self.starts[end] if end < len(self) else self.stretch.end
        span = Span(left, right).trim_in(self.text)
        return Cut(span, self.counter.count(span.text_in(self.text)))

    def window_end(self, start: int, size: int) -> int:
        """The end of the longest window from `start` that fits, at a word if there is one."""
        last = min(start + size, len(self))
        end = self._back(start, last, self.begins_word, wanted=True)
        if end == start:  # one word fills the window
            end = self._back(start, last, self.inside_character, wanted=False)
        while end > start and (over := self.cut(start, end).tokens - size) > 0:
            end = self._back(start, max(end - over, start), self.inside_character, wanted=False)
        return end if end > start else self._split(start, size)

    def next_start(self, start: int, end: int, overlap: int) -> int:
        """Where the window after `start` to `end` begins."""
        following = max(end - overlap, start + 1)
        while following < end and not self.begins_word[following]:
            following += 1
        return following

    def _back(self, start: int, end: int, marks: list[bool], *, wanted: bool) -> int:
        while start < end < len(self) and marks[end] is not wanted:
            end -= 1
        return end

    def _split(self, start: int, size: int) -> int:
        """Cut inside the first token (an unknown word) or after its character; the new end."""
        end = start + 1
        while end < len(self) and self.inside_character[end]:
            end += 1
        left = self.starts[start] if start else self.stretch.start
        right = self.starts[end] if end < len(self) else self.stretch.end
        fits, over = left + 1, right
        while over - fits > 1:
            middle = (fits + over) // 2
            if self.counter.fits(self.text[left:middle], size):
                fits = middle
            else:
                over = middle
        if fits < right and end == start + 1:
            self.starts.insert(end, fits)
            self.begins_word.insert(end, False)
            self.inside_character.insert(end, False)
        return end
