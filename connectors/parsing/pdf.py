"""PDF: the text of each page as pdfium reads it, or OCR; sections from the outline."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import pypdfium2 as pdfium  # type: ignore[import-untyped]
from numpy.typing import NDArray
from pypdfium2.raw import (  # type: ignore[import-untyped]
    FPDF_ERR_PASSWORD,
    FPDF_ERR_SECURITY,
    FPDF_PAGEOBJ_IMAGE,
    PDFDEST_VIEW_FITBH,
    PDFDEST_VIEW_FITH,
    PDFDEST_VIEW_XYZ,
    FPDF_CloseDocument,
    FPDF_LoadMemDocument64,
)

from connectors.parsing import ocr
from connectors.parsing.base import Heading, Parsed, nest
from connectors.parsing.furniture import furniture
from rag.errors import DocumentError
from rag.spans import Span

__all__ = ["PARSER_VERSION", "parse"]

# A scan that could not be read is read when the package for it is there.
PARSER_VERSION = "pdf-2" + (f"+{ocr.OCR_VERSION}" if ocr.available() else "")

_T = TypeVar("_T")

_BREAK = "\n\f"  # a form feed alone is dropped by tokenizers: two words would become one
_SLACK = 1.0  # points: a heading's letters may rise a little above where its entry points

_DPI = 200  # of a scanned page as it is shown to the OCR
_MOST_PIXELS = 25_000_000  # of such a page; one too large for them is shown smaller
_MOST_OCR_PAGES = 2_000  # of a document, at some seconds each

_PDFIUM = Lock()  # pdfium is not thread-safe, not even across documents

# pdfium marks a hyphen at a line's end by \x02 (by U+FFFE before 2021) and joins the lines.
_HYPHEN = re.compile("[\x02\ufffe]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FILE_NAME = re.compile(r"\.(pdf|docx?|xlsx?|pptx?|html?|rtf|txt|indd|qxd|tmp)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Found:
    """What pdfium reads: each page's text, which pages are scans, the outline, the labels."""

    texts: list[str]
    scans: list[int]
    outline: list[tuple[int, int, int, str]]
    info: dict[str, str]


def parse(data: bytes) -> Parsed:
    r"""Pages end with a form feed, line ends as "\n", sections from the outline if there is one.

    Running heads, feet and page numbers are left out. A section starts where its outline entry
    points to: at that height of its page, or at the page's start where it names none. Scanned
    pages are read by OCR where the extra for it is installed. `meta` has the author and the
    subject, `ocr_pages`, how many pages OCR gave a text to, and `pages_without_text`, how many
    scans have none.

    Raises:
        DocumentError: it is damaged, encrypted, or holds no text.
    """
    found = _open(data, _read)
    by_ocr = dict[int, str]()
    if ocr.available():
        for number in found.scans[:_MOST_OCR_PAGES]:
            # pdfium's lock is free while OCR takes its seconds: other PDFs are read meanwhile.
            image = _open(data, partial(_image, number=number))
            by_ocr[number] = _canonical(ocr.read(image))
    return _parsed(found, {number: text for number, text in by_ocr.items() if text.strip()})


def _open(data: bytes, do: Callable[[Any], _T]) -> _T:
    """What `do` makes of the PDF, alone with pdfium."""
    with _PDFIUM:
        try:
            with closing(pdfium.PdfDocument(data)) as pdf:
                return do(pdf)
        except pdfium.PdfiumError as error:
            raise _reason(error, data) from error


def _read(pdf: Any) -> _Found:
    texts, scans = list[str](), list[int]()
    for number in range(len(pdf)):
        with closing(pdf[number]) as page:
            texts.append(_page_text(page))
            if not texts[-1].strip() and _has_image(page):
                scans.append(number)
    info = {name: _info(pdf, name) for name in ("Title", "Author", "Subject")}
    return _Found(texts, scans, list(_outline(pdf, texts)), info)


def _image(pdf: Any, number: int) -> NDArray[np.uint8]:
    """The grey levels of a page, of shape (height, width), copied out of pdfium."""
    with closing(pdf[number]) as page:
        width, height = page.get_size()
        scale = min(_DPI / 72, (_MOST_PIXELS / max(1, width * height)) ** 0.5)
        with closing(page.render(scale=scale, grayscale=True)) as bitmap:
            return np.array(bitmap.to_numpy(), dtype=np.uint8).reshape(bitmap.height, bitmap.width)


def _parsed(found: _Found, by_ocr: Mapping[int, str]) -> Parsed:
    raw = [by_ocr.get(number, text) for number, text in enumerate(found.texts)]
    dropped = furniture(raw)
    texts = [
        "".join(gone.complement(len(page)).texts_in(page))
        for page, gone in zip(raw, dropped, strict=True)
    ]
    text = _BREAK.join(texts)
    if not text.strip():
        raise _no_text(len(texts), len(found.scans))
    pages = list(accumulate((len(page) + len(_BREAK) for page in texts[:-1]), initial=0))
    meta: dict[str, Any] = {
        name.lower(): found.info[name] for name in ("Author", "Subject") if found.info[name]
    }
    counts = {"ocr_pages": len(by_ocr), "pages_without_text": len(found.scans) - len(by_ocr)}
    meta |= {name: count for name, count in counts.items() if count}
    headings = [
        Heading(pages[number] + at - dropped[number].clip(Span(0, at)).length, level, title)
        for number, at, level, title in found.outline
    ]
    return Parsed(
        text,
        title=_title(found.info["Title"]),
        sections=nest(headings, len(text)),
        pages=tuple(pages),
        meta=meta,
    )


def _page_text(page: Any) -> str:
    with closing(page.get_textpage()) as reader:
        return _canonical(reader.get_text_bounded())


def _canonical(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", _HYPHEN.sub("-", text))


def _has_image(page: Any) -> bool:
    return any(True for _ in page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE]))


def _outline(pdf: Any, raw: Sequence[str]) -> Iterator[tuple[int, int, int, str]]:
    """Page index, offset in that page, level and title of each entry."""
    for bookmark in pdf.get_toc():
        target = bookmark.get_dest()
        number = None if target is None else target.get_index()
        title = _line(bookmark.get_title)
        if title and number is not None and 0 <= number < len(raw):
            height = _height(target)
            with closing(pdf[number]) as page:
                at = 0 if height is None else _offset_below(page, height, raw[number])
            yield number, at, bookmark.level + 1, title


def _offset_below(page: Any, height: float, text: str) -> int:
    """Where in the page's text the first letter below `height` stands; 0 if nobody can say."""
    with closing(page.get_textpage()) as reader:
        if _canonical(reader.get_text_range()) != text:
            return 0  # letters outside the page: pdfium's two ways of counting differ
        tops = [reader.get_charbox(at)[3] for at in range(reader.count_chars())]
        below = [at for at, top in enumerate(tops) if 0 < top <= height]
        if not below:
            return 0
        first = max(below, key=lambda at: (tops[at], -at))
        before = _canonical(reader.get_text_range(0, first)) if first else ""
        return before.rfind("\n") + 1  # its line's start: a first letter may be a low one


def _height(target: Any) -> float | None:
    """How far up its page a destination points, in points; None where it means all of it."""
    mode, position = target.get_view()
    if mode == PDFDEST_VIEW_XYZ and len(position) > 1:
        return float(position[1]) + _SLACK
    if mode in (PDFDEST_VIEW_FITH, PDFDEST_VIEW_FITBH) and position:
        return float(position[0]) + _SLACK
    return None


def _info(pdf: Any, name: str) -> str:
    return _line(lambda: pdf.get_metadata_value(name))


def _line(read: Callable[[], str]) -> str:
    try:
        return " ".join(_CONTROL.sub(" ", read()).split())
    except UnicodeDecodeError:  # a broken label is not worth the document
        return ""


def _title(title: str) -> str:
    """The title if it reads like one: not an accession number, not a file's name."""
    wordy = " " in title and re.search(r"[^\W\d_]{3}", title)
    return title if wordy and not _FILE_NAME.search(title) else ""


def _no_text(pages: int, scans: int) -> DocumentError:
    if not scans:
        return DocumentError(f"empty PDF: neither text nor images ({_count(pages)})")
    images = f"{_count(scans)} of images"
    if ocr.available():
        return DocumentError(f"no text in PDF: OCR finds none on {images}")
    return DocumentError(
        f"no text in PDF: {images} (OCR is not installed)",
        hint="pip install 'spanrag[ocr]', or add a text layer first, for instance with ocrmypdf",
    )


def _count(pages: int) -> str:
    return "1 page" if pages == 1 else f"{pages} pages"


def _reason(error: Any, data: bytes) -> DocumentError:
    if _opens(data):
        what = "PDF has no pages" if error.err_code is not None else f"damaged PDF: {error}"
        return DocumentError(what)
    if error.err_code == FPDF_ERR_PASSWORD:
        return DocumentError("password-protected PDF", hint="save a copy without a password")
    if error.err_code == FPDF_ERR_SECURITY:
        return DocumentError("encrypted PDF: its security scheme is not supported")
    return DocumentError(f"damaged PDF: {error}")


def _opens(data: bytes) -> bool:
    """Whether pdfium itself opens it.

    pypdfium2 refuses a PDF without pages, too, but gives as the reason whatever went wrong with
    the last file that pdfium could not open.
    """
    document = FPDF_LoadMemDocument64(data, len(data), None)
    if document:
        FPDF_CloseDocument(document)
    return bool(document)
