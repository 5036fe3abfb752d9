from __future__ import annotations

import pytest

from connectors.parsing import grid
from connectors.parsing.grid import Grid
from rag.errors import DocumentError


def made(*rows: list[str]) -> Grid:
    table = Grid()
    for row in rows:
        table.add(enumerate(row))
    return table


def test_blank_rows_and_columns_go_and_blank_cells_keep_their_places() -> None:
    table = made(["a", "", "b", "c", ""], ["", " ", "", "", ""], ["", "", "d", "", ""], ["e"])
    assert table.lines() == ["a | b | c", "| d", "e"]


def test_white_space_in_cells_is_collapsed() -> None:
    assert made(["a\r\nb\tc", "  d\xa0 e "]).lines() == ["a b c | d e"]


def test_rows_of_a_wide_table_name_their_columns() -> None:
    table = made(["Note"], ["Who", "Where", "When"], ["Ann", "", "2021"], ["Bob", "Rome", ""])
    assert table.labelled_lines() == [
        "Note", "Who | Where | When", "Who: Ann | When: 2021", "Who: Bob | Where: Rome"
    ]  # fmt: skip


def test_years_and_dates_name_columns_and_the_first_may_have_no_name() -> None:
    table = made(["", "2022", "2023-06"], ["Sales", "5", "7"])
    assert table.labelled_lines()[1] == "Sales | 2022: 5 | 2023-06: 7"


@pytest.mark.parametrize(
    "rows",
    [
        (["Term", "Meaning"], ["a", "b"]),  # narrow enough to be read as it is
        (["Ann", "34", "Rome"], ["Bob", "35", "Oslo"]),  # a number is no name
        (["Who", "Who", "When"], ["a", "b", "c"]),  # two of a name
        (["Who", "", "When"], ["a", "b", "c"]),  # a column without one
        (["Who", "Where", "x" * 81], ["a", "b", "c"]),  # a sentence
    ],
)
def test_without_a_header_rows_stand_as_they_are(rows: tuple[list[str], ...]) -> None:
    assert made(*rows).labelled_lines() == made(*rows).lines()


def test_a_row_that_is_mostly_blank_cannot_blow_up_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grid, "_MOST_TEXT", 10_000)
    table = made(["x"] * 2_000, *[[""] * 1_999 + ["y"]] * 10)
    with pytest.raises(DocumentError, match=r"^table too long: over 10,000 characters"):
        table.lines()


def test_there_is_a_limit_on_text_and_on_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "_MOST_ROWS", 3)
    with pytest.raises(DocumentError, match=r"^table too long: over 3 rows; split it"):
        made(["a"], ["b"], ["c"], ["d"])
    monkeypatch.setattr(grid, "_MOST_TEXT", 5)
    with pytest.raises(DocumentError, match=r"^table too long: over 5 characters"):
        made(["abcdef"])


def test_a_table_without_text_has_no_lines() -> None:
    assert made(["", " "]).labelled_lines() == []
