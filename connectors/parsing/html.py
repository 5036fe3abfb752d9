"""HTML: the text a reader sees, headings as sections."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

from bs4 import BeautifulSoup
from bs4.dammit import EncodingDetector
from bs4.element import PageElement, Tag

from connectors.parsing.base import Heading, Parsed, nest
from connectors.parsing.dom import (
    BLOCKS,
    HEADINGS,
    flat_text,
    holds,
    is_shown,
    raw_text,
    shown_text,
)
from connectors.parsing.tables import table_lines
from connectors.parsing.text import decode
from connectors.parsing.writer import TextWriter

__all__ = ["PARSER_VERSION", "parse"]

PARSER_VERSION = "html-1"

_PARAGRAPHS = HEADINGS | {"p", "ul", "ol", "dl", "table", "blockquote", "figure", "pre", "hr"}
_LONGEST_TITLE = 300


@dataclass(frozen=True, slots=True)
class _End:
    """Where an element ends, on the stack of what is still to be read."""

    name: str


def parse(data: bytes) -> Parsed:
    """Readable text of a page: blocks on lines of their own, "- " items, " | " between cells.

    Scripts, styles, navigation, comments and hidden elements are left out. The title is the
    page's `<title>`, else its first `<h1>`.

    Raises:
        DocumentError: the bytes are not text.
    """
    soup = _soup(decode(data, EncodingDetector.find_declared_encoding(data, is_html=True)))
    writer, headings = TextWriter(), list[Heading]()
    # On a stack of its own: pages nest deeper than Python recurses.
    stack: list[PageElement | _End] = [soup]
    while stack:
        node = stack.pop()
        if isinstance(node, _End):
            _end(node.name, writer)
        elif not isinstance(node, Tag):
            writer.words(shown_text(node))
        elif is_shown(node) and not _write_whole(node, writer, headings):
            _start(node.name, writer)
            stack.append(_End(node.name))
            stack.extend(reversed(node.contents))
    text = writer.text
    title = _title(soup) or next((found.title for found in headings if found.level == 1), "")
    return Parsed(text, title=title, sections=nest(headings, len(text)))


def _soup(markup: str) -> BeautifulSoup:
    with warnings.catch_warnings():
        # Beautiful Soup warns of markup that looks like XML or a file's name; XHTML filings do.
        warnings.simplefilter("ignore", UserWarning)
        # As UTF-8, not str, and said so: a charset that the page declares has had its say.
        return BeautifulSoup(markup.encode("utf-8"), "lxml", from_encoding="utf-8")


def _start(name: str, writer: TextWriter) -> None:
    if name == "br":
        writer.line_break()
    elif name == "li":
        writer.start_item("- ")
    elif name in BLOCKS:
        writer.gap(2 if name in _PARAGRAPHS else 1)


def _end(name: str, writer: TextWriter) -> None:
    if name == "li":
        writer.end_item()
    elif name in BLOCKS and name != "br":
        writer.gap(2 if name in _PARAGRAPHS else 1)


def _write_whole(tag: Tag, writer: TextWriter, headings: list[Heading]) -> bool:
    """Write a heading, a table of data or preformatted text; False for anything else."""
    if tag.name in HEADINGS:
        return _write_heading(tag, writer, headings)
    if tag.name == "table":
        lines = table_lines(tag)
        if lines:
            writer.line("\n".join(lines), gap=2)
        return bool(lines)
    if tag.name == "pre":
        if text := _preformatted(tag):
            writer.line(text, gap=2)
        return True
    return False


def _write_heading(tag: Tag, writer: TextWriter, headings: list[Heading]) -> bool:
    # An <h1> that was never closed swallows the page, other headings and all; it is no heading.
    if holds(tag, HEADINGS):
        return False
    title = flat_text(tag)
    if len(title) > _LONGEST_TITLE:
        return False
    if title:
        headings.append(Heading(writer.line(title, gap=2), int(tag.name[1]), title))
    return True


def _preformatted(pre: Tag) -> str:
    text = re.sub(r"\r\n?", "\n", raw_text(pre))
    return text.strip("\n") if text.strip() else ""


def _title(soup: BeautifulSoup) -> str:
    # Of the head only: a drawing in the page may have a <title> too.
    tag = soup.head.find("title") if soup.head else None
    return " ".join(tag.get_text().split()) if isinstance(tag, Tag) else ""
