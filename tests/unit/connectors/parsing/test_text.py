# ruff: noqa: RUF001 (letters that look alike are what is tested)
from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.text import decode, parse
from rag.errors import DocumentError

# What a text file may hold: any character but controls other than white space.
characters = st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("\t\n\r")
texts = st.text(characters, min_size=1).filter(lambda text: "\ufffd" not in text)


@given(texts.filter(lambda text: not text.startswith("\ufeff")))
def test_utf_8_comes_back_as_it_is(text: str) -> None:
    assert parse(text.encode()).text == text


def test_newlines_are_as_open_with_no_newline_translation_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "mixed.txt"
    path.write_bytes("one\r\ntwo\rthree\n\n\u2028four \U0001f600\r\n".encode())
    text = parse(path.read_bytes()).text
    with path.open(encoding="utf-8", newline="") as file:
        assert text == file.read()
    assert "\r\n" in text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides_and_is_taken_off(encoding: str) -> None:
    assert decode("Größe: 5 €\r\n".encode(encoding)) == "Größe: 5 €\r\n"


def test_big_endian_utf_16_with_a_mark() -> None:
    assert decode("\ufeffGröße".encode("utf-16-be")) == "Größe"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("café", "latin-1"),
        ("x – y", "cp1252"),
        ("The company’s “fair value” – €5", "cp1252"),
        ("Größe und Übung " * 10, "latin-1"),
        ("Revenue grew – the Company’s “adjusted EBITDA” rose. " * 20, "cp1252"),
        ("Привет мир, это текст на русском языке", "cp1251"),
        ("これは日本語のテキストです。" * 5, "shift_jis"),
        ("中文文本测试，公司年报" * 4, "gb18030"),
    ],
)
def test_legacy_encodings_are_recognised(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


def test_a_declared_encoding_is_tried_before_a_guess_and_after_utf_8() -> None:
    turkish = "Şirket geçen yıl önemli ölçüde büyüdü ve kârlılığını artırdı"
    assert decode(turkish.encode("cp1254"), "windows-1254") == turkish
    assert decode(turkish.encode("utf-8"), "windows-1254") == turkish
    assert decode("the company’s".encode("cp1252"), "iso-8859-1") == "the company’s"
    assert decode("the company’s".encode("cp1252"), "no-such-thing") == "the company’s"


def test_the_odd_byte_is_found_wherever_it_is() -> None:
    line = b"plain ascii, nothing to see here\n"
    data = line * 30_000 + "the company’s café\n".encode("cp1252") + line * 30_000
    assert decode(data) == data.decode("cp1252")


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_guess_is_made_where_the_odd_bytes_are(end: str) -> None:
    text = ("plain words " + end) * 100_000 + "Привет мир, это текст на русском языке. " * 20
    assert decode(text.encode("cp1251")) == text
    chinese = "中文文本测试，公司年报。本年度营业收入增长了百分之五，净利润达到三亿元。 "
    text = ("plain words " + end) * 100_000 + (chinese + end) * 20_000
    assert decode(text.encode("gb18030")) == text


def test_one_broken_byte_does_not_spoil_a_utf_8_file() -> None:
    data = "Größe “a” – ".encode() * 20 + b"\xff end"
    assert decode(data) == "Größe “a” – " * 20 + "\ufffd end"


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4,
        random.Random(7).randbytes(5000),
        bytes(byte for byte in random.Random(7).randbytes(5000) if byte),
        "no mark".encode("utf-16-le"),
        b"\x01\x02\x03 abc",
        b"\xff\xfe" + random.Random(7).randbytes(4001),
    ],
    ids=["png", "random", "random without NUL", "UTF-16 without mark", "controls", "fake mark"],
)
def test_binary_data_is_not_text(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"^not text: looks like binary data"):
        parse(data)


def test_a_stray_nul_in_a_long_text_stays_where_it_is() -> None:
    text = "Net sales rose.\n" * 100 + "\0" + "Net income rose.\n" * 100
    assert parse(text.encode()).text == text


def test_form_feeds_part_pages() -> None:
    parsed = parse(b"one\ftwo\f\fthree\f")
    assert parsed.pages == (0, 4, 8, 9)
    assert parsed.text[9:] == "three\f"


def test_without_form_feeds_there_are_no_pages_and_never_sections() -> None:
    parsed = parse(b"# one\n\ntwo")
    assert (parsed.pages, parsed.sections, parsed.title) == ((), (), "")
