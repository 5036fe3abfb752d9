"""Whether one document says all that another says: the same words, or a part of the same. Pure.

A document's *marks* are short strings: one digest of its title and words, and one for each band of
its MinHash signature (Broder 1997; banding after Indyk and Motwani 1998). Documents that share a
mark are candidates; `standing` then compares the texts themselves, word for word: what differs in
a sign, a figure or a name is another document, however alike the two may be.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from zlib import crc32

from rag.spans import Span

__all__ = ["marks_of", "standing"]

_SHINGLE = 5  # words
_BANDS, _ROWS = 16, 8  # of 128 permutations: at a similarity of 0.9 one in 10,000 pairs is missed
_FEWEST_WORDS = 50  # fewer are an answer ("N/A"), whose document is its name: never a copy
_LONGEST = 2_000_000  # characters; longer texts are compared whole only
_SLICE = 1 << 20
_WORD = re.compile(r"\S+")
_SPACE = re.compile(r"\s")


def marks_of(title: str, text: str, *, near: bool) -> tuple[str, ...]:
    r"""The marks of a document: its digest first, then (for `near`) its bands.

    White space does not count. A text of fewer than 50 words has none, one of more than two million
    characters no bands.

    >>> marks_of("", "Net sales rose. " * 50, near=False) == (
    ...     marks_of("", "Net  sales\nrose.\n" * 50, near=False)
    ... )
    True
    """
    if not _long_enough(text):
        return ()
    exact = f"={_digest(title, text)}"
    if not near or len(text) > _LONGEST:
        return (exact,)
    from datasketch import MinHash  # slow: scipy

    signature = MinHash(num_perm=_BANDS * _ROWS, seed=1, hashfunc=crc32)
    signature.update_batch(list(_shingles(text.split())))
    rows = signature.hashvalues.astype("<u8").reshape(_BANDS, _ROWS)
    return (exact, *(f"{band}:{_short(row.tobytes())}" for band, row in enumerate(rows)))


def standing(text: str, original: str, threshold: float) -> Span | None:
    """Where in `original` all of `text` stands, word for word and in one piece; None if nowhere.

    It has to make up at least `threshold` of the words of `original`: 1 asks for the same words,
    less for a copy that lacks a heading or a footer. White space does not count; all else does.

    Args:
        text: what may be a copy.
        original: what may hold it.
        threshold: a share of the words of `original`, above 0 and at most 1.

    Returns:
        A span of `original`, or None where `text` is not in it, or is no more than a quotation.
    """
    if not _long_enough(text):
        return None
    if max(len(text), len(original)) > _LONGEST:
        same = _digest("", text) == _digest("", original)
        return Span(0, len(original)).trim_in(original) if same else None
    words = text.split()
    others = [found.span() for found in _WORD.finditer(original)]
    spare = len(others) - len(words)
    if spare < 0 or len(words) < threshold * len(others):
        return None
    there = [original[start:end] for start, end in others]
    for at in range(spare + 1):
        if there[at] == words[0] and there[at : at + len(words)] == words:
            return Span(others[at][0], others[at + len(words) - 1][1])
    return None


def _long_enough(text: str) -> bool:
    return sum(1 for _ in islice(_WORD.finditer(text), _FEWEST_WORDS)) == _FEWEST_WORDS


def _shingles(words: Sequence[str]) -> Iterator[bytes]:
    runs = zip(*(islice(words, at, None) for at in range(_SHINGLE)), strict=False)
    return (" ".join(run).encode("utf-8", "replace") for run in runs)


def _digest(title: str, text: str) -> str:
    """A digest of a title and a text, white space collapsed, a slice at a time."""
    hashed = hashlib.blake2b(f"{' '.join(title.split())}\n".encode("utf-8", "replace"))
    at = 0
    while at < len(text):
        end = at + _SLICE
        # To the next white space, so that no word is cut in two.
        space = _SPACE.search(text, end) if end < len(text) else None
        end = space.start() if space else len(text)
        if words := " ".join(text[at:end].split()):
            hashed.update(f"{words} ".encode("utf-8", "replace"))
        at = end
    return hashed.hexdigest()[:32]


def _short(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()
