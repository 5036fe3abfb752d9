"""Numbers in words: counts, fractions and ranks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from rag.grounding.values.amounts import SCALE_WORDS, SCALES, UNIT, bases, parsed
from rag.grounding.values.patterns import LEFT, RIGHT, Rule
from rag.grounding.values.value import Amount, Reading

__all__ = ["RANK", "RANKS", "WORDS", "ranked"]

_ONES = "one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_COUNTS = {word: at for at, word in enumerate(["zero", *_ONES, *_TEENS])} | {
    word: 10 * at for at, word in enumerate(_TENS, start=2)
}
RANKS = {
    word: at
    for at, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
        "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth "
        "twentieth".split(),
        start=1,
    )
}
_PARTS = {"third": 3, "quarter": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}

_ONE_TO_NINE, _BY_TENS = "|".join(_ONES), "|".join(_TENS)
_PLAIN = rf"(?:(?:{_BY_TENS})(?:[\s-](?:{_ONE_TO_NINE}))?|{'|'.join(_TEENS)}|{_ONE_TO_NINE}|zero)\b"
_BELOW_1000 = rf"{_PLAIN}(?:[\s-]hundred\b(?:\s(?:and\s)?{_PLAIN})?)?"
_COUNT = re.compile(
    rf"(?i){LEFT}(?P<sign>(?:minus|negative)\s)?(?P<words>"
    rf"half(?:\s(?:an?\s)?{SCALE_WORDS}\b|(?:\san?)?(?=[^\w-]|\Z|-an?\b))|"
    rf"(?!one\s(?:of|another)\b|zero-|one-(?!day|week|month|year|hour|minute))"
    rf"(?:{_BELOW_1000}|an?(?=\s{SCALE_WORDS}\b))"
    rf"(?:[\s-]{SCALE_WORDS}\b(?:\s(?:and\s)?{_BELOW_1000})?){{0,6}}"
    rf"(?:\sand\sa\shalf\b(?:\s{SCALE_WORDS}\b)?)?)(?-i:{UNIT}){RIGHT}"
)
_NO_COUNT = re.compile(
    r"(?i)\b(?:no|any|every|each|the|this|that|which|another|some|first|second|other)\s\Z"
)
_FRACTION = re.compile(
    rf"(?i){LEFT}(?:(?P<one>an?|one)[\s-](?P<part>{'|'.join(_PARTS)})(?=\sof\b|\s*(?:[^\w\s-]|\Z))|"
    rf"(?P<count>{_ONE_TO_NINE})[\s-](?P<parts>{'|'.join(_PARTS)})s){RIGHT}"
)
RANK = re.compile(
    rf"(?i){LEFT}(?:(?P<digits>\d{{1,3}}(?:,\d{{3}})?)(?:st|nd|rd|th)|"
    rf"(?<!per\s)(?<!a\s)(?<!every\s)(?<!one\s)(?<!-)(?:(?P<tens>{_BY_TENS})-)?(?P<word>{'|'.join(RANKS)})){RIGHT}"
)


def _counted(match: re.Match[str]) -> Iterator[Reading]:
    words = re.findall(r"[a-z]+", match["words"].lower())
    before = match.string[max(0, match.start() - 9) : match.start()]
    if words in (["one"], ["half"]) and _NO_COUNT.search(before):
        return
    total = below = Fraction(0)
    step = Fraction(1, 2) if "half" in words else Fraction(1)
    for word in words:
        if word == "half":
            below += step
        elif word in _COUNTS:
            below += _COUNTS[word]
        elif word == "hundred":
            below = (below or Fraction(1)) * 100
        elif word in SCALES:
            total += (below or Fraction(1)) * SCALES[word]
            below = Fraction(0)
    for base, factor in bases(match["unit"]):
        unit = (base, match["per"].lower()) if match["per"] else (base,) if base else ()
        number = (total + below) * factor * (-1 if match["sign"] else 1)
        yield Amount(number, unit, step * factor, factor)


def _fraction(match: re.Match[str]) -> Iterator[Reading]:
    part = _PARTS[(match["part"] or match["parts"]).lower()]
    yield Amount(Fraction(_COUNTS[match["count"].lower()] if match["count"] else 1, part))


def _rank(match: re.Match[str]) -> Iterator[Reading]:
    if match["digits"]:
        yield Amount(parsed(match["digits"])[0], ("ordinal",))
    else:
        yield Amount(Fraction(ranked(match["tens"], match["word"])), ("ordinal",))


def ranked(tens: str | None, word: str) -> int:
    """The number of a rank in words: 21 for "twenty" and "first"."""
    return RANKS[word.lower()] + (_COUNTS[tens.lower()] if tens else 0)


WORDS: tuple[Rule, ...] = ((_FRACTION, _fraction), (RANK, _rank), (_COUNT, _counted))
