"""The rows of a CSV file, one at a time, each with where it stands."""

from __future__ import annotations

import codecs
import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["BrokenTable", "Row", "read_rows"]

_LONGEST_LINE = 1 << 20  # bytes,
_LONGEST_ROW = 1 << 24  # and of all lines that a row runs over


class BrokenTable(Exception):
    """Where the next row begins cannot be told: a quotation mark is never closed."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row, the line it begins on (from 1) and that line's offset in bytes."""

    line: int
    offset: int
    cells: list[str]


def read_rows(file: BinaryIO, delimiter: str) -> Iterator[Row]:
    """Every row that is not blank, from where the file stands.

    Raises:
        BrokenTable: a quotation mark is out of place, or a field or line too long.
    """
    # The module has one limit of a field for everybody, which others lift; ours is that of a row.
    csv.field_size_limit(sys.maxsize)
    lines = _Lines(file)
    # Strictly: a mark that is never closed would quietly swallow the rows behind it.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line, offset = reader.line_num + 1, lines.offset
        lines.start = offset
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BrokenTable(f"line {line}: {error}") from None
        if any(cell.strip() for cell in cells):
            yield Row(line, offset, cells)


class _Lines:
    """The lines of a file as text, for csv; `offset` is where the next begins, `start` the row."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.offset = self.start = file.tell()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        data = self._file.readline(_LONGEST_LINE + 1)
        if not data:
            raise StopIteration
        if len(data) > _LONGEST_LINE:
            raise csv.Error(f"over {_LONGEST_LINE:,} bytes without a line end")
        if self.offset + len(data) - self.start > _LONGEST_ROW:
            raise csv.Error(f"over {_LONGEST_ROW:,} bytes in one row")
        text = data.removeprefix(codecs.BOM_UTF8) if self.offset == 0 else data
        self.offset += len(data)
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError:
            # As some spreadsheets save. Line by line, or one bad byte would garble all others.
            return text.decode("cp1252", "replace")
