from __future__ import annotations

import pytest

from connectors.parsing import formats, html
from connectors.parsing.base import Parsed
from connectors.parsing.code_languages import LANGUAGES
from rag.errors import DocumentError


@pytest.mark.parametrize("suffix", formats.FORMATS)
def test_an_empty_file_says_so_in_every_format(suffix: str) -> None:
    with pytest.raises(DocumentError, match=r"^empty file"):
        formats.parse(b"", suffix)


@pytest.mark.parametrize(
    ("data", "suffix"),
    [(b" \r\n\t\f", ".txt"), (b"\n\n", ".md"), (b"<script>x</script>", ".html"), (b" ", ".htm")],
)
def test_white_space_only_is_empty(data: bytes, suffix: str) -> None:
    with pytest.raises(DocumentError, match=r"^empty document"):
        formats.parse(data, suffix)


def test_whatever_a_parser_raises_becomes_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(data: bytes) -> Parsed:
        raise AssertionError("expected a tag\nbut got a hose")

    broken = formats.Format("HTML", html.PARSER_VERSION, explode)
    monkeypatch.setattr(formats, "FORMATS", {".html": broken})
    with pytest.raises(DocumentError, match=r"^cannot be read as HTML: expected a tag$") as caught:
        formats.parse(b"x", ".html")
    assert isinstance(caught.value.__cause__, AssertionError)


def test_versions_tell_formats_apart() -> None:
    found = {(chosen.name, chosen.parse, chosen.version) for chosen in formats.FORMATS.values()}
    names = {name for name, _, _ in found}
    assert len(names) == len(found)
    # CSV and TSV are read by one parser and change together; so are all programming languages.
    languages = {language.name for language in LANGUAGES.values()} & names
    assert len({version for _, _, version in found}) == len(names) - 1 - (len(languages) - 1)


COVER = "<p>SECURITIES AND EXCHANGE COMMISSION</p><p>FORM 10-K</p>{}"
ITEMS = "<p>Item 1. Business</p><p>Bread.</p><p>Item 2. Properties</p><p>None.</p>"


def test_a_page_that_is_a_filing_for_certain_has_its_items() -> None:
    pursuant = "<p>PURSUANT TO SECTION 13 OR 15(d) OF THE SECURITIES EXCHANGE ACT</p>"
    data = (COVER.format(pursuant) + ITEMS).encode()
    parsed = formats.parse(data, ".htm")
    assert [each.title for each in parsed.sections] == ["Item 1. Business", "Item 2. Properties"]
    assert parsed.text == html.parse(data).text
    for each in parsed.sections:
        assert each.span.text_in(parsed.text).startswith(each.title)


def test_a_page_about_filings_has_none() -> None:
    assert formats.parse((COVER.format("") + ITEMS).encode(), ".htm").sections == ()
