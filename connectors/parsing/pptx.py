"""PowerPoint: one page and one section a slide, shapes in reading order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lxml import etree

from connectors.parsing.base import Parsed
from connectors.parsing.grid import Grid
from connectors.parsing.office import Limits, Package
from connectors.parsing.outline import Outline
from connectors.parsing.slideml import Layouts, in_order, is_body, is_title, lines_of
from rag.errors import DocumentError
from rag.spans import Span
from rag.types import Section

__all__ = ["PARSER_VERSION", "parse"]

PARSER_VERSION = "pptx-1"

_WHAT = "PowerPoint presentation"
_LIMITS = Limits(most_bytes=128 * 2**20, most_tags=6_000_000)
_BREAK = "\n\f"  # as between the pages of a PDF
_LONGEST_TITLE = 300


def parse(data: bytes) -> Parsed:
    r"""The text of each slide, its notes last as "Notes: ..."; slides are parted by "\n\f".

    The title comes first, then shapes from top to bottom and from left to right, those in groups
    together; a table's rows have " | " between cells, and a merged cell stands once. A slide's
    section is named by its title, else by its first line. Hidden slides are read, for they
    count; footers, dates, slide numbers and what stands in pictures and charts are not.

    The XML is read as it is: python-pptx unpacks archives unbounded, and its parser gives up on
    10 MB of text in a row.

    Raises:
        DocumentError: it is damaged, encrypted, too large or no PowerPoint presentation.
    """
    package = Package(data, _WHAT, "presentationml", _LIMITS)
    layouts = Layouts(package)
    sections, texts, pages, start = list[Section](), list[str](), list[int](), 0
    for slide in _slides(package):
        outline = Outline(level=1)
        title = _write(in_order(package.root(slide), layouts.places(slide)), outline)
        if notes := _notes(package, slide):
            outline.paragraph(f"Notes: {notes}")
        pages.append(start)
        texts.append(outline.text)
        if outline.text:
            found = (Section(Span(0, len(outline.text)), title), *outline.sections)
            sections += (_moved(section, start) for section in found)
        start += len(outline.text) + len(_BREAK)
    title, meta = package.title_and_facts()
    title = title or next((each.title for each in sections if each.title), "")
    return Parsed(_BREAK.join(texts), title, tuple(sections), tuple(pages), meta)


def _moved(section: Section, by: int) -> Section:
    return replace(section, span=Span(section.span.start + by, section.span.end + by))


def _slides(package: Package) -> list[str]:
    """The slides' parts in the order they are shown."""
    main = package.related("", "officeDocument")
    relations = package.relations(main)
    listed = package.root(main).iterfind("{*}sldIdLst/{*}sldId")
    # Each has an `id` of its own, too; the one that is meant has a namespace.
    keys = (next((v for k, v in each.items() if k.endswith("}id")), "") for each in listed)
    slides = [relations.get(key, ("", ""))[1] for key in keys]
    if len(set(slides)) < len(slides):
        raise DocumentError(f"damaged {_WHAT}: a slide is listed twice")
    return slides


def _write(shapes: Iterable[etree._Element], outline: Outline) -> str:
    """Write what is on a slide; returns its title, or its first line if that is short."""
    title = None
    for shape in shapes:
        table = next(shape.iterfind("{*}graphic/{*}graphicData/{*}tbl"), None)
        lines = lines_of(shape) if table is None else _rows(table)
        if lines and title is None and is_title(shape):
            lines = [" ".join(lines)]
        if lines and title is None:
            title = lines[0] if len(lines[0]) <= _LONGEST_TITLE else ""
        if lines and table is None:
            outline.paragraph("\n".join(lines))
        elif lines:
            outline.block("table", lines)
    return title or ""


def _rows(table: etree._Element) -> list[str]:
    grid = Grid()
    for row in table.iterfind("{*}tr"):
        grid.add(enumerate(" ".join(lines_of(cell)) for cell in row.iterfind("{*}tc")))
    return grid.lines()


def _notes(package: Package, slide: str) -> str:
    part = package.related(slide, "notesSlide")
    shapes = in_order(package.root(part), {}) if part else ()
    return "\n".join(line for shape in shapes if is_body(shape) for line in lines_of(shape))
