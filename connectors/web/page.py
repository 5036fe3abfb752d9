"""A web server's answer as a document: its format, its encoding, its text, its facts."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from connectors.net.client import Response
from connectors.parsing.base import Parsed
from connectors.parsing.formats import FORMATS, parse
from rag.errors import DocumentError

__all__ = ["MARKUP", "NoDocument", "check_type", "content_of", "facts", "read_page", "suffix_of"]

_OFFICE = "application/vnd.openxmlformats-officedocument"
_TYPES = {
    "text/html": ".html",
    "application/xhtml+xml": ".xhtml",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/pdf": ".pdf",
    "application/x-pdf": ".pdf",
    f"{_OFFICE}.wordprocessingml.document": ".docx",
    f"{_OFFICE}.presentationml.presentation": ".pptx",
    f"{_OFFICE}.spreadsheetml.sheet": ".xlsx",
}
# What servers say that know nothing better.
_VAGUE = {"", "application/octet-stream", "binary/octet-stream", "application/x-download"}
MARKUP = frozenset({".html", ".htm", ".xhtml"})
_MARKDOWN = {".md", ".markdown"}
_TEXTS = {".txt", ".text", *_MARKDOWN, *MARKUP}
_HTML_HEAD = re.compile(rb"\s*<(?:!doctype\s+html|html|head)\b", re.IGNORECASE)
_LANGUAGE = re.compile(
    rb"<html\b[^>]{0,500}?\slang\s*=\s*[\"']?([a-z]{2,3}(?:-[a-z0-9]{1,8}){0,4})", re.IGNORECASE
)
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# As browsers have it: who declares one of these writes Windows-1252.
_MISNOMERS = {"ascii", "iso8859-1"}
# Encodings to Python that no page is in, some of which take hours to decode.
_NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7"}
_HEAD = 4_096


class NoDocument(DocumentError):
    """An answer in a format that is not read: a picture, an archive."""


def check_type(address: str, headers: Mapping[str, str]) -> None:
    """Let pass what may be a document, going by its headers.

    Raises:
        NoDocument: it is something else.
    """
    kind = _kind(headers)
    if kind not in _VAGUE and _TYPES.get(kind) not in FORMATS:
        raise _no_document(address, kind)


def suffix_of(found: Response) -> str:
    """In which of `FORMATS` the answer is: by its content type, its name, its first bytes.

    Raises:
        NoDocument: in none of them.
    """
    kind = _kind(found.headers)
    named = os.path.splitext(unquote(urlsplit(found.url).path))[1].lower()
    suffix = _TYPES.get(kind, "")
    if found.content.startswith(b"%PDF-"):  # whatever the server says
        suffix = ".pdf"
    elif suffix == ".txt" and named in _MARKDOWN:
        suffix = named
    elif kind in _VAGUE or (suffix in _TEXTS and found.content.startswith(b"PK\x03\x04")):
        suffix = ".html" if _HTML_HEAD.match(found.content[:_HEAD]) else named
    if suffix not in FORMATS:
        raise _no_document(found.url, kind)
    return suffix


def read_page(found: Response) -> Parsed:
    """Parse an answer, in the encoding its server declares.

    Raises:
        DocumentError: it is in no format that is read, damaged or empty.
    """
    suffix = suffix_of(found)
    return parse(content_of(found, suffix), suffix)


def content_of(found: Response, suffix: str) -> bytes:
    """The content; a text in the encoding that the server declares, as UTF-8 with a mark.

    What is UTF-8 whatever is declared, or cannot be what is declared, is left to the parser, which
    asks the document itself.
    """
    data, declared = found.content, _charset(found)
    if suffix not in _TEXTS or not declared or data.startswith(_MARKS):
        return data
    with suppress(UnicodeDecodeError):
        if not declared.startswith(("utf-16", "utf-32")):
            data.decode("utf-8")
            return data
    with suppress(UnicodeDecodeError, LookupError):
        return data.decode(declared).encode("utf-8-sig")
    return data


def facts(found: Response) -> Mapping[str, Any]:
    """What to filter by: url, content_type, last_modified and language, where they are known."""
    language = _LANGUAGE.search(found.content[:_HEAD]) if _kind(found.headers) in _TYPES else None
    said = {
        "url": found.url,
        "content_type": _kind(found.headers),
        "last_modified": _moment(found.headers.get("last-modified", "")),
        "language": language[1].decode().lower() if language else "",
    }
    return {name: value for name, value in said.items() if value}


def _kind(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _no_document(address: str, kind: str) -> NoDocument:
    return NoDocument(
        f"{address}: {kind or 'of unknown type'}: not a format that is read",
        hint=f"known are {', '.join(FORMATS)}",
    )


def _charset(found: Response) -> str:
    message = Message()
    message["Content-Type"] = found.headers.get("content-type", "")
    try:
        name = codecs.lookup(str(message.get_content_charset())).name
    except (LookupError, ValueError):
        return ""
    return "" if name in _NO_CHARSETS else "cp1252" if name in _MISNOMERS else name


def _moment(written: str) -> str:
    try:
        found = parsedate_to_datetime(written).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return ""
    return f"{found.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
