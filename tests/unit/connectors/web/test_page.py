# ruff: noqa: RUF001 (letters that look alike are what is tested)
from __future__ import annotations

from collections.abc import Callable

import pytest

from connectors.net.client import Response
from connectors.web.page import NoDocument, check_type, facts, read_page, suffix_of
from rag.errors import DocumentError


def found(
    content: bytes | str = b"<p>x",
    kind: str | None = "text/html",
    url: str = "http://h/a",
    **more: str,
) -> Response:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    if kind is not None:
        headers["content-type"] = kind
    data = content.encode() if isinstance(content, str) else content
    return Response(200, url, headers, data)


@pytest.mark.parametrize(
    ("answer", "suffix"),
    [
        (found(kind="text/html; charset=utf-8"), ".html"),
        (found(kind="TEXT/HTML"), ".html"),
        (found(kind="application/xhtml+xml"), ".xhtml"),
        (found("x", "text/plain"), ".txt"),
        (found("x", "text/plain", "http://h/README.md?raw=1"), ".md"),
        (found("x", "text/markdown"), ".md"),
        (found("x", "application/pdf"), ".pdf"),
        (found("%PDF-1.7", "text/html"), ".pdf"),
        (found("%PDF-1.7", None), ".pdf"),
        (found("x", "application/octet-stream", "http://h/a%2Emd"), ".md"),
        (found("x", None, "http://h/a.TXT"), ".txt"),
        (found("\n<!DOCTYPE  html><p>x", None), ".html"),
        (found("<html><p>x", "application/octet-stream", "http://h/a.bin"), ".html"),
        (found("<p>x", "text/html", "http://h/Node.js"), ".html"),
    ],
)
def test_the_type_or_the_name_or_the_first_bytes_say_the_format(
    answer: Response, suffix: str
) -> None:
    assert suffix_of(answer) == suffix


@pytest.mark.parametrize(
    "answer",
    [
        found(b"\x89PNG", "image/png", "http://h/a.html"),
        found("{}", "application/json"),
        found(b"\0\1", None),
        found(b"PK\x03\x04", "application/octet-stream", "http://h/a.zip"),
        found(b"PK\x03\x04", "text/plain", "http://h/a.zip"),
    ],
)
def test_what_is_no_document_is_refused(answer: Response) -> None:
    with pytest.raises(NoDocument, match="not a format that is read; known are"):
        suffix_of(answer)


def test_headers_alone_refuse_what_they_can() -> None:
    for kind in ("image/png", "application/zip", "text/css"):
        with pytest.raises(NoDocument, match=f"http://h/a: {kind}"):
            check_type("http://h/a", {"content-type": kind})
    for headers in (
        {},
        {"content-type": "text/html; charset=x"},
        {"content-type": "application/octet-stream"},
    ):
        check_type("http://h/a", headers)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("Привет, мир".encode("cp1251"), "text/html; charset=windows-1251"),
        ("Привет, мир".encode("koi8-r"), 'text/html; charset="KOI8-R"'),
        ("Привет, мир".encode(), "text/html; charset=iso-8859-1"),
        ("Привет, мир".encode("utf-16"), "text/html; charset=koi8-r"),
        ("Привет, мир".encode("utf-16-le"), "text/plain; charset=utf-16le"),
        (b'<meta charset="windows-1251">' + "Привет, мир".encode("cp1251"), "text/html"),
        (b'<meta charset="koi8-r">' + "Привет, мир".encode("cp1251"), "text/html; charset=cp1251"),
        (
            b'<meta charset="windows-1251">' + "Привет, мир".encode("cp1251"),
            "text/html; charset=utf-8",
        ),
        (
            '<?xml version="1.0" encoding="koi8-r"?><p>Привет, мир</p>'.encode("cp1251"),
            "application/xhtml+xml; charset=windows-1251",
        ),
    ],
)  # fmt: skip
def test_the_declared_encoding_counts(data: bytes, kind: str) -> None:
    assert read_page(found(data, kind)).text == "Привет, мир"


@pytest.mark.parametrize(
    "charset",
    ["iso-8859-1", "latin1", "us-ascii", "bogus", "", "base64", "punycode", "idna", "\x00"],
)
def test_a_wrong_or_unknown_encoding_is_made_the_best_of(charset: str) -> None:
    answer = found("<p>the company’s café".encode("cp1252"), f"text/html; charset={charset}")
    assert read_page(answer).text == "the company’s café"


def test_a_pdf_on_the_web_has_its_pages(make_pdf: Callable[..., bytes]) -> None:
    parsed = read_page(found(make_pdf(["One"], ["Two"]), "application/pdf; charset=koi8-r"))
    assert len(parsed.pages) == 2


def test_facts_to_filter_by() -> None:
    answer = found(
        '<!doctype html><html class="x" lang=de-AT><p>x',
        "Text/HTML; charset=utf-8",
        "http://h/b",
        last_modified="Wed, 01 May 2024 12:00:00 GMT",
    )
    assert facts(answer) == {
        "url": "http://h/b",
        "content_type": "text/html",
        "last_modified": "2024-05-01T12:00:00Z",
        "language": "de-at",
    }
    for written in ("", "yesterday", "Wed, 99 May 2024 12:00:00 GMT"):
        assert "last_modified" not in facts(found(last_modified=written))
    assert "language" not in facts(found("<html><p>x"))


def test_damage_is_an_error_of_the_document() -> None:
    with pytest.raises(DocumentError, match="damaged PDF"):
        read_page(found("%PDF-1.7 nothing", "application/pdf"))
