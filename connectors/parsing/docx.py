"""Word: paragraphs, lists and tables in their order; headings become sections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lxml import etree

from connectors.parsing.base import Parsed
from connectors.parsing.grid import Grid
from connectors.parsing.office import Limits, Package
from connectors.parsing.outline import Outline
from connectors.parsing.wordml import Notes, Styles, paragraph_text
from connectors.parsing.xmltree import attribute, child, local

__all__ = ["PARSER_VERSION", "parse"]

PARSER_VERSION = "docx-1"

_WHAT = "Word document"
_LIMITS = Limits(most_bytes=128 * 2**20, most_tags=6_000_000)
_LONGEST_HEADING = 300
_AROUND = {"document", "body", "sdt", "sdtContent", "ins", "moveTo", "customXml"}
_AROUND |= {"smartTag", "txbxContent", "tr", "tc"}  # what blocks may stand in
_PICTURES = ("{*}drawing", "{*}pict", "{*}object")

_Kind = Literal["heading", "paragraph", "item", "caption", "table", "picture"]


@dataclass(frozen=True, slots=True)
class _Block:
    """A paragraph or a table, and the footnotes that it refers to."""

    kind: _Kind
    lines: list[str]
    level: int = 0
    is_title: bool = False
    notes: list[str] = field(default_factory=list)


def parse(data: bytes) -> Parsed:
    """Text in reading order: "- " items, table rows with " | " between cells, notes below.

    Sections are the headings (Title and Heading 1 to 9, styles based on them, outline levels),
    lists and tables; a table's title is the paragraph of style Caption before or after it. A
    merged cell stands once. Footnotes follow the paragraph they belong to. Tracked insertions
    are text, deletions are not; headers, footers, comments and hidden text are left out, and so
    are the numbers that Word itself puts before headings and items.

    python-docx would leave out what stands in content controls, tracked insertions, text boxes
    and footnotes, and unpacks archives unbounded; so the XML is read as it is.

    Raises:
        DocumentError: it is damaged, encrypted, too large or no Word document.
    """
    package = Package(data, _WHAT, "wordprocessingml", _LIMITS)
    main = package.related("", "officeDocument")
    root = package.root(main)
    styles = Styles(package, main)
    blocks = list(_blocks(root, styles, Notes(package, main)))
    outline = Outline()
    for group in _groups(blocks):
        _write(group, outline)
    title, meta = package.title_and_facts()
    title = title or next((block.lines[0] for block in blocks if block.is_title), "")
    title = title or next((block.lines[0] for block in blocks if block.level == 1), "")
    return Parsed(outline.text, title=title, sections=outline.sections, meta=meta)


def _blocks(root: etree._Element, styles: Styles, notes: Notes) -> Iterator[_Block]:
    # On a stack of its own: tables and text boxes nest deeper than Python recurses.
    stack = [root]
    while stack:
        element = stack.pop()
        name = local(element)
        if name == "p":
            yield from _paragraph(element, styles, notes)
            stack.extend(reversed(_boxes(element)))
        elif name == "tbl" and not _is_layout(element, styles):
            rows = _rows(element, notes)
            if rows:
                yield _Block("table", rows, notes=notes.taken())
        elif name == "AlternateContent":
            stack.extend(element[:1])  # the others say the same for older programs
        elif name in _AROUND or name in {"tbl", "Choice"}:
            stack.extend(reversed(element))


def _paragraph(element: etree._Element, styles: Styles, notes: Notes) -> Iterator[_Block]:
    text = paragraph_text(element, notes)
    style = styles.of(element)
    if text:
        flat = " ".join(text.split())
        level = style.level if len(flat) <= _LONGEST_HEADING else 0
        if level:
            yield _Block("heading", [flat], level, style.is_title, notes.taken())
        elif style.is_caption:
            yield _Block("caption", [flat], notes=notes.taken())
        elif style.is_item:
            yield _Block("item", [f"- {flat}"], notes=notes.taken())
        else:
            yield _Block("paragraph", text.split("\n"), notes=notes.taken())
    elif next(element.iter(*_PICTURES), None) is not None:
        yield _Block("picture", [])  # its caption is no table's


def _boxes(paragraph: etree._Element) -> list[etree._Element]:
    """The text boxes that are anchored in a paragraph, once each, without those inside them."""
    found, stack = list[etree._Element](), [paragraph]
    if next(paragraph.iter("{*}txbxContent"), None) is None:
        return found
    while stack:
        element = stack.pop()
        if local(element) == "txbxContent":
            found.append(element)
        elif local(element) not in {"Fallback", "del", "moveFrom"}:
            stack.extend(reversed(element))
    return found


def _is_layout(table: etree._Element, styles: Styles) -> bool:
    """Whether it only places text on the page: one cell, or cells with headings or tables."""
    cells, stack = 0, list(table)
    while stack:
        element = stack.pop()
        name = local(element)
        if name == "tbl" or (name == "p" and styles.of(element).level):
            return True
        cells += name == "tc"
        if name in _AROUND:
            stack.extend(element)
    return cells <= 1


def _rows(table: etree._Element, notes: Notes) -> list[str]:
    grid = Grid()
    for row in _inside(table, "tr"):
        cells, column = list[tuple[int, str]](), 0
        for cell in _inside(row, "tc"):
            properties = child(cell, "tcPr")
            merge = child(properties, "vMerge")
            # A cell that goes on from the row above holds nothing of its own to be read.
            goes_on = merge is not None and attribute(merge, "val") in {"", "continue"}
            cells.append((column, "" if goes_on else _cell_text(cell, notes)))
            span = attribute(child(properties, "gridSpan"), "val")
            column += int(span) if span.isdecimal() and len(span) < 5 else 1
        grid.add(cells)
    return grid.lines()


def _inside(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """The rows of a table or the cells of a row, those in content controls too."""
    stack = list(reversed(element))
    while stack:
        found = stack.pop()
        if local(found) == name:
            yield found
        elif local(found) in _AROUND - {"tr", "tc"}:
            stack.extend(reversed(found))


def _cell_text(cell: etree._Element, notes: Notes) -> str:
    """All of a cell on one line, text boxes in it too."""
    texts, stack = list[str](), [cell]
    while stack:
        element = stack.pop()
        if local(element) == "p":
            texts.append(paragraph_text(element, notes))
            stack.extend(reversed(_boxes(element)))
        elif local(element) in _AROUND or local(element) == "tbl":
            stack.extend(reversed(element))
    return " ".join(filter(None, texts))


def _groups(blocks: Sequence[_Block]) -> Iterator[list[_Block]]:
    """Blocks that belong together: the items of a list, a table and its caption."""
    at = 0
    while at < len(blocks):
        kinds = [block.kind for block in blocks[at : at + 3]]
        size = 1
        if kinds[0] == "item":
            while at + size < len(blocks) and blocks[at + size].kind == "item":
                size += 1
        elif kinds[:2] == ["caption", "table"] or (
            kinds[:2] == ["table", "caption"] and kinds[2:] != ["table"]
        ):
            size = 2
        yield list(blocks[at : at + size])
        at += size


def _write(group: Sequence[_Block], outline: Outline) -> None:
    kinds = {block.kind for block in group}
    lines = [line for block in group for line in block.lines]
    if "table" in kinds:
        caption = next((block.lines[0] for block in group if block.kind == "caption"), "")
        outline.block("table", lines, caption)
    elif "item" in kinds:
        outline.block("list", lines)
    elif "heading" in kinds:
        outline.heading(lines[0], group[0].level)
    elif lines:
        outline.paragraph("\n".join(lines))
    for note in (note for block in group for note in block.notes):
        outline.paragraph(note)
