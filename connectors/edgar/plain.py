"""Filings as plain text: the tags that part pages and tables become a map."""

from __future__ import annotations

import html
import re

from connectors.parsing.base import Parsed
from connectors.parsing.headings import page_sections
from connectors.parsing.text import decode
from rag.errors import DocumentError
from rag.spans import Span
from rag.types import Section

__all__ = ["parse_plain"]

# Besides these, old filings mark captions (<CAPTION>), columns (<S>, <C>) and footnotes (<FN>).
_TAG = re.compile(r"</?(PAGE|TABLE|CAPTION|FN|F\d+|S|C)>[^\S\n]*", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|nbsp|#\d{2,5});")


def parse_plain(data: bytes) -> Parsed:
    """The text without its tags; `<PAGE>` or a form feed ends a page, `<TABLE>` makes a section.

    Raises:
        DocumentError: the bytes are not text, or blank.
    """
    raw = re.sub(r"\r\n?", "\n", decode(data)).strip("\n")
    pieces: list[str] = []
    tables: list[Section] = []
    length, at, table = 0, 0, list[str]()
    opened = -1
    for tag in [*_TAG.finditer(raw), None]:
        piece = _ENTITY.sub(_character, raw[at : tag.start() if tag else len(raw)])
        pieces.append(piece)
        table.append(piece)
        length += len(piece)
        if tag is None:
            break
        at = tag.end()
        if tag[0].upper().startswith("<PAGE"):
            pieces.append("\f")
            table.append("\f")
            length += 1
        elif tag[1].upper() == "TABLE":
            if tag[0].startswith("</") and opened >= 0:
                tables += _table("".join(table), opened)
            opened = -1 if tag[0].startswith("</") else length
            table = []
    text = "".join(pieces)
    if not text.strip():
        raise DocumentError("empty document: nothing but white space")
    return Parsed(text, sections=_sections(text, tables), pages=_pages(text))


def _character(entity: re.Match[str]) -> str:
    return html.unescape(entity[0])


def _table(text: str, start: int) -> list[Section]:
    """The table without the blank lines around it; on one page only, so that it nests."""
    lead = len(text) - len(text.lstrip())
    end = start + len(text.rstrip())
    return [Section(Span(start + lead, end), "", 2, "table")] if start + lead < end else []


def _pages(text: str) -> tuple[int, ...]:
    starts = [found.end() for found in re.finditer("\f", text)]
    return (0, *(start for start in starts if start < len(text))) if starts else ()


def _sections(text: str, tables: list[Section]) -> tuple[Section, ...]:
    # A page's heading is of level 1; a table that runs over pages has none around it.
    pages = page_sections(text, _pages(text))
    whole = [each for each in tables if "\f" not in each.span.text_in(text)]
    return tuple(sorted([*pages, *whole], key=lambda each: (each.span.start, each.level)))
