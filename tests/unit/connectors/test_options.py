"""What stands behind a source: where it begins, what is decoded, what is refused and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import pytest

from connectors.options import read_options, split_options
from rag.errors import UsageError


@dataclass(frozen=True)
class Options:
    since_date: date | None = None
    forms: tuple[str, ...] = ()
    limit: int = 10
    strict: bool = False
    order: Literal["new", "old"] = "new"

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError("limit must be at least 1")


@dataclass(frozen=True)
class Needy:
    table: str
    columns: tuple[str, ...] = field(default=("id",))


@pytest.mark.parametrize(
    ("written", "place", "options"),
    [
        ("", "", {}),
        ("AAPL", "AAPL", {}),
        ("AAPL#forms=10-K,10-Q", "AAPL", {"forms": "10-K,10-Q"}),
        ("//bucket/a#1/b.md#region=eu", "//bucket/a#1/b.md", {"region": "eu"}),
        ("//bucket/a#1/b.md", "//bucket/a#1/b.md", {}),
        ("//host/#/route?page=2", "//host/#/route?page=2", {}),
        ("//host/?q=a%20b&c=d#depth=1", "//host/?q=a%20b&c=d", {"depth": "1"}),
        ("x#a=1&b=", "x", {"a": "1", "b": ""}),
        ("x#a=1&&b=2&", "x", {"a": "1", "b": "2"}),
        ("x#q=C++ and a%2Bb", "x", {"q": "C++ and a+b"}),
        ("x#since=2024-01-01T00:00+02:00", "x", {"since": "2024-01-01T00:00+02:00"}),
        ("x#q=AT%26T%23%3D%25 100%", "x", {"q": "AT&T#=% 100%"}),
        ("x#q=a=b", "x", {"q": "a=b"}),
        ('x#pages=["C# (language)"]', "x", {"pages": '["C# (language)"]'}),
        ("x#init.api_key=env:KEY&a-b=1", "x", {"init.api_key": "env:KEY", "a-b": "1"}),
        ("x##a=1", "x#", {"a": "1"}),
        ("x#=1", "x#=1", {}),
        ("x#sch%C3%B6n=1", "x#sch%C3%B6n=1", {}),
    ],
)
def test_options_are_split_off(written: str, place: str, options: dict[str, str]) -> None:
    assert split_options(written) == (place, options)


def test_an_option_without_a_value_is_refused_and_not_shown() -> None:
    with pytest.raises(UsageError, match="%26") as raised:
        split_options("x#password=se&cret")
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize("written", ["x#a=1&a=2", "x#a=1&%61=2"])
def test_an_option_given_twice_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match="'a' is given twice"):
        split_options(written)


def test_options_become_what_they_are() -> None:
    given = {
        "since-date": "2024-02-29",
        "forms": " 10-K, ,10-Q,",
        "limit": "7",
        "strict": "true",
        "order": "old",
    }
    assert read_options(Options, given, "edgar") == Options(
        date(2024, 2, 29), ("10-K", "10-Q"), 7, True, "old"
    )
    assert read_options(Options, {"since_date": "2024-02-29"}, "edgar").since_date is not None
    assert read_options(Options, {}, "edgar") == Options()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"form": "10-K"}, r"unknown option 'form' of edgar: sources; there are since_date, forms"),
        ({"since-dat": "1"}, r"unknown option 'since-dat'"),
        ({"limit": "many"}, r"option limit of edgar: .*integer"),
        ({"limit": "0"}, r"options of edgar: limit must be at least 1"),
        ({"strict": "perhaps"}, r"option strict of edgar: .*boolean"),
        ({"order": "up"}, r"option order of edgar: .*'new' or 'old'"),
        ({"since-date": "2023-02-29"}, r"option since_date of edgar: .*date"),
        ({"since-date": "2023-01-01", "since_date": "2024-01-01"}, r"'since_date' is given twice"),
    ],
)
def test_a_wrong_option_is_named(given: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told) as raised:
        read_options(Options, given, "edgar")
    assert "\n" not in str(raised.value)


def test_a_missing_option_is_asked_for() -> None:
    with pytest.raises(UsageError, match=r"sql: sources need the option 'table'; write sql:PLACE#"):
        read_options(Needy, {}, "sql")


def test_who_has_no_options_says_so() -> None:
    @dataclass(frozen=True)
    class Nothing:
        pass

    with pytest.raises(UsageError, match="it has none"):
        read_options(Nothing, {"a": "1"}, "plain")
