from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import openpyxl
import pytest

from connectors.parsing import formats, xlsx
from connectors.parsing.xlsx import parse
from rag.errors import DocumentError

Rezip = Callable[..., bytes]
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
SHEET = "xl/worksheets/sheet1.xml"


def saved(book: Any) -> bytes:
    buffer = BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def book(*rows: list[Any]) -> Any:
    made = openpyxl.Workbook()
    made.active.title = "Data"
    for row in rows:
        made.active.append(row)
    return made


def sheet(rows: str, size: str = "A1") -> bytes:
    dimension = f'<dimension ref="{size}"/>'
    xml = f"<worksheet {MAIN}>{dimension}<sheetData>{rows}</sheetData></worksheet>"
    return xml.encode()


def text(value: str, place: str = "") -> str:
    at = f' r="{place}"' if place else ""
    return f'<c{at} t="inlineStr"><is><t>{value}</t></is></c>'


def test_a_sheet_is_a_section_with_a_table() -> None:
    made = book(["Region", "2022", "2023"], ["North", 5, 7], [], ["South", None, 9])
    other = made.create_sheet("Other  sheet")
    other["C5"] = "alone"
    made.create_sheet("Blank")
    made.create_sheet("Hidden").sheet_state = "hidden"
    made["Hidden"]["A1"] = "not to be seen"
    parsed = parse(saved(made))
    assert parsed.text == (
        "Data\n\nRegion | 2022 | 2023\nRegion: North | 2022: 5 | 2023: 7\n"
        "Region: South | 2023: 9\n\nOther sheet\n\nalone"
    )
    assert [
        (s.kind, s.level, s.title, s.span.text_in(parsed.text)[:9]) for s in parsed.sections
    ] == [
        ("section", 1, "Data", "Data\n\nReg"),
        ("table", 2, "", "Region | "),
        ("section", 1, "Other sheet", "Other she"),
        ("table", 2, "", "alone"),
    ]
    assert parsed.sections[1].span.text_in(parsed.text).endswith("2023: 9")


@pytest.mark.parametrize(
    ("value", "shape", "shown"),
    [
        (12.0, "General", "12"),
        (1_000_000.0, "General", "1000000"),
        (1e15, "General", "1000000000000000"),
        (0.1 + 0.2, "General", "0.3"),
        (0.00001, "General", "0.00001"),
        (1e300, "General", "1e+300"),
        (-1234.5, "#,##0.00", "-1234.5"),
        (0.153, "0.0%", "15.3%"),
        (2, "0%", "200%"),
        (0.07, '"about" 0%;-0%', "7%"),
        (5, '0 "%"', "5"),
        (True, "General", "TRUE"),
        (date(2024, 1, 31), "dd.mm.yy", "2024-01-31"),
        (datetime(2024, 1, 31), "dd.mm.yy", "2024-01-31"),
        (datetime(2024, 1, 31, 13, 45, 10), "dd.mm.yy hh:mm", "2024-01-31 13:45:10"),
        (time(9, 30), "hh:mm", "09:30:00"),
        (timedelta(hours=30), "[h]:mm", "1 day, 6:00:00"),
        ("two\nlines", "General", "two lines"),
        ("#DIV/0!", "General", "#DIV/0!"),
    ],
)
def test_values_are_shown_as_a_reader_would_write_them(value: Any, shape: str, shown: str) -> None:
    made = book([value])
    made.active["A1"].number_format = shape
    assert parse(saved(made)).text == f"Data\n\n{shown}"


def test_merged_cells_stand_once() -> None:
    made = book(["wide", None, "x"], ["a", "b", "c"])
    made.active.merge_cells("A1:B1")
    assert parse(saved(made)).text == "Data\n\nwide |  | x\na | b | c"


def test_properties_become_title_and_facts() -> None:
    made = book(["x"])
    made.properties.title = "Figures"
    made.properties.creator = "Ann Lee"
    parsed = parse(saved(made))
    assert (parsed.title, parsed.meta["author"]) == ("Figures", "Ann Lee")


def test_a_token_of_over_ten_megabytes_is_read(rezip: Rezip) -> None:
    size = 11 * 2**20
    data = rezip({SHEET: sheet(f"<row>{text('x' * size)}</row>")}, saved(book(["a"])))
    assert len(parse(data).text) == len("Data\n\n") + size


def test_a_size_that_is_declared_is_not_believed(rezip: Rezip) -> None:
    rows = f'<row r="1">{text("a", "A1")}</row><row r="3">{text("b", "B3")}</row>'
    for size in ("A1:XFD1048576", "A1", "B2:A1"):
        data = rezip({SHEET: sheet(rows, size)}, saved(book(["a"])))
        assert parse(data).text == "Data\n\na\n| b"


def test_a_row_far_below_comes_to_an_end(rezip: Rezip) -> None:
    data = rezip(
        {SHEET: sheet(f'<row r="999999999999">{text("a", "A999999999999")}</row>')},
        saved(book(["a"])),
    )
    with pytest.raises(DocumentError, match=r"^Excel .* over 1,048,576 rows in a sheet; split it"):
        formats.parse(data, ".xlsx")


def test_blank_cells_are_counted(rezip: Rezip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "_MOST_CELLS", 100_000)
    rows = "".join(f'<row r="{n}">{text("a", f"XFD{n}")}</row>' for n in range(1, 10))
    data = rezip({SHEET: sheet(rows)}, saved(book(["a"])))
    with pytest.raises(DocumentError, match=r"^Excel workbook too large: over 100,000 cells"):
        formats.parse(data, ".xlsx")


def test_a_row_without_end_is_not_begun(rezip: Rezip, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = f"<row>{text('a')}</row>" * 200
    plain = saved(book(["a"]))
    monkeypatch.setattr(xlsx, "_MOST_TAGS", 1_000)
    assert parse(rezip({SHEET: sheet(rows)}, plain)).text.count("\n") == 201
    with pytest.raises(DocumentError, match=r"^Excel .* over 1,000 XML tags in a row; split it"):
        formats.parse(rezip({SHEET: sheet(f"<row>{'<c/>' * 1_000}</row>")}, plain), ".xlsx")


def test_one_string_in_a_million_cells_is_counted(
    rezip: Rezip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.parsing.grid._MOST_TEXT", 10**6)
    base = saved(book(["a"]))
    with ZipFile(BytesIO(base)) as archive:
        types = archive.read("[Content_Types].xml").decode()
    strings = (
        '<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats-'
        'officedocument.spreadsheetml.sharedStrings+xml"/></Types>'
    )
    data = rezip(
        {
            "[Content_Types].xml": types.replace("</Types>", strings).encode(),
            "xl/sharedStrings.xml": f"<sst {MAIN}><si><t>{'x' * 10_000}</t></si></sst>".encode(),
            SHEET: sheet('<row><c t="s"><v>0</v></c></row>' * 200),
        },
        base,
    )
    with pytest.raises(DocumentError, match=r"^table too long: over 1,000,000 characters"):
        formats.parse(data, ".xlsx")


def test_sheets_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx, "_MOST_TEXT", 50)
    made = book(["x" * 30])
    made.create_sheet("Two")["A1"] = "y" * 30
    with pytest.raises(DocumentError, match=r"^Excel workbook too large: over 50 characters"):
        formats.parse(saved(made), ".xlsx")


def test_one_part_as_many_sheets_comes_to_an_end(rezip: Rezip) -> None:
    link = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    sheets = "".join(f'<sheet name="s{n}" sheetId="{n}" r:id="rId1"/>' for n in range(1, 500))
    rows = "<row/>" * 50_000
    data = rezip(
        {
            SHEET: sheet(rows),
            "xl/workbook.xml": f"<workbook {MAIN} {link}><sheets>{sheets}</sheets></workbook>",
        },
        saved(book(["a"])),
    )
    with pytest.raises(DocumentError, match=r"^damaged Excel workbook: its parts are named over"):
        formats.parse(data, ".xlsx")


@pytest.mark.parametrize("member", [SHEET, "xl/sharedStrings.xml", "xl/workbook.xml"])
def test_entities_are_refused(rezip: Rezip, member: str) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    for xml in (bomb.encode(), bomb.encode("utf-16")):
        with pytest.raises(DocumentError, match=f"^refused: '{member}' declares a DTD"):
            formats.parse(rezip({member: xml}, saved(book(["a"]))), ".xlsx")


def test_pictures_and_macros_are_not_touched(rezip: Rezip) -> None:
    data = rezip({"xl/media/image1.png": b"\x89PNG bomb", "xl/vbaProject.bin": bytes(99)},
                 saved(book(["a"])))  # fmt: skip
    assert formats.parse(data, ".xlsm").text == "Data\n\na"


def test_other_content_and_damage_are_told_apart(rezip: Rezip) -> None:
    with pytest.raises(DocumentError, match=r"^not an Excel workbook: it is HTML"):
        formats.parse(b"<html><table></table></html>", ".xlsx")
    with pytest.raises(DocumentError, match=r"^not an Excel workbook: it is a zip archive of"):
        formats.parse(rezip({"a": b"b"}), ".xlsx")
    with pytest.raises(DocumentError, match=r"^cannot be read as Excel: "):
        formats.parse(rezip({SHEET: b"<x>"}, saved(book(["a"]))), ".xlsx")
    with pytest.raises(DocumentError, match=r"^empty document"):
        formats.parse(saved(openpyxl.Workbook()), ".xlsx")
