"""PDF: the text of each page as pdfium reads it, sections from the outline."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import accumulate
from threading import Lock
from typing import Any

import pypdfium2 as pdfium  # type: ignore[import-untyped]
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

from connectors.parsing.base import Heading, Parsed, nest
from connectors.parsing.furniture import furniture
from rag.errors import DocumentError
from rag.spans import Span

__all__ = ["PARSER_VERSION", "parse"]

PARSER_VERSION = "pdf-2"

_BREAK = "\n\f"  # a form feed alone is dropped by tokenizers: two words would become one
_SLACK = 1.0  # points: a heading's letters may rise a little above where its entry points

_PDFIUM = Lock()  # pdfium is not thread-safe, not even across documents

# pdfium marks a hyphen at a line's end by \x02 (by U+FFFE before 2021) and joins the lines.
_HYPHEN = re.compile("[\x02\ufffe]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_FILE_NAME = re.compile(r"\.(pdf|docx?|xlsx?|pptx?|html?|rtf|txt|indd|qxd|tmp)$", re.IGNORECASE)


def parse(data: bytes) -> Parsed:
    r"""Pages end with a form feed, line ends as "\n", sections from the outline if there is one.

    Running heads, feet and page numbers are left out. A section starts where its outline entry
    points to: at that height of its page, or at the page's start where it names none. `meta` has
    the author and the subject, and `pages_without_text` where some pages are scans.

    Raises:
        DocumentError: it is damaged, encrypted, or holds no text.
    """
    with _PDFIUM:
        try:
            with closing(pdfium.PdfDocument(data)) as pdf:
                return _read(pdf)
        except pdfium.PdfiumError as error:
            raise _reason(error, data) from error


def _read(pdf: Any) -> Parsed:
    raw, scans = list[str](), 0
    for number in range(len(pdf)):
        with closing(pdf[number]) as page:
            raw.append(_page_text(page))
            scans += not raw[-1].strip() and _has_image(page)
    dropped = furniture(raw)
    texts = [
        "".join(gone.complement(len(page)).texts_in(page))
        for page, gone in zip(raw, dropped, strict=True)
    ]
    text = _BREAK.join(texts)
    if not text.strip():
        raise _no_text(len(texts), scans)
    pages = list(accumulate((len(page) + len(_BREAK) for page in texts[:-1]), initial=0))
    meta: dict[str, Any] = {
        name.lower(): value for name in ("Author", "Subject") if (value := _info(pdf, name))
    }
    if scans:
        meta["pages_without_text"] = scans
    headings = [
        Heading(pages[number] + at - dropped[number].clip(Span(0, at)).length, level, title)
        for number, at, level, title in _outline(pdf, raw)
    ]
    return Parsed(
        text,
        title=_title(_info(pdf, "Title")),
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
    return DocumentError(
        f"no text in PDF: {_count(scans)} of images (OCR is not configured)",
        hint="add a text layer first, for instance with ocrmypdf",
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
