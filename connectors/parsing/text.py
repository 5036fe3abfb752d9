"""Plain text: bytes to characters, and form feeds to pages."""

from __future__ import annotations

import codecs
import re
from io import BytesIO

from charset_normalizer import from_bytes

from connectors.parsing.base import Parsed
from connectors.parsing.headings import page_sections
from rag.errors import DocumentError

__all__ = ["PARSER_VERSION", "decode", "parse"]

PARSER_VERSION = "text-2"

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = ["utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"]
# Who declares one of these writes Windows-1252, as browsers know, and that is tried anyway.
_MISNOMERS = {"ascii", "us-ascii", "latin-1", "latin1", "iso-8859-1", "iso8859-1"}
_RUBBISH = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd]")
_RUBBISH_SHARE = 0.05
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_SAMPLE = 1 << 16


def parse(data: bytes) -> Parsed:
    """The text exactly as it stands, line ends included; form feeds, if any, part its pages.

    A page that begins with a heading is a section.

    Raises:
        DocumentError: the bytes are not text.
    """
    text = decode(data)
    starts = [found.end() for found in re.finditer("\f", text)]
    # A form feed at the very end closes the last page; it opens none.
    pages = (0, *(start for start in starts if start < len(text))) if starts else ()
    return Parsed(text, sections=page_sections(text, pages), pages=pages)


def decode(data: bytes, declared: str | None = None) -> str:
    """Bytes to characters, with newlines left alone and a byte order mark taken off.

    A mark decides; else UTF-8 if the bytes are that; else the encoding that the document itself
    declares, Windows-1252, or what charset-normalizer makes of a sample, whichever first fits.

    Raises:
        DocumentError: the bytes are not text.
    """
    text = _decode(data, declared)
    head = text[:_SAMPLE]
    # A share, not the first NUL: real filings, extracted by other tools, have a few.
    if len(_RUBBISH.findall(head)) > _RUBBISH_SHARE * len(head):
        raise _not_text()
    return text


def _decode(data: bytes, declared: str | None) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strictly(data[len(mark) :], encoding)
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    whole = len(text) - len(text.encode("ascii", "ignore")) - broken
    # A few broken bytes must not turn every other character of a UTF-8 file to rubbish.
    if broken * 10 <= whole:
        return text
    return data.decode(_guess(_sample(data), declared), "replace")


def _strictly(data: bytes, encoding: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _not_text() from error


def _guess(sample: bytes, declared: str | None) -> str:
    # On short Western text charset-normalizer's first choice is a coin toss among look-alikes
    # (cp1250, cp852, ...), so the likeliest encodings are asked for by name before all others.
    asked = [] if declared is None or declared.lower() in _MISNOMERS else [[declared]]
    for isolation in (*asked, ["cp1252"], None):
        found = from_bytes(sample, cp_isolation=isolation, cp_exclusion=_WIDE).best()
        if found is not None:
            return found.encoding
    raise _not_text()


def _sample(data: bytes) -> bytes:
    """The lines with bytes beyond ASCII: what tells one encoding from another, and little else."""
    sample = bytearray()
    for line in BytesIO(data):
        if odd := _BEYOND_ASCII.search(line):
            # What precedes the first such byte is ASCII and may be cut anywhere.
            start = max(0, odd.start() - 100)
            piece = line[start : start + _SAMPLE]
            # Half a character would rule its encoding out; a space is never half of one.
            sample += piece if line.endswith(piece) else piece[: piece.rfind(b" ")]
            if len(sample) > _SAMPLE // 2:
                break
    return bytes(sample)


def _not_text() -> DocumentError:
    return DocumentError("not text: looks like binary data", hint="remove it or add it to ignore")
