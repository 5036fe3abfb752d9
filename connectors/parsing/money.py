"""Signs that stand in cells of their own, beside the number that they belong to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["join_signs"]

_BEFORE = re.compile(r"[-–—]?[$€£¥]\(?|\([$€£¥]?")  # noqa: RUF001
_AFTER = re.compile(r"\)?%|%?\)|\)?\s?(?:bps|pts)")
# A number or a dash for none, in brackets or with its own sign or not; a year is a heading.
_FIGURE = re.compile(
    r"(?!(?:19|20)\d\d$)[$€£¥(–—-]{0,3}(?:[.\d][\d.,]*|[–—-]\)?$)"  # noqa: RUF001
)
_ENDS = re.compile(r"[\d–—-]\)?$")  # noqa: RUF001


def join_signs(cells: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """A row of a table, its cells with their columns; "$", "(", ")" and "%" join their number.

    Filings set them in columns of their own, so that the figures stand in line. The cells that
    they leave are blank.

    >>> join_signs([(0, "Net loss"), (1, "$"), (2, "(1,234"), (3, ")"), (4, "12"), (5, "%")])
    [(0, 'Net loss'), (1, ''), (2, '$(1,234)'), (3, ''), (4, '12%'), (5, '')]
    """
    row = [text for _, text in cells]
    filled = [at for at, text in enumerate(row) if text]
    for at, after in pairwise(filled):
        if _BEFORE.fullmatch(row[at]) and _FIGURE.match(row[after]):
            row[after], row[at] = row[at] + row[after], ""
    before = -1
    for at in filled:
        if before >= 0 and _AFTER.fullmatch(row[at]) and _is_figure(row[before]):
            row[before], row[at] = row[before] + row[at], ""
        elif row[at]:
            before = at
    return [(column, text) for (column, _), text in zip(cells, row, strict=True)]


def _is_figure(text: str) -> bool:
    return bool(_FIGURE.match(text) and _ENDS.search(text))
