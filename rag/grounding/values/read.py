"""Reading the values of a text: a table of patterns, the earlier of which win."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Literal

from rag.grounding.values.amounts import AMOUNTS, NUMBER, parsed, read_number
from rag.grounding.values.dates import DATES
from rag.grounding.values.identifiers import CODES, NAMES
from rag.grounding.values.patterns import Reader, Rule
from rag.grounding.values.value import Reading, Value
from rag.grounding.values.words import WORDS
from rag.spans import Span

__all__ = ["values_of"]

_TO = re.compile(r"\s?[-–—]\s?|\sto\s")  # noqa: RUF001


def values_of(text: str) -> list[Value]:
    """The values that the text states, in order and without overlap.

    >>> [value.text for value in values_of("1. BRCA1 rose 4.2% to $1.3 bn in May 2018 [S1].")]
    ['BRCA1', '4.2%', '$1.3 bn', 'May 2018']
    """
    found: list[Value] = []
    hidden = text
    for pattern, read in _TABLE:
        hidden = pattern.sub(partial(_hide, read, found), hidden)
    found.sort(key=lambda value: value.span)
    return _with_shared_units(text, found)


def _hide(read: Reader, found: list[Value], match: re.Match[str]) -> str:
    """What stands in the place of a match for the patterns that follow; notes its value."""
    readings = frozenset(read(match))
    if readings:
        found.append(Value(_kind(readings), match[0], Span(*match.span()), readings))
    return "\0" * len(match[0]) if readings or read is _nothing else match[0]


def _kind(readings: frozenset[Reading]) -> Literal["number", "date", "identifier"]:
    if any(isinstance(reading, frozenset) for reading in readings):
        return "date"
    return "identifier" if any(isinstance(each, str) for each in readings) else "number"


def _with_shared_units(text: str, values: list[Value]) -> list[Value]:
    """The values, where both ends of a range have its unit: 3-5 million dollars, $3-5 million."""
    for at, (one, other) in enumerate(pairwise(values)):
        between = text[one.span.end : other.span.start]
        before = text[max(0, one.span.start - 8) : one.span.start]
        if _TO.fullmatch(between) or (between == " and " and before.lower() == "between "):
            values[at : at + 2] = _shared(one, other)
    return values


def _shared(one: Value, other: Value) -> tuple[Value, Value]:
    first, second = NUMBER.fullmatch(one.text), NUMBER.fullmatch(other.text)
    if not first or not second or first.end("digits") != len(one.text):
        return one, other
    if parsed(first["digits"])[0] >= parsed(second["digits"])[0]:
        return one, other  # it rose from 900 to 1.2 million
    tail = other.text[second.end("digits") :]
    money = second["currency"] or ""
    whole = NUMBER.fullmatch(("" if first["currency"] else money) + one.text + tail)
    ending = NUMBER.fullmatch(("" if money else first["currency"] or "") + other.text)
    return (
        one._replace(readings=frozenset(read_number(whole))) if whole else one,
        other._replace(readings=frozenset(read_number(ending))) if ending else other,
    )


def _nothing(match: re.Match[str]) -> Iterator[Reading]:
    """For what looks like a value and is none."""
    del match
    yield from ()


_TABLE: tuple[Rule, ...] = (
    (re.compile(r"(?i)\[S?\d{1,9}(?:\s?[,;–-]\s?S?\d{1,9}){0,50}\]"), _nothing),  # noqa: RUF001
    (re.compile(r"(?m)^[^\S\n]*\(?\d{1,2}[.)][^\S\n]+(?=\S)"), _nothing),
    *NAMES,
    *DATES,
    *CODES,
    *AMOUNTS,
    *WORDS,
)
