"""What a value is, and when two are the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Literal, NamedTuple, TypeAlias

from rag.spans import Span

__all__ = ["Amount", "Period", "Reading", "Value", "period", "same_value", "supports"]

Period: TypeAlias = frozenset[tuple[str, int]]
"""A date by its parts, coarser ones included: May 2018 has a month, a quarter, a half, a year, a
decade and a century. A date lies within another where its parts include the other's."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number in the base of its unit: seconds for hours, grams for kilograms.

    `unit` is empty where none is written, else the unit and what it is counted per. `factor` is
    what one of the written unit is in the base; `step` is what one in the last written digit is
    worth there: 100,000 in "1.2 million".
    """

    number: Fraction
    unit: tuple[str, ...] = ()
    step: Fraction = field(default=Fraction(1), compare=False)
    factor: Fraction = field(default=Fraction(1), compare=False)

    def written(self) -> Amount:
        """The number that stands there, 5 in 5 kg, which a bare number is compared with."""
        return Amount(self.number / self.factor, self.unit, self.step / self.factor)


Reading: TypeAlias = Amount | Period | str
"""What a value may mean: an identifier is its canonical name."""


class Value(NamedTuple):
    """A number, date or identifier: as written, where, and what it may mean.

    `readings` is what two writings of one value share. Most values have a single reading; a bare
    year is of the kind "date", and its readings hold the number too.
    """

    kind: Literal["number", "date", "identifier"]
    text: str
    span: Span
    readings: frozenset[Reading]


def same_value(one: Value, other: Value, *, allow_rounding: bool = False) -> bool:
    """Whether two values are the same in some reading of each.

    Units and currencies count where both give one. With `allow_rounding` the coarser of two numbers
    may be the finer one rounded at its own last digit: 1.2 million is then 1,234,567.
    """
    return any(
        _same(mine, theirs, allow_rounding) for mine in one.readings for theirs in other.readings
    )


def supports(evidence: Value, claim: Value, *, allow_rounding: bool = False) -> bool:
    """Whether the evidence says what is claimed: the same, or a date within the claimed one.

    12 May 2018 supports 2018, and 2018 does not support 12 May 2018. With `allow_rounding` the
    claim may be the evidence rounded, never the other way.
    """
    return any(
        mine >= theirs
        if isinstance(mine, frozenset) and isinstance(theirs, frozenset)
        else _same(mine, theirs, allow_rounding and _step(mine) < _step(theirs))
        for mine in evidence.readings
        for theirs in claim.readings
    )


def period(**parts: int) -> Iterator[Period]:
    """The date with these parts and the coarser ones that follow from them; none if impossible."""
    try:
        date(parts.get("year", 2000), parts.get("month", 1), parts.get("day", 1))
    except ValueError:
        return
    if "month" in parts:
        parts["quarter"] = (parts["month"] + 2) // 3
    if "quarter" in parts:
        parts["half"] = (parts["quarter"] + 1) // 2
    if "year" in parts:
        parts["decade"] = parts["year"] // 10
    if "decade" in parts:
        parts["century"] = parts["decade"] // 10 + 1
    if "hour" in parts:
        parts.setdefault("minute", 0)
    if parts:
        yield frozenset(parts.items())


def _step(reading: Reading) -> Fraction:
    return reading.step if isinstance(reading, Amount) else Fraction(0)


def _same(one: Reading, other: Reading, allow_rounding: bool) -> bool:
    if not isinstance(one, Amount) or not isinstance(other, Amount):
        return one == other
    # A unit that only one gives is no contradiction, but third is not three.
    alike = all(mine == theirs for mine, theirs in zip(one.unit, other.unit, strict=False))
    if not alike or ("ordinal" in one.unit) != ("ordinal" in other.unit):
        return False
    if not one.unit or not other.unit:
        one, other = one.written(), other.written()
    rounded = allow_rounding and one.step != other.step
    apart = abs(one.number - other.number)
    return apart == 0 or (rounded and apart <= max(one.step, other.step) / 2)
