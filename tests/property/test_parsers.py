"""No bytes make a parser do anything but parse or say in one line why not."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from functools import cache

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.parsing.base import Parsed
from connectors.parsing.code_languages import LANGUAGES
from connectors.parsing.formats import FORMATS, Format
from rag.errors import DocumentError
from rag.types import Document

PAGE = (
    "<html><head><title>Report</title></head><body><h1>Sales</h1><p>They rose.</p>"
    "<table><caption>By region</caption><tr><th>Region</th><th>2023</th></tr>"
    "<tr><td>North</td><td>$ 5</td></tr></table><ul><li>one</li><li>two</li></ul></body></html>"
)
MARKDOWN = (
    "# Sales\n\nThey rose.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- one\n- two\n\n## Costs\n\nFell."
)
ROWS = 'id,name,"said, twice"\n1,Acme,"rose\n5 %"\n2,Apex,fell\n3,Ajax,stood\n'
CODE = 'class Plan:\n    """Said."""\n\n    def go(self) -> int:\n        return 1\n'


def _docx() -> bytes:
    import docx

    made = docx.Document()
    made.add_heading("Sales", 1)
    made.add_paragraph("They rose.")
    made.add_table(2, 2).cell(0, 0).text = "North"
    return _saved(made.save)


def _pptx() -> bytes:
    import pptx

    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = "Sales"
    slide.placeholders[1].text = "They rose."
    return _saved(made.save)


def _xlsx() -> bytes:
    import openpyxl

    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    for row in (["Region", "City", "2023"], ["North", "Oslo", 5], ["South", "Rome", 7.5]):
        sheet.append(row)
    return _saved(made.save)


def _pdf() -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    data = io.BytesIO()
    canvas = Canvas(data)
    for page in ("Sales rose.", "Costs fell."):
        canvas.bookmarkPage(page)
        canvas.addOutlineEntry(page, page)
        canvas.drawString(72, 700, page)
        canvas.showPage()
    canvas.save()
    return data.getvalue()


def _epub() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">'
            '<rootfiles><rootfile full-path="a.opf" '
            'media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        archive.writestr(
            "a.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata/><manifest>'
            '<item id="c" href="c.xhtml" media-type="application/xhtml+xml"/></manifest>'
            '<spine><itemref idref="c"/></spine></package>',
        )
        archive.writestr("c.xhtml", PAGE)
    return data.getvalue()


def _mail() -> bytes:
    made = EmailMessage()
    made["From"], made["Subject"] = "a@example.org", "Sales"
    made.set_content("They rose.")
    made.add_attachment(MARKDOWN.encode(), "text", "markdown", filename="terms.md")
    return made.as_bytes()


def _notebook() -> bytes:
    cells = [
        {"cell_type": "markdown", "source": [MARKDOWN]},
        {"cell_type": "code", "source": CODE, "outputs": [{"text": "5"}]},
    ]
    return json.dumps({"nbformat": 4, "cells": cells}).encode()


def _saved(save: Callable[[io.BytesIO], None]) -> bytes:
    data = io.BytesIO()
    save(data)
    return data.getvalue()


SEEDS: dict[str, Callable[[], bytes]] = {
    ".md": MARKDOWN.encode,
    ".html": PAGE.encode,
    ".pdf": _pdf,
    ".docx": _docx,
    ".pptx": _pptx,
    ".xlsx": _xlsx,
    ".csv": ROWS.encode,
    ".tsv": ROWS.replace(",", "\t").encode,
    ".epub": _epub,
    ".eml": _mail,
    ".ipynb": _notebook,
    ".py": CODE.encode,
    ".txt": f"Sales\n\nThey rose.\n\f{MARKDOWN}".encode,
}
# One suffix for each parser: the first that the table of formats has for it.
EACH = sorted({each: suffix for suffix, each in reversed(FORMATS.items())}.values())
# Languages differ in their patterns only: a few of them stand for all where much is tried.
SOME = [each for each in EACH if each not in LANGUAGES or each in (".py", ".c", ".sql")]
FUZZ = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@cache
def seed_of(suffix: str) -> bytes:
    return SEEDS.get(suffix, CODE.encode)()


def check(format_: Format, data: bytes) -> None:
    found = outcome(format_, data)
    if isinstance(found, Parsed):
        check_parsed(found)
    else:
        assert str(found)
        assert "\n" not in str(found)


def outcome(format_: Format, data: bytes) -> Parsed | DocumentError:
    try:
        return format_.read(data)
    except DocumentError as error:
        return error


def check_parsed(parsed: Parsed) -> None:
    text = parsed.text
    assert text.strip()
    text.encode("utf-8")
    assert list(parsed.pages) == sorted(parsed.pages)
    assert all(0 <= page <= len(text) for page in parsed.pages)
    around: list[int] = []
    before = 0
    for section in parsed.sections:
        assert before <= section.span.start < section.span.end <= len(text)
        before = section.span.start
        while around and around[-1] <= section.span.start:
            around.pop()
        assert not around or section.span.end <= around[-1], "sections cross"
        around.append(section.span.end)
    for value in parsed.meta.values():
        assert isinstance(value, str | int | float | bool | list)
    document = Document("f", "k", "k", "k", text, sections=parsed.sections, pages=parsed.pages)
    assert document.revision


@pytest.mark.parametrize("suffix", EACH)
def test_the_seeds_are_what_they_say(suffix: str) -> None:
    parsed = FORMATS[suffix].read(seed_of(suffix))
    check_parsed(parsed)


@pytest.mark.parametrize("suffix", EACH)
@FUZZ
@given(data=st.binary(max_size=400))
@example(data=b"\xff\xfe\x00\x00")
@example(data=b"PK\x03\x04" + b"\x00" * 60)
@example(data=b"%PDF-1.7\n%%EOF")
@example(data=b"\x00" * 300)
@example(data="\ud83d".encode("utf-8", "surrogatepass"))
def test_any_bytes(suffix: str, data: bytes) -> None:
    check(FORMATS[suffix], data)


@st.composite
def changes(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A few cuts, flips, repeats and swaps, placed by shares so that they fit any file."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["flip", "cut", "repeat", "drop", "insert"]),
                st.floats(0, 1),
                st.integers(1, 64),
                st.binary(min_size=1, max_size=8),
            ),
            min_size=1,
            max_size=4,
        )
    )

    def apply(data: bytes) -> bytes:
        for kind, share, length, some in steps:
            at = int(share * len(data))
            here = data[at : at + length]
            data = {
                "flip": data[:at] + bytes(byte ^ some[0] for byte in here) + data[at + length :],
                "cut": data[:at],
                "repeat": data[:at] + here * 8 + data[at + length :],
                "drop": data[:at] + data[at + length :],
                "insert": data[:at] + some + data[at:],
            }[kind]
        return data

    return apply


@pytest.mark.parametrize("suffix", EACH)
@FUZZ
@given(change=changes())
def test_a_damaged_file(suffix: str, change: Callable[[bytes], bytes]) -> None:
    check(FORMATS[suffix], change(seed_of(suffix)))


@pytest.mark.parametrize("suffix", SOME)
@pytest.mark.parametrize("other", SOME)
def test_a_file_of_another_format(suffix: str, other: str) -> None:
    check(FORMATS[suffix], seed_of(other))


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1 or str()};" * 10}">' for n in range(1, 12))
    + "]><html><body><p>x &a11;</p></body></html>"
)
HOSTILE = {
    "one token of 10 MB": b"a" * 10_000_000,
    "spaces": b" " * 5_000_000 + b"x",
    "nesting": b"<div>" * 20_000 + b"x" + b"</div>" * 20_000,
    "quotations": b"> " * 5_000 + b"x",
    "brackets": b"[" * 50_000 + b"x",
    "entities": BOMB.encode(),
    "script": b"<script>" + b"alert(1);" * 1_000 + b"</script><p>x</p>",
    "not UTF-8": b"caf\xe9 " * 10_000,
    "lines": b"x\n" * 300_000,
    "cells": b"|" * 200_000,
    "commas": b"," * 500_000 + b"\nx",
    "quotes": b'"' * 300_001 + b"x",
}


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SOME)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_is_bounded(suffix: str, name: str) -> None:
    check(FORMATS[suffix], HOSTILE[name])


def test_scripts_and_entities_are_no_text() -> None:
    assert "alert" not in FORMATS[".html"].read(HOSTILE["script"]).text
    found = outcome(FORMATS[".html"], HOSTILE["entities"])
    assert isinstance(found, DocumentError) or len(found.text) < 10_000
