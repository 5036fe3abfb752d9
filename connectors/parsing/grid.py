"""Tables as lines of text: one row a line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from rag.errors import DocumentError

__all__ = ["Grid"]

_MOST_TEXT = 2**28  # characters
_MOST_ROWS = 10_000_000
_WIDE = 3  # columns from which a row alone does not say what is what
_LONGEST_LABEL = 80
_LABEL = re.compile(r"[^\W\d_]|^(19|20)\d\d(-\d\d){0,2}$")  # it has a letter, or is a date


class Grid:
    """Rows of a table, kept without their blank cells until all of them are known.

    Blank rows and columns go; a blank cell in a column that is used elsewhere keeps its place.

    >>> grid = Grid()
    >>> grid.add(enumerate(["Region", "", "2022", "2023"]))
    >>> grid.add(enumerate(["North", "", "5", "7"]))
    >>> grid.add(enumerate(["South", "", "", "9"]))
    >>> grid.lines()
    ['Region | 2022 | 2023', 'North | 5 | 7', 'South |  | 9']
    >>> grid.labelled_lines()
    ['Region | 2022 | 2023', 'Region: North | 2022: 5 | 2023: 7', 'Region: South | 2023: 9']
    """

    def __init__(self) -> None:
        # A row is the columns that it fills, mostly the same as another's, and its cells.
        self._rows: list[tuple[tuple[int, ...], str]] = []
        self._columns: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._length = 0

    def add(self, cells: Iterable[tuple[int, str]]) -> None:
        """Add a row: its cells with their columns, from left to right.

        Raises:
            DocumentError: the table is too long.
        """
        filled = [(column, text) for column, raw in cells if (text := " ".join(raw.split()))]
        if filled:
            columns = tuple(column for column, _ in filled)
            row = "\t".join(text for _, text in filled)
            self._rows.append((self._columns.setdefault(columns, columns), row))
            self._length = _grown(self._length, row)
            if len(self._rows) > _MOST_ROWS:
                raise DocumentError(f"table too long: over {_MOST_ROWS:,} rows", hint="split it")

    def lines(self) -> list[str]:
        """The rows, their cells joined by " | ".

        Raises:
            DocumentError: they make too much text.
        """
        return _bounded(_line(columns, row, self._used()) for columns, row in self._rows)

    def labelled_lines(self) -> list[str]:
        """As `lines`, but where a wide table has a header, each row below it names its columns.

        Sheets are long, and are cut into chunks far below their header: "Region: North | 2023: 7"
        says by itself what "North | 7" does not. Blank cells are left out. A header is the first
        row of more than one cell, if it names every column (the first may go without) with a
        short text of its own, and no cell of it is a number other than a year or a date.

        Raises:
            DocumentError: they make too much text.
        """
        used = self._used()
        at = next((at for at, row in enumerate(self._rows) if len(row[0]) > 1), 0)
        if len(used) < _WIDE or not self._is_header(at, used):
            return self.lines()
        columns, row = self._rows[at]
        names = dict(zip(columns, row.split("\t"), strict=True))
        above = (_line(*each, used) for each in self._rows[: at + 1])
        below = (_labelled(*each, names) for each in self._rows[at + 1 :])
        return _bounded(line for part in (above, below) for line in part)

    def _used(self) -> list[int]:
        return sorted({column for columns in self._columns for column in columns})

    def _is_header(self, at: int, used: Sequence[int]) -> bool:
        columns, row = self._rows[at]
        cells = row.split("\t")
        return (
            list(columns) in (used, used[1:])
            and len(set(cells)) == len(cells)
            and all(len(cell) <= _LONGEST_LABEL and _LABEL.search(cell) for cell in cells)
        )


def _line(columns: Sequence[int], row: str, used: Sequence[int]) -> str:
    cells = row.split("\t")
    if len(cells) < len(used):
        filled = dict(zip(columns, cells, strict=True))
        cells = [filled.get(column, "") for column in used if column <= columns[-1]]
    return " | ".join(cells).strip()


def _labelled(columns: Sequence[int], row: str, names: dict[int, str]) -> str:
    cells = zip(columns, row.split("\t"), strict=True)
    return " | ".join(f"{names[at]}: {cell}" if at in names else cell for at, cell in cells)


def _bounded(lines: Iterator[str]) -> list[str]:
    kept, length = list[str](), 0
    for line in lines:
        length = _grown(length, line)
        kept.append(line)
    return kept


def _grown(length: int, text: str) -> int:
    if (grown := length + len(text)) > _MOST_TEXT:
        raise DocumentError(f"table too long: over {_MOST_TEXT:,} characters", hint="split it")
    return grown
