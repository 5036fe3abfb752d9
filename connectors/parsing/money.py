"""Signs that stand in cells of their own, beside the number that they belong to."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

__all__ = ["join_signs"]

Row = Sequence[tuple[int, str]]

_BEFORE = re.compile(r"[-–—]?[$€£¥]\(?|\([$€£¥]?")  # noqa: RUF001
_AFTER = re.compile(r"\)?%|%?\)|\)?\s?(?:bps|pts)")
# A number or a dash for none, in brackets or with its own sign or not; a year is a heading.
_FIGURE = re.compile(
    r"(?!(?:19|20)\d\d$)[$€£¥(–—-]{0,3}(?:[.\d][\d.,]*|[–—-]\)?$)"  # noqa: RUF001
)
_ENDS = re.compile(r"[\d—–-]\)?$")  # noqa: RUF001


def join_signs(rows: Sequence[Row]) -> list[list[tuple[int, str]]]:
    """The rows of a table, cells with their columns; "$", "(", ")" and "%" join their number.

    Filings set signs in columns of their own, so that the figures stand in line. Where a column
    of signs has nothing else, it becomes one with its figures' column for all rows, headings too.

    >>> join_signs([[(0, ""), (1, "2023"), (2, "")], [(0, "Loss"), (1, "$"), (2, "5")]])
    [[(0, ''), (1, '2023')], [(0, 'Loss'), (1, '$5')]]
    """
    found = [_joined(row) for row in rows]
    spans = _united(pair for _, pairs in found for pair in pairs)
    joined = [cells for cells, _ in found]
    crowded = {at for row in joined for at in _crowded(row, spans)}
    spans = [span for at, span in enumerate(spans) if at not in crowded]
    return [list(_merged(row, spans)) for row in joined]


def _joined(row: Row) -> tuple[list[tuple[int, str]], list[tuple[int, int]]]:
    """A row with its signs beside their numbers, and the columns that signs came from and to."""
    columns, texts = [column for column, _ in row], [text for _, text in row]
    filled = [at for at, text in enumerate(texts) if text]
    pairs: list[tuple[int, int]] = []
    for at, after in pairwise(filled):
        if _BEFORE.fullmatch(texts[at]) and _FIGURE.match(texts[after]):
            texts[after], texts[at] = texts[at] + texts[after], ""
            pairs.append((columns[at], columns[after]))
    before = -1
    for at in filled:
        if before >= 0 and _AFTER.fullmatch(texts[at]) and _is_figure(texts[before]):
            texts[before], texts[at] = texts[before] + texts[at], ""
            pairs.append((columns[before], columns[at]))
        elif texts[at]:
            before = at
    return list(zip(columns, texts, strict=True)), pairs


def _is_figure(text: str) -> bool:
    return bool(_FIGURE.match(text) and _ENDS.search(text))


def _united(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """From which to which column one reaches, in order; those that overlap are one."""
    spans: list[tuple[int, int]] = []
    for first, last in sorted(pairs):
        if spans and first <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(last, spans[-1][1])
        else:
            spans.append((first, last))
    return spans


def _span_of(column: int, spans: Sequence[tuple[int, int]]) -> int:
    """Which of the spans has the column, or -1."""
    at = bisect_right(spans, column, key=lambda span: span[0]) - 1
    return at if at >= 0 and column <= spans[at][1] else -1


def _crowded(row: Row, spans: Sequence[tuple[int, int]]) -> Iterator[int]:
    """The spans in which a row has two texts: they cannot be one column."""
    filled = [_span_of(column, spans) for column, text in row if text]
    yield from (one for one, two in pairwise(filled) if one == two >= 0)


def _merged(row: Row, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, str]]:
    texts: dict[int, str] = {}
    for column, text in row:
        at = _span_of(column, spans)
        place = spans[at][0] if at >= 0 else column
        texts[place] = texts.get(place, "") + text
    yield from texts.items()
