"""Dates: days, months, quarters, halves, years, decades, centuries, times of the day."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag.grounding.values.patterns import Rule, bounded
from rag.grounding.values.value import Reading, period
from rag.grounding.values.words import RANKS, ranked

__all__ = ["DATES"]

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = (
    r"(?P<month>(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)|May|MAY)\b\.?"  # "may" is a verb
)
_ALONE = (  # so are March and August something else, but not after these
    r"(?P<month>January|February|April|June|July|September|October|November|December|"
    r"(?:(?<=\b[Ii]n\s)|(?<=\b[Bb]y\s)|(?<=\bof\s)|(?<=ntil\s)|(?<=ince\s)|(?<=uring\s)|"
    r"(?<=late\s)|(?<=early\s)|\A)(?:March|May|August)(?=[^\w\s]|\s*\Z|\s(?!be\b)[a-z]))\b"
)
_DAY, _Y = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?", r"(?P<year>\d{4})"
_FISCAL = r"(?:FY|CY|(?i:fiscal(?:\s+year)?|calendar(?:\s+year)?))"
_OF_YEAR = (
    rf"(?:(?:\s+of)?(?:\s+the)?[\s,-]*(?:{_FISCAL}\s?'?(?P<short>\d{{2}})\b|(?:{_FISCAL}\s?)?{_Y}))"
)
_PATTERNS = (
    r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})(?:T[\d:.]{2,15}Z?)?",
    r"(?P<year>[12]\d{3})-(?P<month>\d{2})(?!-)",
    r"(?P<one>\d{1,2})(?P<sep>[/.-])(?P<two>\d{1,2})(?P=sep)(?P<year>\d{4})",
    r"(?P<one>\d{1,2})(?P<sep>/)(?P<two>\d{1,2})/(?P<short>\d{2})",
    rf"{_DAY}(?:\s+of)?[\s-]+{_MONTH}(?:,?[\s-]+{_Y})?",
    rf"{_MONTH}\s+{_DAY}(?:,?\s+{_Y})?",
    rf"{_MONTH},?(?:\s+of)?[\s-]*{_Y}",
    rf"{_Y}[\s-]?(?:Q(?P<quarter>[1-4])|H(?P<half>[12]))",
    rf"(?:Q(?P<quarter>[1-4])|(?i:(?P<nth>first|second|third|fourth)[\s-]quarter)){_OF_YEAR}?",
    r"(?P<quarter>[1-4])Q(?:(?P<short>\d{2})|\s?(?P<year>\d{4}))",
    rf"(?:H(?P<half>[12])|(?i:(?P<nth_half>first|second)[\s-]half)){_OF_YEAR}",
    rf"{_FISCAL}\s?(?:{_Y}|'?(?P<short>\d{{2}}))",
    r"(?P<decade>\d{3})0s",
    r"(?:(?P<century>\d{1,2})(?:st|nd|rd|th)|(?i:(?:(?P<tens>twenty)-)?(?P<rank>[a-z]{5,11}th|first)))"
    r"[\s-](?i:century|centuries)",
    r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::[0-5]\d)?(?:\s?(?P<noon>[aApP])\.?[mM]\b)?",
    r"(?P<hour>1[0-2]|[1-9])\s?(?P<noon>[aApP])\.?[mM]",
    _ALONE,
)


def _dated(match: re.Match[str]) -> Iterator[Reading]:
    """A date from the groups of its pattern, that is from those parts that it gives."""
    got = {name: text for name, text in match.groupdict().items() if text}
    given: dict[str, int] = {
        name: int(got[name])
        for name in ("year", "quarter", "half", "day", "decade", "century", "hour", "minute")
        if name in got
    }
    if "short" in got:
        given["year"] = int(got["short"]) + (2000 if int(got["short"]) < 70 else 1900)
    if "month" in got:
        name = got["month"][:3].lower()
        given["month"] = _MONTHS.index(name) + 1 if name in _MONTHS else int(name)
    for name, word in (("nth", "quarter"), ("nth_half", "half"), ("rank", "century")):
        if name in got and got[name].lower() in RANKS:
            given[word] = ranked(got.get("tens"), got[name])
    if "noon" in got:
        given["hour"] = given["hour"] % 12 + 12 * (got["noon"] in "pP")
    if "one" in got:  # a day and a month, in the order of either side of the ocean
        one, two = int(got["one"]), int(got["two"])
        yield from period(**given, day=one, month=two)
        if got["sep"] != ".":
            yield from period(**given, day=two, month=one)
    else:
        if given.get("decade", 1) % 10 == 0:  # the 1900s may be a century
            yield from period(century=given["decade"] // 10 + 1)
        yield from period(**given)


DATES: tuple[Rule, ...] = tuple((bounded(each), _dated) for each in _PATTERNS)
