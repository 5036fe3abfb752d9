"""A filing's bytes to its text and map, whichever way it was written down."""

from __future__ import annotations

import re
from html import unescape

from connectors.edgar.plain import parse_plain
from connectors.edgar.submission import is_submission, read_submission
from connectors.parsing import html, text
from connectors.parsing.base import Parsed
from connectors.parsing.filing import form_in
from connectors.parsing.filing_map import ITEMS_VERSION, with_items
from connectors.parsing.formats import Format
from rag.errors import DocumentError

__all__ = ["VERSION", "cover_facts", "read_filing"]

# Not <table>: old filings that are plain text mark their tables by it.
_MARKUP = re.compile(rb"<(?:html|!doctype\s+html|body|div|font)\b", re.IGNORECASE)
_HEAD = 4_000
_HTML = Format("HTML", html.PARSER_VERSION, html.parse)
_PLAIN = Format("text", text.PARSER_VERSION, parse_plain)
VERSION = f"edgar-1:{_HTML.version}:{_PLAIN.version}:{ITEMS_VERSION}"
"""Of all that makes a filing's document; part of its fingerprint."""
_WRAPPER = re.compile(rb"\s*<(XBRL|XML)>(.*)</\1>\s*", re.IGNORECASE | re.DOTALL)
# What a cover page tells machines of itself, and its name in `meta`.
_COVER = {
    "EntityRegistrantName": "company",
    "TradingSymbol": "ticker",
    "EntityCentralIndexKey": "cik",
    "DocumentType": "form",
    "DocumentFiscalYearFocus": "fiscal_year",
}
_LONGEST_FACT = 300


def read_filing(data: bytes, form: str = "") -> Parsed:
    """The text and map of one document: HTML or plain text, in its submission's wrapper or not.

    Args:
        data: its bytes.
        form: its form; without it, the one that its cover page names. Of no other than 10-K,
            10-Q and 8-K the items are known.

    Raises:
        DocumentError: it is empty, or neither text nor HTML.
    """
    if is_submission(data):
        submission = read_submission(data)
        main = submission.main
        if main is None:
            raise DocumentError("a submission without a document", hint="download it again")
        data, form = main.body, form or main.type
    data = _unwrapped(data)
    if data.lstrip()[:5].upper() == b"<PDF>":
        raise DocumentError("a PDF inside of a submission", hint="download the PDF by itself")
    marked_up = _MARKUP.search(data[:_HEAD])
    parsed = (_HTML if marked_up else _PLAIN).read(data)
    return with_items(parsed, form or form_in(parsed.text))


def cover_facts(data: bytes) -> dict[str, str | int]:
    """What inline XBRL says of the filing: company, ticker, cik, form, and fiscal year (a number).

    Of a company that has several tickers it is the first.
    """
    facts: dict[str, str | int] = {}
    for name, field in _COVER.items():
        at = data.find(b'name="dei:%s"' % name.encode())
        start = data.find(b">", at) + 1 if at >= 0 else 0
        end = data.find(b"</ix:", start, start + _LONGEST_FACT)
        if start > 0 and end >= 0:
            words = re.sub(rb"<[^>]*>", b" ", data[start:end]).decode("utf-8", "replace")
            if value := " ".join(unescape(words).split()):
                facts[field] = value
    year = str(facts.pop("fiscal_year", ""))
    return facts | ({"fiscal_year": int(year)} if re.fullmatch(r"\d{4}", year) else {})


def _unwrapped(data: bytes) -> bytes:
    found = _WRAPPER.fullmatch(data)
    return found[2] if found else data
