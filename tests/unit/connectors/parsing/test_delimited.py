from __future__ import annotations

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing import formats
from connectors.parsing.delimited import parse_csv, parse_tsv
from rag.errors import DocumentError

ROWS = "name,place,born\nAnn,Rome,1970\nBob,,1982\n"


def test_a_file_is_one_table_whose_rows_name_their_columns() -> None:
    parsed = parse_csv(ROWS.encode())
    assert parsed.text == (
        "name | place | born\nname: Ann | place: Rome | born: 1970\nname: Bob | born: 1982"
    )
    (table,) = parsed.sections
    assert (table.kind, table.level, table.title) == ("table", 1, "")
    assert table.span.text_in(parsed.text) == parsed.text
    assert (parsed.pages, parsed.title, parsed.meta) == ((), "", {})


def test_quoted_cells_hold_delimiters_quotes_and_line_ends() -> None:
    data = b'"a, b","say ""hi""","two\r\nlines"\r\n1, "2, 3",4\r\n'
    assert parse_csv(data).text == 'a, b | say "hi" | two lines\n1 | 2, 3 | 4'.replace(
        "1 | 2, 3 | 4", 'a, b: 1 | say "hi": 2, 3 | two lines: 4'
    )


@pytest.mark.parametrize("delimiter", list(",;\t|"))
def test_the_delimiter_is_found(delimiter: str) -> None:
    rows = ["Ann", "3,5", "x"], ["Bob", "4,25", "y"], ["Cleo", "1,5", "z"]
    buffer = StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    assert parse_csv(buffer.getvalue().encode()).text == "\n".join(map(" | ".join, rows))


def test_rows_of_many_lengths_still_have_a_delimiter() -> None:
    assert parse_csv(b"a;b;c\nd;e\nf;g;h;i\nj;k;l\n").text.startswith("a | b | c\nd | e\n")


def test_a_long_file_is_cut_between_rows_to_look_at_it() -> None:
    rows = "".join(f"{n};{n},5;a b\n" for n in range(2_000))
    assert parse_csv(rows.encode()).text.endswith("\n1999 | 1999,5 | a b")


def test_what_excel_says_of_the_delimiter_counts() -> None:
    assert parse_csv(b"sep=;\r\na,b;c\r\nd;e\r\n").text == "a,b | c\nd | e"


def test_one_column_is_read_as_it_stands() -> None:
    assert parse_csv(b"word\none\ntwo\n").text == "word\none\ntwo"


def test_tabs_part_the_cells_of_a_tsv_whatever_else_is_in_them() -> None:
    assert parse_tsv(b"a,b\tc;d\ne,f\tg\n").text == "a,b | c;d\ne,f | g"


def test_a_windows_file_is_decoded() -> None:
    assert parse_csv("café;12 €\nthé;3 €\n".encode("cp1252")).text == "café | 12 €\nthé | 3 €"
    assert parse_csv("é,b\nc,d".encode("utf-16")).text == "é | b\nc | d"


def test_a_token_of_over_ten_megabytes_is_read() -> None:
    size = 11 * 2**20
    assert parse_csv(b"a,b\n" + b"x" * size + b",c\n").text == "a | b\n" + "x" * size + " | c"


def test_a_quote_that_never_ends_comes_to_an_end() -> None:
    assert parse_csv(b'a,b\n"c,d\ne,f\n').text == "a | b\nc,d e,f"


@pytest.mark.parametrize("junk", ['"' * 10_000, "'," * 10_000, ',"' * 10_000, "\t" * 10_000])
def test_junk_comes_to_an_end(junk: str) -> None:
    parse_csv(junk.encode())


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_binary_data_and_blank_files_are_told_apart(suffix: str) -> None:
    with pytest.raises(DocumentError, match=r"^not text: looks like binary data"):
        formats.parse(b"PK\x03\x04" + bytes(range(256)) * 20, suffix)
    with pytest.raises(DocumentError, match=r"^empty document"):
        formats.parse(b" \t\n\n\t\t\n", suffix)


@given(
    st.text(st.characters(exclude_categories=["C"]) | st.sampled_from("\n,;\t|\"'"), max_size=300)
)
def test_sections_cover_all_of_any_text(text: str) -> None:
    parsed = parse_csv(text.encode("utf-8", "replace"))
    assert [s.span.text_in(parsed.text) for s in parsed.sections] == [parsed.text][
        : bool(parsed.text)
    ]
