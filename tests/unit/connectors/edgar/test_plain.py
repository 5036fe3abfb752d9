from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.edgar.plain import parse_plain
from rag.errors import DocumentError


def test_pages_and_tables_become_a_map() -> None:
    data = (
        b"\r\nCover &amp; more\r\n<PAGE>\r\nRESULTS OF THE YEAR\r\n<TABLE>\r\n<CAPTION>\r\n"
        b"           1995    1994\r\n<S>        <C>     <C>\r\nSales      5       4\r\n</TABLE>\r\n"
        b"<PAGE>\r\nEnd <b>\r\n"
    )
    parsed = parse_plain(data)
    assert parsed.text.startswith("Cover & more\n\f\nRESULTS")
    assert parsed.text.endswith("\n\f\nEnd <b>")
    assert [parsed.text[start - 1] for start in parsed.pages[1:]] == ["\f", "\f"]
    (table,) = [section for section in parsed.sections if section.kind == "table"]
    assert table.span.text_in(parsed.text) == "1995    1994\n\nSales      5       4"
    assert table.level == 2
    titles = [section.title for section in parsed.sections if section.kind == "section"]
    assert titles == ["Cover & more", "RESULTS OF THE YEAR – Sales 5 4", "End <b>"]  # noqa: RUF001


def test_a_table_over_two_pages_is_none() -> None:
    parsed = parse_plain(b"a\n<TABLE>\nb\n<PAGE>\nc\n</TABLE>\nd\n<TABLE>\n e \n</TABLE>")
    (table,) = [section for section in parsed.sections if section.kind == "table"]
    assert table.span.text_in(parsed.text) == "e"


def test_a_text_without_pages_has_none() -> None:
    parsed = parse_plain(b"one\ntwo")
    assert (parsed.text, parsed.pages, parsed.sections) == ("one\ntwo", (), ())


@pytest.mark.parametrize("data", [b"", b" \n", b"<PAGE>\n<TABLE></TABLE>", b"\x00\x01" * 50])
def test_nothing_to_read(data: bytes) -> None:
    with pytest.raises(DocumentError):
        parse_plain(data)


@given(st.lists(st.sampled_from(
    ["<PAGE>", "<TABLE>", "</TABLE>", "<S>", "<C>", "&amp;", "word", "\n", " ", "\f", "</PAGE>"]
), min_size=1))  # fmt: skip
def test_tables_stand_where_they_are_said_to(pieces: list[str]) -> None:
    try:
        parsed = parse_plain(("x" + "".join(pieces)).encode())
    except DocumentError:
        return
    for section in parsed.sections:
        inside = section.span.text_in(parsed.text)
        assert len(inside) == len(section.span)
        if section.kind == "table":
            assert inside == inside.strip()
            assert "\f" not in inside
