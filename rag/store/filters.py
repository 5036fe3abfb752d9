"""Conditions on what a chunk is said to be: `year>=2021`, `company=Acme|Apex`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from rag.errors import UsageError

__all__ = ["Condition", "Operator", "parse_condition"]

Operator = Literal["=", "!=", "<", "<=", ">", ">="]

_CONDITION = re.compile(r"\s*([\w.-]+)\s*(!=|<=|>=|=|<|>)\s*(.+?)\s*", re.DOTALL)
_OWN_FIELDS = {"doc": "name", "source": "source", "doc_id": "doc_id"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. `values` are alternatives; an order comparison has exactly one.

    Numbers compare as numbers and match text that reads the same: `year=2021` finds 2021 and
    "2021".
    """

    field: str
    operator: Operator
    values: tuple[str | float, ...]

    @property
    def path(self) -> str:
        """Where the payload holds the field: its own ones at the top, others under `meta`."""
        return _OWN_FIELDS.get(self.field, f"meta.{self.field}")

    @property
    def alternatives(self) -> list[str | int]:
        """What an equality matches: each value as text, and as a whole number if it is one."""
        found: list[str | int] = []
        for value in self.values:
            found.append(f"{value:g}" if isinstance(value, float) else value)
            if isinstance(value, float) and value.is_integer():
                found.append(int(value))
        return found


def parse_condition(text: str) -> Condition:
    """Read a condition as the command line has it.

    Raises:
        UsageError: it does not read `field operator value`, or orders something not a number.

    >>> parse_condition("year>=2021")
    Condition(field='year', operator='>=', values=(2021.0,))
    """
    found = _CONDITION.fullmatch(text)
    if not found:
        raise UsageError(
            f"cannot read the filter {text!r}", hint="write it as field=value, e.g. year>=2021"
        )
    field, operator, raw = found.groups()
    values = tuple(_value(part) for part in raw.split("|"))
    if operator in ("<", "<=", ">", ">=") and not (
        len(values) == 1 and isinstance(values[0], float)
    ):
        raise UsageError(f"the filter {text!r} orders something that is not one number")
    return Condition(field, cast("Operator", operator), values)


def _value(text: str) -> str | float:
    try:
        return float(text.strip())
    except ValueError:
        return text.strip()
