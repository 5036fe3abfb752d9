"""Counting tokens without losing the text: every token keeps its place in the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from rag.errors import ModelError

__all__ = ["Offsets", "TokenCounter"]

Offsets = NDArray[np.int64]
"""Shape (tokens, 2): start and end of every token, in code points, ascending."""

_BLOCK = 32_768  # characters tokenized at once: bounds memory at ~150 bytes a token
_PROBE = "a b\n\nc\td"  # do the tokenizer's offsets hold white space?
_LONGEST = 64  # a longer "token" is an unknown word the model reads as one; it is cut up


class TokenCounter:
    """A model's own tokenizer, as a ruler.

    Long texts are measured in blocks cut at white space, so memory is bounded whatever the
    length. A word too long for the tokenizer (it becomes a single unknown token) is counted as
    one token per 64 characters: no token is ever longer, so a chunk of n tokens is a chunk of at
    most 64 n characters even where a text has no white space at all.

    >>> from rag.embedding.registry import bundled_tokenizer
    >>> counter = TokenCounter.from_file(bundled_tokenizer())
    >>> counter.offsets("Net sales rose.").tolist()
    [[0, 3], [4, 9], [10, 14], [14, 15]]
    """

    def __init__(self, tokenizer: Tokenizer, name: str) -> None:
        # A copy of our own: truncation must be off here, and stays on in the model's.
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.name = name
        probe = self._tokenizer.encode(_PROBE, add_special_tokens=False).offsets
        self._holds_space = any(
            _PROBE[start:end] != _PROBE[start:end].strip() for start, end in probe
        )
        self.special_tokens: int = self._tokenizer.num_special_tokens_to_add(is_pair=False)

    @classmethod
    def from_file(cls, path: Path, name: str = "") -> TokenCounter:
        """A counter from a `tokenizer.json`.

        Raises:
            ModelError: the file is missing or not a tokenizer.
        """
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise ModelError(
                f"cannot read the tokenizer {path}: {error}", hint="reinstall or re-save the model"
            ) from error
        return cls(tokenizer, name or path.parent.name)

    def count(self, text: str) -> int:
        """The number of tokens of `text`, without special tokens."""
        return sum(len(offsets) for offsets in self._blocks(text))

    def count_all(self, texts: Sequence[str]) -> list[int]:
        """`count` of each text; for many short texts one call is several times faster."""
        if any(len(text) > _BLOCK for text in texts):
            return [self.count(text) for text in texts]
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [len(_cut(np.array(encoding.offsets))) for encoding in encodings]

    def total(self, texts: Sequence[str]) -> int:
        """The number of tokens of all texts together."""
        return sum(self.count_all(texts))

    def offsets(self, text: str) -> Offsets:
        """Where each token of `text` stands; white space belongs to no token."""
        blocks = list(self._blocks(text))
        return np.concatenate(blocks) if blocks else np.zeros((0, 2), dtype=np.int64)

    def fits(self, text: str, tokens: int) -> bool:
        """Whether `text` has at most `tokens` tokens; cheap for texts far too long."""
        seen = 0
        for offsets in self._blocks(text):
            seen += len(offsets)
            if seen > tokens:
                return False
        return True

    def head(self, text: str, tokens: int) -> str:
        """The longest start of `text` that has at most `tokens` tokens and ends with a word."""
        offsets = self.offsets(text)
        if len(offsets) <= tokens:
            return text
        cut = tokens
        # Step back while the cut would fall inside a word.
        while cut > 0 and offsets[cut - 1, 1] >= offsets[cut, 0]:
            cut -= 1
        return text[: offsets[cut - 1, 1]] if cut else ""

    def _blocks(self, text: str) -> Iterator[Offsets]:
        for start, end in _block_ranges(text):
            block = text[start:end]
            found = self._tokenizer.encode(block, add_special_tokens=False).offsets
            if self._holds_space:
                found = [_trimmed(block, *pair) for pair in found]
            if found:
                yield _cut(np.array(found, dtype=np.int64)) + start


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A token without its white space; one of white space alone belongs to what follows."""
    kept = text[start:end].lstrip()
    return end - len(kept), end - len(kept) + len(kept.rstrip())


def _block_ranges(text: str) -> Iterator[tuple[int, int]]:
    """Cut `text` into blocks of at most `_BLOCK` characters, at white space where there is any."""
    start = 0
    while len(text) - start > _BLOCK:
        end = start + _BLOCK
        for separator in ("\n", " ", "\t", "\u00a0", "\u3000"):
            if (at := text.rfind(separator, start, end)) > start:
                end = at
                break
        yield start, end
        start = end
    yield start, len(text)


def _cut(offsets: Offsets) -> Offsets:
    """Replace every token longer than `_LONGEST` characters by pieces of that length."""
    if not len(offsets):
        return offsets.reshape(0, 2)
    if not (lengths := offsets[:, 1] - offsets[:, 0]).max() > _LONGEST:
        return offsets
    return np.array(list(_pieces(zip(offsets.tolist(), lengths.tolist(), strict=True))))


def _pieces(tokens: Iterable[tuple[list[int], int]]) -> Iterator[tuple[int, int]]:
    for (start, end), length in tokens:
        if length <= _LONGEST:
            yield start, end
        else:
            for at in range(start, end, _LONGEST):
                yield at, min(at + _LONGEST, end)
