"""Set the fictional annual report as a PDF: `python -m pipelines.demo.make_filing`.

The words stand in `filing/*.md`, one file per part; this script only sets them. Its mark-up is a
handful of line starts, one block between blank lines:

    # item    ## section    ^ centred    - bullet    (1) footnote    --- new page    @ contents
    | a | b   a table row, the first of a block is the header
    = a | b   a total row

The same words give the same bytes, which a test holds the committed file to.
"""

# reportlab ships no types, and only this script uses it: no stubs for one script.
# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import inch
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table
from reportlab.platypus.tableofcontents import TableOfContents

HERE = Path(__file__).parent
SOURCE = HERE / "filing"
TARGET = HERE / "documents" / "filings" / "halden-instruments-10k-2025.pdf"
COMPANY = "Halden Instruments, Inc."
REPORT = "Form 10-K for fiscal 2025"

MARGIN = inch
FRAME_PADDING = 6  # points, which reportlab adds inside the margins
WIDTH = LETTER[0] - 2 * MARGIN
NUMBER_WIDTH = 0.95 * inch

BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=10, leading=12.5, spaceAfter=6)
CENTRED = ParagraphStyle(
    "centred", BODY, fontName="Times-Bold", fontSize=13, leading=17, alignment=TA_CENTER
)
BULLET = ParagraphStyle("bullet", BODY, leftIndent=14, bulletIndent=2)
NOTE = ParagraphStyle("note", BODY, fontSize=8.5, leading=10.5)
CELL = ParagraphStyle(
    "cell", BODY, fontSize=9, leading=11, spaceAfter=0, leftIndent=8, firstLineIndent=-8
)
BOLD = ParagraphStyle("bold", CELL, fontName="Times-Bold")
NUMBER_HEAD = ParagraphStyle(
    "number-head", BOLD, leftIndent=0, firstLineIndent=0, alignment=TA_RIGHT
)
ITEM = ParagraphStyle(
    "item", BODY, fontName="Times-Bold", fontSize=13, leading=16, spaceAfter=8, keepWithNext=1
)
SECTION = ParagraphStyle(
    "section", BODY, fontName="Times-Bold", fontSize=10.5, spaceBefore=6, keepWithNext=1
)
OUTLINE = {ITEM.name: 0, SECTION.name: 1}

NUMBER = re.compile(r"[$(]*[\d,.]+\)?%?|\$?-")
FOOTNOTE = re.compile(r"\(\w\) ")


def make_filing() -> bytes:
    """The report as PDF bytes."""
    # Uncompressed, because two builds of zlib need not agree on the bytes; invariant, because
    # the date of making is no part of the report.
    out = BytesIO()
    setter = SimpleDocTemplate(
        out,
        pagesize=LETTER,
        leftMargin=MARGIN - FRAME_PADDING,
        rightMargin=MARGIN - FRAME_PADDING,
        topMargin=MARGIN - FRAME_PADDING,
        bottomMargin=MARGIN - FRAME_PADDING,
        title=f"{COMPANY} {REPORT}",
        author=COMPANY,
        subject="Fictional sample data of spanrag",
        pageCompression=0,
        invariant=1,
    )
    setter.afterFlowable = partial(_enter_heading, setter)
    story = [flow for path in sorted(SOURCE.glob("*.md")) for flow in _set(path.read_text("utf-8"))]
    setter.multiBuild(story, onLaterPages=_draw_margins)  # twice: the contents need page numbers
    return out.getvalue()


def _set(text: str) -> Iterator[Any]:
    for block in re.split(r"\n{2,}", text.strip()):
        yield from _set_block(block)


def _set_block(block: str) -> Iterator[Any]:
    mark, _, rest = block.partition(" ")
    match mark:
        case "#":
            yield PageBreak()
            yield _set_heading(rest, ITEM)
        case "##":
            yield _set_heading(rest, SECTION)
        case "^":
            yield Spacer(0, 14)
            yield Paragraph(escape(rest), CENTRED)
        case "-":
            yield Paragraph(escape(rest), BULLET, bulletText="\u2022")
        case "---":
            yield PageBreak()
        case "@":
            yield from _set_contents()
        case "|":
            yield _set_table(block)
        case _:
            yield Paragraph(escape(block), NOTE if FOOTNOTE.match(block) else BODY)


def _set_heading(title: str, style: Any) -> Any:
    return Paragraph(f'<a name="{_make_key(title)}"/>{escape(title)}', style)


def _make_key(title: str) -> str:
    return re.sub(r"\W+", "-", title)  # the contents cannot hold a quote in a key


def _set_contents() -> Iterator[Any]:
    yield Spacer(0, 14)
    yield Paragraph("Contents", CENTRED)
    contents = TableOfContents(dotsMinLevel=0)
    contents.levelStyles = [BODY]
    yield contents


def _set_table(block: str) -> Any:
    lines = block.split("\n")
    rows = [[cell.strip() for cell in line[1:].strip().strip("|").split("|")] for line in lines]
    totals = [at for at, line in enumerate(lines) if line.startswith("=")]
    numeric = [
        column
        for column in range(1, len(rows[0]))
        if all(NUMBER.fullmatch(row[column]) for row in rows[1:])
    ]
    text_width = (WIDTH - NUMBER_WIDTH * len(numeric)) / (len(rows[0]) - len(numeric))
    widths = [NUMBER_WIDTH if at in numeric else text_width for at in range(len(rows[0]))]
    style: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, -1), "Times-Roman", 9, 11),
        ("VALIGN", (0, 0), (-1, -1), "BOTTOM"),
        ("TOPPADDING", (0, 0), (-1, -1), 1),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, colors.black),
    ]
    style += [("ALIGN", (at, 0), (at, -1), "RIGHT") for at in numeric]
    for at in totals:
        style += [("FONT", (1, at), (-1, at), "Times-Bold", 9, 11)]
        style += [
            ("LINEABOVE", (column, at), (column, at), 0.5, colors.black) for column in numeric
        ]
    cells = [
        [
            _set_cell(text, column in numeric, at == 0, at in totals)
            for column, text in enumerate(row)
        ]
        for at, row in enumerate(rows)
    ]
    # splitByRow=0 keeps a table on one page: every one here is shorter than that.
    return Table(cells, widths, style=style, splitByRow=0, hAlign="LEFT", spaceAfter=9)


def _set_cell(text: str, numeric: bool, header: bool, total: bool) -> Any:
    if numeric and not header:
        return text
    if numeric:
        return Paragraph(escape(text), NUMBER_HEAD)
    return Paragraph(escape(text), BOLD if header or total else CELL)


def _enter_heading(setter: Any, flow: Any) -> None:
    level = OUTLINE.get(flow.style.name) if isinstance(flow, Paragraph) else None
    if level is None:
        return
    title = flow.getPlainText()
    key = _make_key(title)
    setter.canv.addOutlineEntry(title, key, level, closed=level == 0)
    if level == 0:
        setter.notify("TOCEntry", (level, escape(title), setter.page, key))


def _draw_margins(canvas: Any, setter: Any) -> None:
    canvas.saveState()
    canvas.setFont("Times-Roman", 8.5)
    canvas.drawString(MARGIN, LETTER[1] - 0.6 * inch, COMPANY)
    canvas.drawRightString(LETTER[0] - MARGIN, LETTER[1] - 0.6 * inch, REPORT)
    canvas.drawCentredString(LETTER[0] / 2, 0.6 * inch, str(setter.page))
    canvas.restoreState()


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(make_filing())
