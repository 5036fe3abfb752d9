from __future__ import annotations

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from rag.errors import UsageError
from rag.store import parse_condition


@pytest.mark.parametrize("operator", ["=", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize("space", ["", " "])
def test_every_operator_is_read_with_or_without_space(operator: str, space: str) -> None:
    condition = parse_condition(f"{space}year{space}{operator}{space}2021{space}")
    assert (condition.field, condition.operator, len(condition.values)) == ("year", operator, 1)


def test_alternatives_are_split_at_bars_and_trimmed() -> None:
    assert parse_condition("company=Acme | Apex Ltd|Ä").alternatives == ["Acme", "Apex Ltd", "Ä"]


def test_a_whole_number_matches_as_number_and_as_text() -> None:
    assert {2021, "2021"} <= set(parse_condition("year=2021").alternatives)


@pytest.mark.parametrize("text", ["0001018724", "1018724", "12345678", "1_000", "NaN", "Infinity"])
def test_what_reads_as_a_number_still_matches_the_very_text(text: str) -> None:
    assert text in parse_condition(f"id={text}").alternatives


@given(st.integers(-(10**25), 10**25))
def test_every_whole_number_matches_the_text_it_was_written_as(number: int) -> None:
    alternatives = parse_condition(f"id={number}").alternatives
    assert str(number) in alternatives
    # The engine's integers have 64 bits: what it cannot hold must not be asked of it.
    assert all(-(2**63) <= each < 2**63 for each in alternatives if isinstance(each, int))


@pytest.mark.parametrize(
    ("field", "path"), [("doc", "name"), ("source", "source"), ("doc_id", "doc_id")]
)
def test_a_chunks_own_fields_are_at_the_top_of_the_payload(field: str, path: str) -> None:
    assert parse_condition(f"{field}=x").path == path


def test_other_fields_are_meta() -> None:
    path = parse_condition("year=2021").path
    assert path.startswith("meta.")
    assert "year" in path


def test_a_value_may_hold_operators_and_line_breaks() -> None:
    assert parse_condition("expr=a<b>=c").alternatives == ["a<b>=c"]
    assert parse_condition("expr=a\nb").alternatives == ["a\nb"]


@pytest.mark.parametrize("text", ["", "year", "=2021", "year=", "year= ", "two words=x", "a&b=x"])
def test_what_does_not_read_as_a_condition_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="filter") as caught:
        parse_condition(text)
    assert "field=value" in caught.value.hint


@pytest.mark.parametrize("text", ["year>x", "year<=2020|2021", "year<2021-13-01", "year>nan"])
def test_only_one_number_can_be_ordered(text: str) -> None:
    with pytest.raises(UsageError, match="orders"):
        parse_condition(text)


@given(st.text())
def test_any_text_is_a_condition_or_a_usage_error(text: str) -> None:
    try:
        condition = parse_condition(text)
    except UsageError:
        event("refused")
    else:
        assert condition.field in text
        assert condition.operator in text
        assert condition.alternatives
