from __future__ import annotations

import runpy
import socket
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pytest
from PIL import Image, ImageDraw, ImageFont

from connectors.parsing import ocr, pdf
from connectors.parsing.pdf import parse
from rag.errors import DocumentError

MakePdf = Callable[..., bytes]

needs_ocr = pytest.mark.skipif(not ocr.available(), reason="the ocr extra is not installed")


def picture(*lines: tuple[int, int, str], size: tuple[int, int] = (1100, 600)) -> Image.Image:
    """Black words on white; each text stands at the x and y before it."""
    image = Image.new("L", size, 255)
    draw = ImageDraw.Draw(image)
    for x, y, text in lines:
        draw.text((x, y), text, fill=0, font=ImageFont.load_default(size=40))
    return image


def scanned(*pages: Image.Image) -> bytes:
    buffer = BytesIO()
    pages[0].save(buffer, "PDF", resolution=150, save_all=True, append_images=pages[1:])
    return buffer.getvalue()


def merged(*files: bytes) -> bytes:
    buffer = BytesIO()
    whole = pdfium.PdfDocument.new()
    parts = [pdfium.PdfDocument(file) for file in files]
    for part in parts:
        whole.import_pages(part)
    whole.save(buffer)
    for document in (*parts, whole):
        document.close()
    return buffer.getvalue()


@needs_ocr
def test_lines_and_words_come_in_reading_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the models are inside the package: nothing is downloaded")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    page = picture(
        (600, 60, "Amount in dollars"),
        (60, 200, "The quick brown fox jumps over the lazy dog"),
        (60, 60, "Net revenue"),
        (60, 340, "See the notes below"),
    )
    assert ocr.read(np.asarray(page)).split("\n") == [
        "Net revenue Amount in dollars",
        "The quick brown fox jumps over the lazy dog",
        "See the notes below",
    ]


@needs_ocr
def test_a_scan_between_pages_of_text_has_its_place(make_pdf: MakePdf) -> None:
    scan = scanned(picture((60, 60, "Scanned words stand here"), (60, 200, "on two lines")))
    parsed = parse(merged(make_pdf(["First page"]), scan, make_pdf(["Third page"])))
    assert parsed.text == "First page\n\fScanned words stand here\non two lines\n\fThird page"
    assert [parsed.text[at:].split()[0] for at in parsed.pages] == ["First", "Scanned", "Third"]
    assert parsed.meta == {"ocr_pages": 1}


@needs_ocr
def test_scans_without_words_stay_empty(make_pdf: MakePdf) -> None:
    blank = scanned(picture())
    with pytest.raises(DocumentError, match=r"^no text in PDF: OCR finds none on 1 page of images"):
        parse(blank)
    parsed = parse(merged(make_pdf(["words"]), blank))
    assert (parsed.text, parsed.pages) == ("words\n\f", (0, 7))
    assert parsed.meta == {"pages_without_text": 1}


@needs_ocr
@pytest.mark.parametrize("shape", [(1, 1), (3000, 2), (2, 3000), (3000, 40)])
def test_pages_of_odd_shapes_are_no_trouble(shape: tuple[int, int]) -> None:
    assert ocr.read(np.full(shape, 255, dtype=np.uint8)) == ""


def test_pdfium_is_free_while_a_page_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    locked: list[bool] = []

    def read(page: np.ndarray[Any, Any]) -> str:
        locked.append(pdf._PDFIUM.locked())
        assert page.shape == (800, 1467)  # 600 and 1,100 pixels at 150 a inch, shown at 200
        return "words"

    monkeypatch.setattr(ocr, "available", lambda: True)
    monkeypatch.setattr(ocr, "read", read)
    assert parse(scanned(picture())).text == "words"
    assert locked == [False]


def test_pages_and_their_pixels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def read(page: np.ndarray[Any, Any]) -> str:
        sizes.append(page.size)
        return "words"

    monkeypatch.setattr(ocr, "available", lambda: True)
    monkeypatch.setattr(ocr, "read", read)
    monkeypatch.setattr(pdf, "_MOST_PIXELS", 10_000)
    monkeypatch.setattr(pdf, "_MOST_OCR_PAGES", 2)
    parsed = parse(scanned(picture(), picture(), picture()))
    assert parsed.text == "words\n\fwords\n\f"
    assert parsed.meta == {"ocr_pages": 2, "pages_without_text": 1}
    assert all(9_000 < size < 11_000 for size in sizes)


def test_a_pdf_is_read_again_once_ocr_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = []
    for there in (True, False):
        monkeypatch.setattr(ocr, "available", lambda there=there: there)
        versions.append(runpy.run_path(str(pdf.__file__), run_name="again")["PARSER_VERSION"])
    assert versions[0] == f"{versions[1]}+{ocr.OCR_VERSION}"


def test_words_part_at_wide_gaps_only() -> None:
    ink = np.array([c != " " for c in "## ## #    ### ##    #"])
    assert list(ocr._words_in(ink, 3)) == [(0, 7), (11, 17), (21, 22)]
    assert list(ocr._words_in(np.zeros(5, dtype=bool), 3)) == []


@pytest.mark.parametrize(
    ("line", "word", "white", "joined"),
    [
        ("in 202", "1.", 0.25, "in 2021."),
        ("$ 1", ",419", 0.25, "$ 1,419"),
        ("1,419", "2,454", 0.4, "1,419 2,454"),
        ("May 31,", "2021", 0.25, "May 31, 2021"),
        ("10", "days", 0.25, "10 days"),
        ("", "1", 0.0, "1"),
    ],
)
def test_numbers_are_not_torn_apart(line: str, word: str, white: float, joined: str) -> None:
    assert ocr._joined(line, word, white) == joined
