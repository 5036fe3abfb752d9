"""Conditions on what a chunk is said to be: `year>=2021`, `filed<2024-03-01`, `firm=Acme|Apex`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, cast

from rag.errors import UsageError

__all__ = ["Condition", "Operator", "parse_condition"]

Operator = Literal["=", "!=", "<", "<=", ">", ">="]

_CONDITION = re.compile(r"\s*([\w.-]+)\s*(!=|<=|>=|=|<|>)\s*(\S.*?)\s*", re.DOTALL)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_OWN_FIELDS = {"doc": "name", "source": "source", "doc_id": "doc_id"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. `values` are alternatives, as written; an order comparison has exactly one.

    A value matches text that reads the same, and a number of its size: `year=2021` finds 2021 and
    "2021", `cik=0000320193` finds "0000320193" and 320193.
    """

    field: str
    operator: Operator
    values: tuple[str, ...]

    @property
    def path(self) -> str:
        """Where the payload holds the field: its own ones at the top, others under `meta`."""
        # Quoted: meta is flat, so a dot in a field's name is part of it.
        return _OWN_FIELDS.get(self.field, f'meta."{self.field}"')

    @property
    def alternatives(self) -> list[str | int]:
        """What an equality matches: each value as text, and as a whole number if it is one."""
        whole = [int(value) for value in self.values if _WHOLE.fullmatch(value)]
        fitting = [number for number in whole if -(2**63) <= number < 2**63]
        # The store holds booleans as words.
        truths = [value.lower() for value in self.values if value in ("True", "False")]
        return [*self.values, *fitting, *truths]

    @property
    def instant(self) -> datetime | None:
        """The moment that an order comparison is with, where its value is a date."""
        return _instant(self.values[0])

    @property
    def numbers(self) -> list[float]:
        """The values that are numbers."""
        return [number for value in self.values if (number := _number(value)) is not None]


def parse_condition(text: str) -> Condition:
    """Read a condition as the command line has it.

    Raises:
        UsageError: it does not read `field operator value`, or orders what is neither a number nor
            a date.

    >>> parse_condition("year>=2021")
    Condition(field='year', operator='>=', values=('2021',))
    """
    found = _CONDITION.fullmatch(text)
    if not found:
        raise UsageError(
            f"cannot read the filter {text!r}", hint="write it as field=value, e.g. year>=2021"
        )
    field, operator, raw = found.groups()
    values = tuple(part.strip() for part in raw.split("|"))
    if operator in ("<", "<=", ">", ">=") and not (len(values) == 1 and _has_order(values[0])):
        raise UsageError(
            f"the filter {text!r} orders something that is not one number or date",
            hint="write a date as 2024-03-01",
        )
    return Condition(field, cast("Operator", operator), values)


def _has_order(text: str) -> bool:
    return _number(text) is not None or _instant(text) is not None


def _instant(text: str) -> datetime | None:
    """A date, or a date and time, as a moment; UTC where it names no zone."""
    if not _DATE.match(text):
        return None
    try:
        found = datetime.fromisoformat(text)
        # In UTC: a store need not know zones that are seconds off.
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
