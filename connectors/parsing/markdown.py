"""Markdown: the text as it stands; its headings, tables and lists become sections."""

from __future__ import annotations

import re
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from connectors.parsing.base import Block, Heading, Parsed, nest
from connectors.parsing.text import decode
from rag.spans import Span

__all__ = ["PARSER_VERSION", "outline", "parse"]

PARSER_VERSION = "markdown-2"

# What markdown-it takes for a line end; `str.splitlines` knows others and would miscount.
_LINE_END = re.compile(r"\r\n?|\n")
_FRONT_MATTER = re.compile(
    r"---[ \t]*(?:\r\n?|\n)(?=[\w-]+[ \t]*:)(?P<body>.*?)(?:\r\n?|\n)"
    r"(?:---|\.\.\.)[ \t]*(?:\r\n?|\n|\Z)",
    re.DOTALL,
)
_TITLE = re.compile(r"(?:^|[\r\n])title[ \t]*:[ \t]*([^\r\n]*)")

_BLOCKS = MarkdownIt("commonmark").enable("table").disable("inline")
_INLINE = MarkdownIt("commonmark")
_LONGEST_HEADING = 1_000  # characters of markup; what follows is no title


def parse(data: bytes) -> Parsed:
    """The text as it stands, sections from ATX and setext headings, lists, and GitHub's tables.

    The title is the front matter's `title:` if there is one, else the first level-1 heading.

    Raises:
        DocumentError: the bytes are not text.
    """
    text = decode(data)
    front = _FRONT_MATTER.match(text)
    # Front matter ends in `---`, which Markdown takes for the underline of a heading.
    headings, blocks = outline(text, front.end() if front else 0)
    title = _front_title(front["body"]) if front else ""
    if not title:
        title = next((heading.title for heading in headings if heading.level == 1), "")
    return Parsed(text, title=title, sections=nest(headings, len(text), blocks))


def outline(text: str, start: int = 0) -> tuple[list[Heading], list[Block]]:
    """The headings of a text from `start` on, its tables, and its lists that are in no other.

    A heading in a quotation or a list item titles that, not the document, and is left out.
    """
    lines = [start, *(found.end() for found in _LINE_END.finditer(text, start)), len(text)]
    headings, blocks, lists = list[Heading](), list[Block](), 0
    tokens = _BLOCKS.parse(text[start:])
    for opened, inner in pairwise(tokens):
        if opened.type == "heading_open" and opened.level == 0 and opened.map:
            title = _plain(inner.content[:_LONGEST_HEADING])
            headings.append(Heading(lines[opened.map[0]], int(opened.tag[1:]), title))
        is_list = opened.type in {"bullet_list_open", "ordered_list_open"}
        if opened.map and (opened.type == "table_open" or (is_list and not lists)):
            span = Span(lines[opened.map[0]], lines[opened.map[1]]).trim_in(text)
            blocks.append(Block(span.start, span.end, "", "list" if is_list else "table"))
        if opened.tag in {"ul", "ol"}:
            lists += opened.nesting
    return headings, blocks


def _plain(markdown: str) -> str:
    """A heading without its markup: `## The *big* [plan](x)` is "The big plan"."""
    inline = _INLINE.parseInline(markdown)
    return " ".join("".join(map(_words, inline[0].children or ())).split())


def _words(token: Token) -> str:
    if token.type in {"text", "code_inline", "image"}:
        return token.content
    return " " if token.type in {"softbreak", "hardbreak"} else ""


def _front_title(body: str) -> str:
    found = _TITLE.search(body)
    value = found[1].strip() if found else ""
    if value[:1] in {"'", '"'} and value[-1:] == value[:1]:
        return value[1:-1].strip()
    # A folded or literal block, an alias, a list: YAML proper, which this is not.
    return "" if value[:1] in set(">|&*[{!") else value
