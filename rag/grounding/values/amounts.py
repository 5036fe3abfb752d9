"""Numbers in digits: sign, currency, scale and unit."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from fractions import Fraction

from rag.grounding.values.patterns import LEFT, LETTERS, RIGHT, Rule
from rag.grounding.values.value import Amount, Reading, period

__all__ = ["AMOUNTS", "NUMBER", "SCALES", "SCALE_WORDS", "UNIT", "bases", "parsed", "read_number"]

SCALES: Mapping[str, int] = {
    "hundred": 100,
    "dozen": 12,
    **dict.fromkeys("thousand k".split(), 10**3),
    **dict.fromkeys("million mn mln m mm".split(), 10**6),
    **dict.fromkeys("billion bn bln b".split(), 10**9),
    **dict.fromkeys("trillion tn t".split(), 10**12),
}
_UNITS_BY_BASE = """
%: 1 % percent per_cent pct; 1/10 ‰
point: 1 percentage_points percentage_point pp ppts; 1/100 basis_points basis_point bps
second: 1/1000000 µs μs; 1/1000 ms millisecond milliseconds; 1 s sec secs second seconds;\
 60 min mins minute minutes; 3600 h hr hrs hour hours; 86400 day days; 604800 week weeks
month: 1 month months; 12 year years yr yrs
gram: 1/1000000000 ng; 1/1000000 µg μg mcg; 1/1000 mg milligram milligrams; 1 g gram grams;\
 1000 kg kilogram kilograms; 1000000 t tonne tonnes; 453.59237 lb lbs pound pounds;\
 28.349523125 oz ounce ounces
metre: 1/1000000000 nm; 1/1000000 µm μm; 1/1000 mm; 1/100 cm; 1 m metre metres meter meters;\
 1000 km kilometre kilometres kilometer kilometers; 0.0254 inch inches; 0.3048 ft foot feet;\
 1609.344 mile miles
litre: 1/1000 ml mL; 1/10 dl dL; 1 l L litre litres liter liters
byte: 1 byte bytes; 1000 kB KB; 1000000 MB; 1000000000 GB; 1000000000000 TB
hertz: 1 Hz; 1000 kHz; 1000000 MHz; 1000000000 GHz
watt: 1 W; 1000 kW; 1000000 MW; 1000000000 GW
watt hour: 1 Wh; 1000 kWh; 1000000 MWh; 1000000000 GWh
celsius: 1 °C
fahrenheit: 1 °F
times: 1 times fold x
USD: 1 US$ $ USD dollar dollars US_dollars U.S._dollars
EUR: 1 € EUR euro euros
GBP: 1 £ GBP pound pounds pounds_sterling
JPY: 1 ¥ JPY yen
CHF: 1 CHF Swiss_francs
CNY: 1 CNY RMB yuan
INR: 1 ₹ INR rupee rupees
AUD: 1 A$ AUD
CAD: 1 C$ CAD
HKD: 1 HK$ HKD
SEK: 1 SEK
NOK: 1 NOK
DKK: 1 DKK
"""


def _read_units() -> dict[str, list[tuple[str, Fraction]]]:
    """Each unit's name to its bases and what one of it is there; pounds are mass and money."""
    units: dict[str, list[tuple[str, Fraction]]] = {}
    for line in _UNITS_BY_BASE.strip().splitlines():
        base, _, groups = line.partition(": ")
        for group in groups.split(";"):
            factor, *names = group.split()
            for name in names:
                units.setdefault(name.replace("_", " "), []).append((base, Fraction(factor)))
    return units


_UNITS = _read_units()


def _either(names: list[str]) -> str:
    """A pattern for any of these, the longest first; whole words in either case."""
    ordered = sorted(names, key=len, reverse=True)
    return "|".join(
        f"(?i:{re.escape(name)})" if len(name) > 2 and name.islower() else re.escape(name)
        for name in ordered
    ).replace(r"\ ", r"\s")


_MONEY = [name for name, means in _UNITS.items() if means[-1][0].isupper()]
_PREFIX = _either([name for name in _MONEY if not name.islower() and " " not in name])
_SIGN = rf"(?P<sign>(?<![{LETTERS}%)\]])[-−–](?=[\d.$€£¥₹A-Z])|\b(?i:minus|negative)\s)?"  # noqa: RUF001
_BLANK_PARTED = r"\d{1,3}(?:\x20\d{3}){1,4}"  # only where no row of a table can be meant
_DIGITS = (
    r"\d{1,3}(?:[,'’\u00a0\u202f\u2009]\d{3}){1,9}(?:\.\d{1,20})?|"  # noqa: RUF001
    rf"(?<!\d\s){_BLANK_PARTED}(?=\s?[%€]|\x20[^\W\d])|\A{_BLANK_PARTED}\Z|"
    rf"(?(currency){_BLANK_PARTED}|(?!))|"
    r"\d{1,3}(?:\.\d{3}){1,9},\d{1,2}|\d{1,3}(?:\.\d{3}){2,9}|"
    r"\d{1,30}(?:[.,]\d{1,20})?|\.\d{1,20}"
)
_POWER = (
    r"(?:[eE](?P<e>[+-]?\d{1,2})|"
    r"\s?[x×]\s?10(?:\^(?P<ten>[-−]?\d{1,2})|(?P<raised>[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})))?"  # noqa: RUF001
)
SCALE_WORDS = r"(?i:hundred|thousand|million|billion|trillion|dozen)"
_SCALE = (
    rf"(?:[\s-]?(?P<scale>{SCALE_WORDS}(?i:s?)|(?i:mn|mln|bn|bln|tn)|(?<=\d)[kKMB]|"
    rf"(?(currency)(?i:mm|[kmbt])|[mMbB](?=\s(?:{_either(_MONEY)})(?![A-Za-z]|\s?\d)))){RIGHT})?"
)
_PER = r"(?:(?:\s?/\s?|\sper\s)(?P<per>(?!cent\b)[A-Za-zµ]{1,20}))?"
_ENDED = rf"(?:(?<=[%‰])|(?<=[$€£¥₹])(?!\s?[-−(]?\d)|(?<![$€£¥₹]){RIGHT})"  # noqa: RUF001
UNIT = rf"(?:[\s-]?(?P<unit>(?:{_either(list(_UNITS))}){_ENDED}){_PER})?"
NUMBER = re.compile(
    rf"{_SIGN}(?:{LEFT}(?P<currency>{_PREFIX})\s?(?P<minus>[-−])?|{LEFT}(?<!\d[.,]))"  # noqa: RUF001
    rf"(?P<digits>{_DIGITS}){_POWER}(?![.,]?\d)(?P<part>[½¼¾⅓⅔])?{_SCALE}{UNIT}"
    rf"(?:(?<=[%‰$€£¥₹½¼¾⅓⅔⁰¹²³⁴⁵⁶⁷⁸⁹])|{RIGHT})"
)
_LOSS = re.compile(  # $(300), and (300) alone in its cell
    rf"(?:(?P<currency>{_PREFIX})\s?\((?P<digits>{_DIGITS})\)|"
    rf"(?:(?<=\|\x20)|(?<=\|))\((?P<plain>\d[\d,]*\d(?:\.\d+)?|\d)(?P<unit>%)?\)(?=\x20?\|))"
)
_YEAR = re.compile(r"1\d{3}|2[01]\d{2}")


def read_number(match: re.Match[str]) -> Iterator[Reading]:
    """The amounts that a match of `NUMBER` may mean, and the year."""
    number, step = parsed(match["digits"])
    if match["part"]:
        number += Fraction(unicodedata.numeric(match["part"])).limit_denominator(4)
    exponent = match["e"] or match["ten"] or match["raised"] or "0"
    power = Fraction(10) ** int(unicodedata.normalize("NFKC", exponent).replace("−", "-"))  # noqa: RUF001
    power *= SCALES[_singular(match["scale"])] if match["scale"] else 1
    power *= -1 if match["sign"] or match["minus"] else 1
    units = bases(match["unit"] or match["currency"])
    per = (match["per"].lower(),) if match["per"] else ()
    if match["currency"] and match["unit"]:
        per = (match["unit"].lower(), *per)
        units = bases(match["currency"])
    if match["unit"] == "m" and match.start("unit") == match.end("digits"):
        yield Amount(
            number * power * 10**6, (), step * abs(power) * 10**6
        )  # 5m: metres or millions
    for base, factor in units:
        worth = power * factor
        yield Amount(number * worth, (base, *per) if base else (), step * abs(worth), factor)
    if _YEAR.fullmatch(match[0]):
        yield from period(year=int(match[0]))


def _loss(match: re.Match[str]) -> Iterator[Reading]:
    number, step = parsed(match["digits"] or match["plain"])
    for base, factor in bases(match["currency"] or match["unit"]):
        yield Amount(-number * factor, (base,) if base else (), step * factor, factor)


def parsed(digits: str) -> tuple[Fraction, Fraction]:
    """The number, and what one in its last digit is worth."""
    digits = re.sub(r"[\s'’]", "", digits)  # noqa: RUF001
    if "," in digits and "." in digits:
        thousands = min(",.", key=digits.rindex)
        digits = digits.replace(thousands, "").replace(",", ".")
    elif re.fullmatch(r"[1-9]\d{0,2}(?:,\d{3})+", digits) or digits.count(".") > 1:
        digits = digits.replace(",", "").replace(".", "")
    whole, _, decimals = digits.replace(",", ".").partition(".")
    step = Fraction(1, 10 ** len(decimals))
    return int(whole + decimals) * step, step


def bases(unit: str | None) -> list[tuple[str, Fraction]]:
    """What a unit may be counted in, and what one of it is there."""
    if not unit:
        return [("", Fraction(1))]
    name = " ".join(unit.split())
    return _UNITS.get(name) or _UNITS.get(name.lower()) or [(name, Fraction(1))]


def _singular(scale: str) -> str:
    scale = scale.lower()
    return scale if scale in SCALES else scale.removesuffix("s")


AMOUNTS: tuple[Rule, ...] = ((_LOSS, _loss), (NUMBER, read_number))
