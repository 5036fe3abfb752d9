"""Jupyter notebooks: Markdown cells with their headings, code as it stands, printed output."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from connectors.parsing import markdown
from connectors.parsing.base import Block, Heading, Parsed, nest
from connectors.parsing.text import decode
from rag.errors import DocumentError

__all__ = ["PARSER_VERSION", "parse"]

PARSER_VERSION = f"notebook-1/{markdown.PARSER_VERSION}"

_LONGEST_OUTPUT = 2_000  # characters; a log is no text
_GAP = "\n\n"


def parse(data: bytes) -> Parsed:
    """The cells in order, a blank line between them; formats 3 and 4 of nbformat.

    The headings of Markdown cells are sections that run on over the cells that follow, their
    tables and lists are sections too. Of an output only text is read, cut at 2,000 characters;
    pictures and tracebacks are left out. The title is the first heading of level 1; `meta` has the
    language.

    Raises:
        DocumentError: it is not a notebook.
    """
    try:
        book = json.loads(decode(data))
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"not a notebook: not JSON ({error})") from error
    pieces, headings, blocks = list[str](), list[Heading](), list[Block]()
    length = 0
    for cell in _cells(book):
        for text, is_markdown in _texts(cell):
            start = length + (len(_GAP) if pieces else 0)
            if is_markdown:
                for section in markdown.parse(text.encode("utf-8", "replace")).sections:
                    at, end = section.span.start + start, section.span.end + start
                    if section.kind == "section":
                        headings.append(Heading(at, section.level, section.title))
                    else:
                        blocks.append(Block(at, end, section.title, section.kind))
            pieces.append(text)
            length = start + len(text)
    title = next((heading.title for heading in headings if heading.level == 1), "")
    language = _language(book)
    return Parsed(
        _GAP.join(pieces),
        title=title,
        sections=nest(headings, length, blocks),
        meta={"language": language} if language else {},
    )


def _cells(book: Any) -> list[Mapping[str, Any]]:
    if not isinstance(book, dict):
        raise DocumentError("not a notebook: no JSON object")
    sheets = book.get("worksheets")
    holder = sheets[0] if isinstance(sheets, list) and sheets else book  # format 3
    cells = holder.get("cells") if isinstance(holder, dict) else None
    if not isinstance(cells, list):
        raise DocumentError("not a notebook: it has no cells")
    return [cell for cell in cells if isinstance(cell, dict)]


def _texts(cell: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """What a cell says, piece by piece, and whether it is Markdown."""
    kind = cell.get("cell_type")
    source = _joined(cell.get("source", cell.get("input"))).strip("\n")
    if kind == "heading":  # format 3
        level = cell.get("level")
        depth = level if isinstance(level, int) and 1 <= level <= 6 else 1
        source = f"{'#' * depth} {source}"
    if source.strip():
        yield source, kind in ("markdown", "heading")
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict) and (text := _printed(output)):
            yield text, False


def _printed(output: Mapping[str, Any]) -> str:
    data = output.get("data")
    found = data.get("text/plain") if isinstance(data, dict) else output.get("text")
    return _joined(found).strip("\n")[:_LONGEST_OUTPUT].rstrip()


def _joined(source: Any) -> str:
    """A cell's lines, which may be one string or a list of them."""
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    text = source if isinstance(source, str) else ""
    return text.replace("\r\n", "\n").encode("utf-8", "replace").decode("utf-8")


def _language(book: Mapping[str, Any]) -> str:
    facts = book.get("metadata")
    for name, field in (("language_info", "name"), ("kernelspec", "language")):
        group = facts.get(name) if isinstance(facts, dict) else None
        if isinstance(group, dict) and isinstance(value := group.get(field), str):
            return value[:100]
    return ""
