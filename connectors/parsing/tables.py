"""HTML tables as lines of text: one row a line, cells joined by " | "."""

from __future__ import annotations

from dataclasses import dataclass, field

from bs4.element import Tag

from connectors.parsing.dom import HEADINGS, holds, shown_text, visible
from connectors.parsing.money import join_signs

__all__ = ["table_lines"]

# What stands in the cells of a table that only lays out a page.
_LAYOUT = HEADINGS | {"table", "ul", "ol", "pre", "blockquote"}
_WIDEST = 1000  # HTML's own limit for colspan


@dataclass(slots=True)
class _Cell:
    column: int
    width: int = 1
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).split())


def table_lines(table: Tag) -> list[str]:
    """The rows of a table of data; empty where the table only lays out a page.

    Columns that are blank all the way down (filings space their figures with them) and rows
    without text are left out; a blank cell in a column that is used elsewhere keeps its place.
    """
    if holds(table, _LAYOUT):
        return []
    rows = join_signs([[(cell.column, cell.text) for cell in row] for row in _rows(table)])
    full = [row for row in rows if sum(bool(text) for _, text in row) > 1]
    if not full:
        return []
    used = {column for row in full for column, text in row if text}
    return [
        " | ".join(text for column, text in row if text or column in used).strip()
        for row in rows
        if any(text for _, text in row)
    ]


def _rows(table: Tag) -> list[list[_Cell]]:
    # Each row begins with a cell of its own for text that stands outside any td (a caption,
    # broken markup); it is blank in all others and goes as a blank column does.
    rows = [[_Cell(0)]]
    for node in visible(table):
        if not isinstance(node, Tag):
            rows[-1][-1].pieces.append(shown_text(node))
        elif node.name in {"tr", "caption"}:
            rows.append([_Cell(0)])
        elif node.name in {"td", "th"}:
            last = rows[-1][-1]
            rows[-1].append(_Cell(last.column + last.width, _width(node)))
    return rows


def _width(cell: Tag) -> int:
    span = str(cell.get("colspan", ""))
    return min(max(int(span[:9]), 1), _WIDEST) if span.isdecimal() else 1
