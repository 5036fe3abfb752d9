from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from connectors.parsing.tables import table_lines


def lines(markup: str) -> list[str]:
    table = BeautifulSoup(f"<table>{markup}</table>", "lxml").table
    assert table is not None
    return table_lines(table)


def test_one_row_a_line() -> None:
    assert lines("<tr><th>Item</th><th>2023</th></tr><tr><td>Net\n sales</td><td>$5</td></tr>") == [
        "Item | 2023",
        "Net sales | $5",
    ]


def test_a_blank_cell_keeps_its_place_and_a_blank_column_does_not() -> None:
    spacer = "<td>&nbsp;</td>"
    assert lines(
        f"<tr><td></td>{spacer}<td>2023</td>{spacer}<td>2022</td></tr>"
        f"<tr><td>Sales</td>{spacer}<td></td>{spacer}<td>4</td></tr>"
        f"<tr>{spacer * 5}</tr>"
    ) == ["| 2023 | 2022", "Sales |  | 4"]


def test_columns_are_counted_over_merged_cells() -> None:
    assert lines(
        "<tr><th></th><th colspan=2>2023</th><th colspan=2>2022</th></tr>"
        "<tr><td>Sales</td><td>$</td><td>5</td><td></td><td>4</td></tr>"
    ) == ["| 2023 | 2022", "Sales | $5 |  | 4"]


def test_captions_and_stray_text_are_kept_and_hidden_cells_are_not() -> None:
    assert (
        lines(
            "<caption>In millions</caption>stray"
            "<tr><td>a</td><td style='display: none'>x</td><td>b<br>c</td></tr>"
        )
        == ["In millionsstray", "a | b c"]
        or lines("<tr></tr>") == []
    )


@pytest.mark.parametrize(
    "markup",
    [
        "<tr><td><h1>Title</h1></td><td>x</td></tr>",
        "<tr><td><table><tr><td>a</td><td>b</td></tr></table></td><td>x</td></tr>",
        "<tr><td>one</td></tr><tr><td>two</td></tr>",
        "<tr><td></td></tr>",
        "",
    ],
)
def test_a_table_for_layout_has_no_lines(markup: str) -> None:
    assert lines(markup) == []


@pytest.mark.parametrize("span", ["0", "-3", "x", "", "99999999999"])
def test_absurd_widths_do_no_harm(span: str) -> None:
    assert lines(f"<tr><td colspan='{span}'>a</td><td>b</td></tr>") == ["a | b"]
