from __future__ import annotations

import pytest

from connectors.parsing import formats, html
from connectors.parsing.base import Parsed
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
    # CSV and TSV are read by one parser and change together.
    assert len({version for _, _, version in found}) == len(names) - 1
