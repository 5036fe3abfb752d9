"""Excel: one section and one table a sheet."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, pairwise
from typing import Any

from connectors.parsing.base import Parsed
from connectors.parsing.grid import Grid
from connectors.parsing.office import Limits, Package
from connectors.parsing.outline import Outline
from rag.errors import DocumentError

__all__ = ["PARSER_VERSION", "parse"]

PARSER_VERSION = "xlsx-1"

_WHAT = "Excel workbook"
_LIMITS = Limits(most_bytes=256 * 2**20, most_tags=20_000_000)
_MOST_TAGS = 4_000_000  # from one row to the next: openpyxl keeps a row whole, 350 bytes a tag
_ROW = re.compile(rb"<(?:\w+:)?row\b")
_MOST_ROWS = 2**20  # Excel's own limit
_MOST_CELLS = 10_000_000  # of a workbook, blank ones before others in their rows included
_MOST_TEXT = 2**28  # characters
_PERCENT = re.compile(r'(?:"[^"]*"|\\.|[^"\\%])*%')
_PLAIN = (1e-9, 1e21)  # what is smaller or larger is no easier to read without an exponent


def parse(data: bytes) -> Parsed:
    """Each sheet under a heading with its name, a row a line; blank rows and columns left out.

    Where a sheet has a header, each row names its columns, as in a CSV file (`Grid`). Values are
    those that Excel last calculated: numbers in plain digits, percentages as such, dates as ISO
    8601. Hidden sheets, formulas, comments and charts are left out.

    Raises:
        DocumentError: it is damaged, encrypted, too large or no Excel workbook.
    """
    from openpyxl import load_workbook  # slow to import, and not every corpus has sheets

    package = Package(data, _WHAT, "spreadsheetml", _LIMITS)
    _check_rows(package)
    outline = Outline()
    with warnings.catch_warnings():
        # openpyxl warns of what it would lose in writing the file again.
        warnings.simplefilter("ignore", UserWarning)
        options = {"read_only": True, "data_only": True, "keep_links": False}
        with closing(load_workbook(package.repacked(), **options)) as book:
            visible = (sheet for sheet in book.worksheets if sheet.sheet_state == "visible")
            _write(visible, outline)
    title, meta = package.title_and_facts()
    return Parsed(outline.text, title=title, sections=outline.sections, meta=meta)


def _check_rows(package: Package) -> None:
    for part in package.parts.values():
        starts = (row.start() for row in _ROW.finditer(part))
        for start, end in pairwise(chain((0,), starts, (len(part),))):
            _check("XML tags in a row", part.count(b"<", start, end), _MOST_TAGS)


def _write(sheets: Iterator[Any], outline: Outline) -> None:
    cells, length = 0, 0
    for sheet in sheets:
        grid = Grid()
        for number, row in enumerate(_rows(sheet), start=1):
            cells += len(row)
            _check("rows in a sheet", number, _MOST_ROWS)
            _check("cells", cells, _MOST_CELLS)
            grid.add((at, _shown(cell)) for at, cell in enumerate(row) if cell.value is not None)
        lines = grid.labelled_lines()
        length += sum(map(len, lines))
        _check("characters", length, _MOST_TEXT)
        if lines:
            outline.heading(" ".join(sheet.title.split()), 1)
            outline.block("table", lines)


def _rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
    # The size that a sheet declares may be anything; without it rows end with their last cell.
    sheet.reset_dimensions()
    yield from sheet.iter_rows()


def _check(what: str, count: int, most: int) -> None:
    if count > most:
        raise DocumentError(f"{_WHAT} too large: over {most:,} {what}", hint="split it")


def _shown(cell: Any) -> str:
    """A cell's value as a reader would write it."""
    value = cell.value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return _percentage(value, cell.number_format) or _plain(value)
    if isinstance(value, datetime):
        whole_day = value.time() == time()
        return value.date().isoformat() if whole_day else _seconds(value.isoformat(" "))
    if isinstance(value, date | time):
        return _seconds(value.isoformat())
    if isinstance(value, timedelta):
        return _seconds(str(value))
    return str(value)


def _seconds(moment: str) -> str:
    """Without fractions of a second, which stem from days counted in binary."""
    return moment.partition(".")[0]


def _percentage(value: float, number_format: str) -> str:
    section = number_format.partition(";")[0]
    return f"{_plain(value * 100)}%" if _PERCENT.match(section) else ""


def _plain(value: float) -> str:
    """A number in plain digits, as exact as Excel keeps it (15 digits)."""
    if isinstance(value, int):
        return str(value)
    digits = f"{value:.15g}"
    smallest, largest = _PLAIN
    return f"{Decimal(digits):f}" if smallest <= abs(value) < largest else digits
