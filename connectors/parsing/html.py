"""HTML: the text a reader sees; headings, tables and lists as sections."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field

from bs4 import BeautifulSoup
from bs4.dammit import EncodingDetector
from bs4.element import PageElement, Tag

from connectors.parsing.base import Block, Heading, Parsed, nest
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
from rag.errors import DocumentError
from rag.spans import Span

__all__ = ["PARSER_VERSION", "parse"]

PARSER_VERSION = "html-2"

_PARAGRAPHS = HEADINGS | {"p", "ul", "ol", "dl", "table", "blockquote", "figure", "pre", "hr"}
_LISTS = {"ul", "ol", "dl"}
_LONGEST_TITLE = 300
_MOST_TAGS = 3_000_000  # opening or closing; a tree of them takes about 0.5 kB each
_DEEPEST = 20_000
_NUMBER = re.compile(r"-?\d{1,9}")


@dataclass(frozen=True, slots=True)
class _End:
    """Where an element ends, on the stack of what is still to be read."""

    name: str


@dataclass(slots=True)
class _List:
    """A list that is being read: where the text before it ends, and its next item's number."""

    before: int
    number: int | None

    def prefix(self, item: Tag) -> str:
        """What a browser puts before an item; it goes on counting from one that has a value."""
        if self.number is None:
            return "- "
        number = _integer(item, "value", self.number)
        self.number = number + 1
        return f"{number}. "


def parse(data: bytes) -> Parsed:
    """Readable text of a page: blocks on lines of their own, "- " items, " | " between cells.

    Scripts, styles, navigation, comments and hidden elements are left out. The title is the
    page's `<title>`, else its first `<h1>`. Sections are the headings, the tables of data, titled
    with their captions, and the lists that stand in no other list.

    Raises:
        DocumentError: the bytes are not text, or there are too many tags.
    """
    if data.count(b"<") > _MOST_TAGS:
        raise DocumentError(f"page too large: over {_MOST_TAGS:,} tags", hint="split it")
    soup = _soup(decode(data, EncodingDetector.find_declared_encoding(data, is_html=True)))
    reader = _Reader()
    reader.read(soup)
    text, headings = reader.writer.text, reader.headings
    title = _title(soup) or next((found.title for found in headings if found.level == 1), "")
    return Parsed(text, title=title, sections=nest(headings, len(text), reader.blocks_in(text)))


def _soup(markup: str) -> BeautifulSoup:
    with warnings.catch_warnings():
        # Beautiful Soup warns of markup that looks like XML or a file's name; XHTML filings do.
        warnings.simplefilter("ignore", UserWarning)
        # As UTF-8, not str, and said so: a charset that the page declares has had its say.
        return _Soup(markup.encode("utf-8"), "lxml", from_encoding="utf-8")


class _Soup(BeautifulSoup):
    """A tree of bounded depth: for each text Beautiful Soup goes down all that is open."""

    def pushTag(self, tag: Tag) -> None:  # noqa: N802
        if len(self.tagStack) > _DEEPEST:
            raise DocumentError(f"page nested too deep: over {_DEEPEST:,} elements in each other")
        super().pushTag(tag)


@dataclass(slots=True)
class _Reader:
    """Writes a page's text and remembers where its headings, tables and lists stand."""

    writer: TextWriter = field(default_factory=TextWriter)
    headings: list[Heading] = field(default_factory=list)
    _tables: list[Block] = field(default_factory=list)
    _lists: list[Span] = field(default_factory=list)
    _open: list[_List] = field(default_factory=list)

    def blocks_in(self, text: str) -> Iterable[Block]:
        """The tables and lists, without the white space before them."""
        yield from self._tables
        for span in self._lists:
            inside = span.trim_in(text)
            yield Block(inside.start, inside.end, "", "list")

    def read(self, root: Tag) -> None:
        # On a stack of its own: pages nest deeper than Python recurses.
        stack: list[PageElement | _End] = [root]
        while stack:
            node = stack.pop()
            if isinstance(node, _End):
                self._end(node.name)
            elif not isinstance(node, Tag):
                self.writer.words(shown_text(node))
            elif is_shown(node) and not self._write_whole(node):
                self._start(node)
                stack.append(_End(node.name))
                stack.extend(reversed(node.contents))

    def _start(self, tag: Tag) -> None:
        name, writer = tag.name, self.writer
        if name == "br":
            writer.line_break()
        elif name == "li":
            writer.start_item(self._open[-1].prefix(tag) if self._open else "- ")
        elif name in BLOCKS:
            writer.gap(2 if name in _PARAGRAPHS else 1)
        if name in _LISTS:
            self._open.append(_List(writer.end, _first_number(tag)))

    def _end(self, name: str) -> None:
        if name == "li":
            self.writer.end_item()
        elif name in BLOCKS and name != "br":
            self.writer.gap(2 if name in _PARAGRAPHS else 1)
        if name in _LISTS:
            before = self._open.pop().before
            if not self._open:
                self._lists.append(Span(before, self.writer.end))

    def _write_whole(self, tag: Tag) -> bool:
        """Write a heading, a table of data or preformatted text; False for anything else."""
        if tag.name in HEADINGS:
            return self._write_heading(tag)
        if tag.name == "table":
            return self._write_table(tag)
        if tag.name == "pre":
            if text := _preformatted(tag):
                self.writer.line(text, gap=2)
            return True
        return False

    def _write_heading(self, tag: Tag) -> bool:
        # An <h1> that was never closed swallows the page, other headings and all; it is no heading.
        if holds(tag, HEADINGS):
            return False
        title = flat_text(tag)
        if len(title) > _LONGEST_TITLE:
            return False
        if title:
            start = self.writer.line(title, gap=2)
            self.headings.append(Heading(start, int(tag.name[1]), title))
        return True

    def _write_table(self, tag: Tag) -> bool:
        lines = table_lines(tag)
        if lines:
            caption = tag.find("caption", recursive=False)
            title = flat_text(caption) if isinstance(caption, Tag) else ""
            text = "\n".join(lines)
            start = self.writer.line(text, gap=2)
            title = title if len(title) <= _LONGEST_TITLE else ""
            self._tables.append(Block(start, start + len(text), title, "table"))
        return bool(lines)


def _first_number(tag: Tag) -> int | None:
    """The number of an ordered list's first item; None where items have letters or none at all."""
    if tag.name != "ol" or tag.get("type", "1") != "1" or tag.has_attr("reversed"):
        return None
    return _integer(tag, "start", 1)


def _integer(tag: Tag, name: str, default: int) -> int:
    value = str(tag.get(name, "")).strip()
    return int(value) if _NUMBER.fullmatch(value) else default


def _preformatted(pre: Tag) -> str:
    text = re.sub(r"\r\n?", "\n", raw_text(pre))
    return text.strip("\n") if text.strip() else ""


def _title(soup: BeautifulSoup) -> str:
    # Of the head only: a drawing in the page may have a <title> too.
    tag = soup.head.find("title") if soup.head else None
    return " ".join(tag.get_text().split()) if isinstance(tag, Tag) else ""
