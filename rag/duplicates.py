"""Whether two documents say the same: exactly, or nearly. Pure.

A document's *marks* are short strings: one digest of its words, and one for each band of its
MinHash signature (Broder 1997; banding after Indyk and Motwani 1998). Documents that share a mark
are candidates; `is_copy` then compares the texts themselves.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from zlib import crc32

__all__ = ["is_copy", "marks_of"]

_SHINGLE = 5  # words
_BANDS, _ROWS = 16, 8  # of 128 permutations: at a similarity of 0.9 one in 10,000 pairs is missed
_FEWEST_WORDS = 50  # fewer have too few shingles to be nearly the same: only exactly
_LONGEST = 2_000_000  # characters; longer texts are compared exactly only
_SLICE = 1 << 20
_WORD = re.compile(r"\w+(?:[.,:/'-]\w+)*")
_NEGATION = frozenset(
    "no not none nor never neither without cannot except unless isn't aren't wasn't weren't don't "
    "doesn't didn't won't can't couldn't shouldn't wouldn't hasn't haven't hadn't".split()
)
_NEW_WORDS = 0.02  # of its words that a copy may have and its original lack


def marks_of(text: str, *, near: bool) -> tuple[str, ...]:
    r"""The marks of a text: its digest first, then (for `near`) its bands.

    White space does not count. Texts of fewer than 50 words or more than two million characters
    have no bands.

    >>> marks_of("Net sales rose.", near=True) == marks_of("Net  sales\nrose.", near=True)
    True
    """
    exact = f"={_words_digest(text)}"
    if not near or len(text) > _LONGEST:
        return (exact,)
    words = _words(text)
    if len(words) < _FEWEST_WORDS:
        return (exact,)
    from datasketch import MinHash  # slow: scipy

    signature = MinHash(num_perm=_BANDS * _ROWS, seed=1, hashfunc=crc32)
    signature.update_batch(list(_shingles(words)))
    rows = signature.hashvalues.astype("<u8").reshape(_BANDS, _ROWS)
    return (exact, *(f"{band}:{_short(row.tobytes())}" for band, row in enumerate(rows)))


def is_copy(text: str, original: str, threshold: float) -> bool:
    """Whether nothing is lost when `original` stands for `text`.

    So where they are the same but for white space; or where the Jaccard similarity of their
    five-word shingles is at least `threshold` and `text` says no number and no negation, and hardly
    a word (two in a hundred), that `original` does not say as often. Two years' editions of one
    filing are as similar as copies; their numbers tell them apart.

    >>> is_copy("Sales rose 4 %.", "Sales rose 5 %.", 0.9)
    False
    """
    if _words_digest(text) == _words_digest(original):
        return True
    if threshold >= 1 or max(len(text), len(original)) > _LONGEST:
        return False
    words, others = _words(text), _words(original)
    if len(words) < _FEWEST_WORDS:
        return False
    new = Counter(words) - Counter(others)  # each word as often as it is said
    if any(word in _NEGATION or any(map(str.isdigit, word)) for word in new):
        return False
    if new.total() > _NEW_WORDS * len(words):
        return False
    mine, theirs = set(_shingles(words)), set(_shingles(others))
    return len(mine & theirs) >= threshold * len(mine | theirs)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _shingles(words: list[str]) -> Iterator[bytes]:
    runs = zip(*(islice(words, at, None) for at in range(_SHINGLE)), strict=False)
    return (" ".join(run).encode("utf-8", "replace") for run in runs)


def _words_digest(text: str) -> str:
    """A digest of the text with its white space collapsed, a slice at a time."""
    hashed = hashlib.blake2b(digest_size=16)
    at = 0
    while at < len(text):
        end = at + _SLICE
        # To the next white space, so that no word is cut in two.
        space = re.compile(r"\s").search(text, end) if end < len(text) else None
        end = space.start() if space else len(text)
        for_slice = " ".join(text[at:end].split())
        if for_slice:
            hashed.update(f"{for_slice} ".encode("utf-8", "replace"))
        at = end
    return hashed.hexdigest()


def _short(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()
