from __future__ import annotations

import pytest

from connectors.parsing.money import join_signs


def joined(*cells: str) -> list[str]:
    return [text for _, text in join_signs(list(enumerate(cells)))]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("Sales", "$", "383,285", "", "$", "394,328"), "Sales||$383,285|||$394,328"),
        (("Loss", "$", "(1,234", ")", "(5", ")"), "Loss||$(1,234)||(5)|"),
        (("Loss", "$(", "12", ")", "($", "3", ")"), "Loss||$(12)|||($3)|"),
        (("Growth", "2", "%", "(3", ")%", "4.5", "%"), "Growth|2%||(3)%||4.5%|"),
        (("None", "$", "—", "$", "-"), "None||$—||$-"),
        (("Tax", "€", ".5"), "Tax||€.5"),
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


def test_columns_stay() -> None:
    assert join_signs([(0, "a"), (3, "$"), (4, "5"), (7, "%")]) == [
        (0, "a"), (3, ""), (4, "$5%"), (7, ""),
    ]  # fmt: skip
