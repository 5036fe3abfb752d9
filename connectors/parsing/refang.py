"""Indicators as reports disarm them ("hxxp://evil[.]com") made whole, with a way back."""

from __future__ import annotations

import re
from bisect import bisect_left

from rag.spans import Span

__all__ = ["Refanged"]

_DOT, _AT = r"[\[({][ ]?(?:\.|dot)[ ]?[\])}]", r"[\[({][ ]?(?:@|at)[ ]?[\])}]"
# Each alternative is short, so that a text is read once, whatever it holds. A space is taken with
# a mark only where there is one on either side.
_MARKS = re.compile(
    rf"(?P<dot>[ ]{_DOT}[ ]|{_DOT}|(?<=\w)\[\.(?=\w)|(?<=\w)\.\](?=\w))"
    rf"|(?P<at>[ ]{_AT}[ ]|{_AT})"
    r"|(?P<schema>[\[({]://[\])}])"
    r"|(?P<colon>[\[({]:[\])}])"
    r"|(?P<slash>[\[({]/[\])}])"
    r"|(?<![A-Za-z0-9])(?P<http>h(?:xx|tx|xt|\*\*|__)p)(?P<secure>s?)(?=[\[({]?:)"
    r"|(?<![A-Za-z0-9])(?P<ftp>f(?:x|\*)p)(?=[\[({]?:)",
    re.IGNORECASE,
)
_MEANINGS = {"dot": ".", "at": "@", "schema": "://", "colon": ":", "slash": "/", "secure": "http"}


class Refanged:
    """A text with its disarmed addresses made whole.

    >>> whole = Refanged("see hxxps://evil[.]example now")
    >>> whole.text
    'see https://evil.example now'
    >>> span = whole.span(4, 24)
    >>> span, whole.disarmed(4, 24)
    (Span(start=4, end=26), True)

    Args:
        text: as it was written.
    """

    def __init__(self, text: str) -> None:
        pieces: list[str] = []
        # Where each replacement stands: here as [start, end), there as [start, end).
        self._here: list[tuple[int, int]] = []
        self._there: list[tuple[int, int]] = []
        at = length = 0
        for mark in _MARKS.finditer(text):
            kind = mark.lastgroup or ""
            meaning = _MEANINGS.get(kind, kind) + (mark["secure"] or "").lower()
            pieces += (text[at : mark.start()], meaning)
            length += mark.start() - at
            self._here.append((length, length + len(meaning)))
            self._there.append(mark.span())
            length += len(meaning)
            at = mark.end()
        pieces.append(text[at:])
        self.text = "".join(pieces)

    def span(self, start: int, end: int) -> Span:
        """Where [start, end) of `text` stands in what was written; not inside a replacement."""
        return Span(self._back(start), self._back(end))

    def disarmed(self, start: int, end: int) -> bool:
        """Whether [start, end) of `text` was written otherwise."""
        first = bisect_left(self._here, (start, start))
        return first < len(self._here) and self._here[first][0] < end

    def _back(self, offset: int) -> int:
        at = bisect_left(self._here, (offset, offset)) - 1
        if at < 0:
            return offset
        (_, here), (start, end) = self._here[at], self._there[at]
        return start if offset < here else end + offset - here
