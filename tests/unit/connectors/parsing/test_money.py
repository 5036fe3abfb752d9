from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.money import join_signs


def joined(*cells: str) -> list[str]:
    (row,) = join_signs([list(enumerate(cells))])
    return [text for _, text in row]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("Sales", "$", "383,285", "", "$", "394,328"), "Sales|$383,285||$394,328"),
        (("Loss", "$", "(1,234", ")", "(5", ")"), "Loss|$(1,234)|(5)"),
        (("Loss", "$(", "12", ")", "($", "3", ")"), "Loss|$(12)|($3)"),
        (("Growth", "2", "%", "(3", ")%", "4.5", "%"), "Growth|2%|(3)%|4.5%"),
        (("None", "$", "—", "$", "-"), "None|$—|$-"),
        (("Tax", "€", ".5"), "Tax|€.5"),
    ],
)
def test_signs_join_their_number(cells: tuple[str, ...], expected: str) -> None:
    assert "|".join(joined(*cells)) == expected


@pytest.mark.parametrize(
    "cells",
    [
        ("Nothing", "—", "5"),
        ("", "2023", "%", "2022", "%"),
        ("Unit", "$", "per share"),
        ("%", "5"),
        ("a", ")", "b"),
        ("Total", "5", "7"),
        (),
    ],
)
def test_what_is_no_sign_of_a_number_stays(cells: tuple[str, ...]) -> None:
    assert joined(*cells) == list(cells)


def test_a_column_of_signs_is_one_with_its_figures() -> None:
    rows = [
        [(0, ""), (1, "2023"), (4, "2022")],
        [(0, "Products"), (1, "$"), (2, "68"), (3, ""), (4, "$"), (5, "(66"), (6, ")")],
        [(0, "Services"), (1, "26"), (3, ""), (4, "23"), (6, "")],
        [(0, "Other"), (1, ""), (2, "1"), (3, ""), (4, ""), (5, "2"), (6, "")],
    ]
    assert join_signs(rows) == [
        [(0, ""), (1, "2023"), (4, "2022")],
        [(0, "Products"), (1, "$68"), (3, ""), (4, "$(66)")],
        [(0, "Services"), (1, "26"), (3, ""), (4, "23")],
        [(0, "Other"), (1, "1"), (3, ""), (4, "2")],
    ]


def test_a_column_that_has_more_than_signs_stays() -> None:
    rows = [[(0, "a"), (1, "$"), (2, "5")], [(0, "b"), (1, "note"), (2, "7")]]
    assert join_signs(rows) == [[(0, "a"), (1, ""), (2, "$5")], [(0, "b"), (1, "note"), (2, "7")]]


@given(st.lists(st.lists(st.sampled_from(["", "$", "5", "(5", ")", "%", "a", "2023"]), max_size=6)))
def test_no_letter_is_lost_and_columns_rise(texts: list[list[str]]) -> None:
    rows = [list(enumerate(row)) for row in texts]
    for before, after in zip(rows, join_signs(rows), strict=True):
        assert "".join(text for _, text in after) == "".join(text for _, text in before)
        columns = [column for column, _ in after]
        assert columns == sorted(set(columns))
