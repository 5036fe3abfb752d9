"""The formats there are, by the suffix of a file's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from connectors.parsing import (
    delimited,
    docx,
    email_message,
    epub,
    html,
    markdown,
    notebook,
    pdf,
    pptx,
    source_code,
    text,
    xlsx,
)
from connectors.parsing.base import Parsed
from connectors.parsing.code_languages import LANGUAGES
from connectors.parsing.filing import form_in
from connectors.parsing.filing_map import ITEMS_VERSION, with_items
from rag.errors import DocumentError

__all__ = ["FORMATS", "Format", "parse"]


@dataclass(frozen=True, slots=True)
class Format:
    """A parser, and the version that makes its documents be read again when it changes."""

    name: str
    version: str
    parse: Callable[[bytes], Parsed]

    def read(self, data: bytes) -> Parsed:
        """Parse `data`, whatever it is.

        Raises:
            DocumentError: it is empty, damaged or not of this format.
        """
        if not data:
            raise DocumentError("empty file")
        try:
            parsed = self.parse(data)
        except DocumentError:
            raise
        except Exception as error:
            # Parsers of hostile bytes raise whatever their depths raise (ValueError,
            # AssertionError, RecursionError, ...); one such file must not end a run over thousands.
            what = (str(error) or type(error).__name__).splitlines()[0]
            raise DocumentError(f"cannot be read as {self.name}: {what}") from error
        if not parsed.text.strip():
            raise DocumentError("empty document: nothing but white space")
        return parsed


def _parse_page(data: bytes) -> Parsed:
    """A web page; one with the cover page of a 10-K, 10-Q or 8-K has the form's items too."""
    parsed = html.parse(data)
    return with_items(parsed, form_in(parsed.text))


_TEXT = Format("text", text.PARSER_VERSION, text.parse)
_MARKDOWN = Format("Markdown", markdown.PARSER_VERSION, markdown.parse)
_HTML = Format("HTML", f"{html.PARSER_VERSION}:{ITEMS_VERSION}", _parse_page)
_PDF = Format("PDF", pdf.PARSER_VERSION, pdf.parse)
_DOCX = Format("Word", docx.PARSER_VERSION, docx.parse)
_PPTX = Format("PowerPoint", pptx.PARSER_VERSION, pptx.parse)
_XLSX = Format("Excel", xlsx.PARSER_VERSION, xlsx.parse)
_CSV = Format("CSV", delimited.PARSER_VERSION, delimited.parse_csv)
_TSV = Format("TSV", delimited.PARSER_VERSION, delimited.parse_tsv)
_MAIL = Format("mail", email_message.PARSER_VERSION, email_message.parse)
_NOTEBOOK = Format("Jupyter notebook", notebook.PARSER_VERSION, notebook.parse)
_CODE = {
    language.name: Format(
        language.name, source_code.PARSER_VERSION, partial(source_code.parse, language=language)
    )
    for language in LANGUAGES.values()
}
_EPUB = Format("EPUB", epub.PARSER_VERSION, epub.parse)

FORMATS: Mapping[str, Format] = {
    ".txt": _TEXT,
    ".text": _TEXT,
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".html": _HTML,
    ".htm": _HTML,
    ".xhtml": _HTML,
    ".pdf": _PDF,
    ".docx": _DOCX,
    ".pptx": _PPTX,
    ".xlsx": _XLSX,
    ".xlsm": _XLSX,
    ".csv": _CSV,
    ".tsv": _TSV,
    ".epub": _EPUB,
    ".eml": _MAIL,
    ".ipynb": _NOTEBOOK,
    # JSON is data, and seldom a text: a bundle of STIX objects, a lock file.
    **{suffix: _CODE[each.name] for suffix, each in LANGUAGES.items() if suffix != ".json"},
}


def parse(data: bytes, suffix: str) -> Parsed:
    """Parse a file's bytes by its suffix, one of `FORMATS`.

    Raises:
        DocumentError: it is empty, damaged or not of that format.
    """
    return FORMATS[suffix].read(data)
