"""Values: the numbers, dates and identifiers of a text, and which of them are the same."""

from __future__ import annotations

import time
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.grounding.values import Amount, Value, same_value, supports, values_of


def the(text: str) -> Value:
    (value,) = values_of(text)
    return value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("No value in here.", []),
        ("We may go.", []),
        ("1. First", ["First"]),
        ("1. Norway\n 2) Sweden", []),
        ("[S1] [3] [S1, S2] [1][2]", []),
        ("Sales [S1] rose 4.2% [2].", ["4.2%"]),
        ("3.", ["3"]),
        ("3-5 days", ["3", "5 days"]),
        ("$3 to $5", ["$3", "$5"]),
        ("36 of 41; 95% CI, 73.8 to 95.9", ["36", "41", "95%", "73.8", "95.9"]),
        ("1, 2 and 3", ["1", "2", "3"]),
        ("P = .65, n=340", [".65", "340"]),
        ("Arrivals 412 374 390\n", ["412", "374", "390"]),
        ("COVID-19, SARS-CoV-2, B12, H1N1", ["COVID-19", "SARS-CoV-2", "B12", "H1N1"]),
        ("10-K, HL-60, rs1234, 5-HT", ["10-K", "HL-60", "rs1234", "5-HT"]),
        ("mid-2018", ["2018"]),
        ("12-person", ["12"]),
        ("T1059.001 and CWE-79.", ["T1059.001", "CWE-79"]),
        ("https://example.com/a.", ["https://example.com/a"]),
        ("10.1000/xyz123.", ["10.1000/xyz123"]),
        ("no one, one of them, one-sided, zero-day", []),
        ("hundreds of them", []),
        ("one patient", ["one"]),
        ("a second trial", []),
        ("one second", ["one second"]),
        ("300円", ["300"]),
        ("12 May 2018 and 5 kg", ["12 May 2018", "5 kg"]),
        ("in May and in June", ["May", "June"]),
        ("-$5 $-5", ["-$5", "$-5"]),
        ("9" * 200, []),
    ],
)
def test_what_a_text_states(text: str, found: list[str]) -> None:
    assert [value.text for value in values_of(text)] == found


SAME = [
    ("1,204", "1204", "1 204", "1'204", "1\u00a0204", "1.204,00", "1204.0"),
    ("3", "3.0", "three", "3.00"),
    ("-300", "\u2212300", "minus 300", "negative 300"),
    ("$(300)", "-$300", "$-300", "\u2212USD 300"),
    ("4 %", "4%", "4 percent", "four per cent", "4.0 pct"),
    ("4 percentage points", "4 pp", "400 bps", "four percentage points"),
    ("$1.2 million", "USD 1,200,000", "US$1.2m", "1.2 million dollars", "$1,200 thousand"),
    ("\u20ac3bn", "3 billion euros", "EUR 3,000,000,000", "3bn EUR", "three billion euros"),
    ("1.5 million", "1,5 million", "one and a half million", "1500k"),
    ("21", "twenty-one", "twenty one"),
    ("412", "four hundred and twelve"),
    ("12", "a dozen", "twelve"),
    ("half", "0.5"),
    ("two thirds", "two-thirds"),
    ("3rd", "third"),
    ("21st", "twenty-first"),
    ("15 minutes", "900 s", "15-minute", "15 min"),
    ("1 year", "12 months", "one-year"),
    ("5 kg", "5,000 g", "5kg"),
    ("5 mg/day", "5 mg per day"),
    ("3-fold", "3 times", "3x"),
    ("5 x 10^6", "5e6", "5 million", "5\u00d710\u2076"),
    ("12 May 2018", "May 12, 2018", "2018-05-12", "12th of May, 2018", "12.05.2018", "12-May-2018"),
    ("12/05/2018", "12 May 2018"),
    ("12/05/2018", "December 5, 2018", "05/12/2018"),
    ("May 2018", "2018-05", "May, 2018"),
    ("2018", "FY2018", "fiscal 2018", "FY18", "2,018"),
    ("Q2 2018", "second quarter of 2018", "2Q18", "Q2 FY2018", "2018-Q2"),
    ("H1 2018", "first half of 2018"),
    ("1990s", "the 1990s"),
    ("19th century", "nineteenth century"),
    ("3 pm", "15:00", "3:00 p.m."),
    ("CVE-2021-44228", "cve-2021-44228"),
    ("COVID-19", "covid19"),
    ("v2.13.0", "2.13.0", "version 2.13.0"),
    ("198.51.100[.]200", "198.51.100.200"),
    ("https://www.example.com/", "example.com", "example[.]com"),
    ("someone@example.com", "SomeOne[@]example[.]com"),
]


@pytest.mark.parametrize("texts", SAME, ids=lambda texts: texts[0])
def test_writings_of_one_value_are_the_same(texts: tuple[str, ...]) -> None:
    first, *rest = map(the, texts)
    for other in rest:
        assert same_value(first, other), other
        assert same_value(other, first), other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12,345", "12.345"),
        ("3", "-3"),
        ("3", "3rd"),
        ("$5", "\u20ac5"),
        ("5 kg", "5 lb"),
        ("5 kg", "5 mg"),
        ("5000", "5 kg"),
        ("4%", "4 percentage points"),
        ("$5", "5 kg"),
        ("5 mg/day", "5 mg/hour"),
        ("$1.2 million", "$1.23 million"),
        ("$1.2 million", "$1.2 billion"),
        ("May 2018", "2018"),
        ("12 May 2018", "13 May 2018"),
        ("12.05.2018", "5 December 2018"),
        ("Q2 2018", "Q3 2018"),
        ("1990s", "1990"),
        ("COVID-19", "19"),
        ("BRCA1", "BRCA2"),
        ("2.13.0", "2.1.30"),
        ("version 4.10", "version 4.1"),
        ("T1059.001", "T1059.002"),
    ],
)
def test_different_values_are_not_the_same(one: str, other: str) -> None:
    assert not same_value(the(one), the(other))
    assert not same_value(the(other), the(one))


@pytest.mark.parametrize(
    ("bare", "given_unit"), [("5", "5 kg"), ("5", "$5"), ("5", "5%"), ("-5", "-5 mg")]
)
def test_a_unit_that_only_one_gives_is_no_contradiction(bare: str, given_unit: str) -> None:
    assert same_value(the(bare), the(given_unit))


@pytest.mark.parametrize(
    ("finer", "coarser", "rounds"),
    [
        ("1,234,567", "1.2 million", True),
        ("1.23 million", "1.2 million", True),
        ("1.26 million", "1.2 million", False),
        ("1.204", "1.2", True),
        ("3.5%", "4%", True),
        ("$1.23 million", "\u20ac1.2 million", False),
        ("1,234,567", "1,200,000", False),
        ("3.4", "3rd", False),
    ],
)
def test_rounding_counts_only_where_it_is_asked_for(finer: str, coarser: str, rounds: bool) -> None:
    one, other = the(finer), the(coarser)
    assert not same_value(one, other)
    assert same_value(one, other, allow_rounding=True) is rounds
    assert same_value(other, one, allow_rounding=True) is rounds
    assert supports(one, other, allow_rounding=True) is rounds
    assert not supports(other, one, allow_rounding=True)


@pytest.mark.parametrize(
    ("evidence", "claim"),
    [
        ("12 May 2018", "May 2018"),
        ("12 May 2018", "2018"),
        ("12 May 2018", "Q2 2018"),
        ("12 May 2018", "12 May"),
        ("Q2 2018", "H1 2018"),
        ("May 1995", "1990s"),
        ("1995", "20th century"),
    ],
)
def test_a_date_supports_those_it_lies_within_and_not_the_reverse(
    evidence: str, claim: str
) -> None:
    assert supports(the(evidence), the(claim))
    assert not supports(the(claim), the(evidence))
    assert not same_value(the(evidence), the(claim))


@pytest.mark.parametrize("text", ["412", "$1.2 million", "BRCA1", "12/05/2018", "2018"])
def test_a_value_supports_itself(text: str) -> None:
    assert supports(the(text), the(text))


@pytest.mark.parametrize("text", ["31/13/2018", "2018-13-40", "45 May 2018"])
def test_there_is_no_impossible_date(text: str) -> None:
    readings = [reading for value in values_of(text) for reading in value.readings]
    assert not any(("day", 31) in each for each in readings if isinstance(each, frozenset))


def test_a_bare_year_is_a_date_and_a_number() -> None:
    year = the("2018")
    assert year.kind == "date"
    assert Amount(Fraction(2018)) in year.readings
    assert the("2018 kg").kind == the("2,018").kind == the("$2018").kind == "number"


def test_both_ends_of_a_range_have_its_unit() -> None:
    for text in ("$3-5 million", "$3 to 5 million", "between $3 and $5 million", "3-5 million USD"):
        one, other = values_of(text)
        assert same_value(one, the("USD 3,000,000")), text
        assert same_value(other, the("$5m")), text
        assert not same_value(one, the("\u20ac3m")), text
    one, _ = values_of("It rose from 900 to 1.2 million")
    assert same_value(one, the("900"))


def test_brackets_are_a_loss_only_in_a_cell_or_after_a_currency() -> None:
    assert [value.text for value in values_of("| (1,204) | (300) |")] == ["(1,204)", "(300)"]
    assert same_value(values_of("| (1,204) |")[0], the("-1,204"))
    assert same_value(the("patients (300)"), the("300"))


PIECES = [
    "1,204",
    "$",
    "-",
    "(300)",
    "%",
    " million",
    "May ",
    "12",
    "2018",
    "/",
    "[S1]",
    "COVID-19",
    ".",
    ",",
    "3-5",
    "twenty",
    "-one",
    " and ",
    "half",
    "\n1. ",
    "v2.13",
    "a@b.com",
    "e5",
    "\x00",
    "\ud800",
    "\u0663",
    "\u00b2",
    "\u00bd",
    "5m",
    " kg",
    "between ",
    "to ",
    " ",
]
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=25).map("".join)


@given(TEXTS | st.text())
def test_values_stand_at_their_spans_in_order_and_apart(text: str) -> None:
    end = 0
    for value in values_of(text):
        assert value.span.text_in(text) == value.text
        assert value.span.start >= end
        assert value.readings
        assert same_value(value, value)
        assert supports(value, value)
        end = value.span.end


@given(st.integers(0, 10**12), st.booleans())
def test_a_number_is_the_same_however_it_is_grouped(number: int, negative: bool) -> None:
    sign = "-" * negative
    writings = [
        f"{number:,}",
        f"{number}.0",
        f"{number:,}".replace(",", "\u202f"),
        f"{number:,}.00",
    ]
    plain = the(f"{sign}{number}")
    for writing in writings:
        assert Amount(Fraction(-number if negative else number)) in the(sign + writing).readings
        assert same_value(the(sign + writing), plain)


@given(st.integers(1, 9999), st.sampled_from(["thousand", "million", "billion"]))
def test_a_scale_is_written_out(number: int, scale: str) -> None:
    worth = number * {"thousand": 10**3, "million": 10**6, "billion": 10**9}[scale]
    assert the(f"${number / 100:.2f} {scale}").readings == the(
        f"USD {worth // 100:,}"
    ).readings or (worth % 100)
    assert the(f"{number:,} {scale}").readings == the(f"{worth:,}").readings


@given(st.dates(min_value=date(1000, 1, 1)))
def test_a_date_is_the_same_however_it_is_written(day: date) -> None:
    written = [f"{day:%Y-%m-%d}", f"{day:%d %B %Y}", f"{day:%B %d, %Y}", f"{day:%d.%m.%Y}"]
    values = [the(text) for text in written]
    assert len({value.readings for value in values}) == 1
    assert all(same_value(the(f"{day:%m/%d/%Y}"), value) for value in values)


@pytest.mark.parametrize(
    "piece",
    ["1,", "one ", "a-", "9 ", "1 204 ", "May ", "[1,", "a1.", "twenty-", "$1-", " ", "\u00bd"],
)
def test_a_very_long_text_is_read_in_reasonable_time(piece: str) -> None:
    began = time.perf_counter()
    values_of(piece * 10_000)
    assert time.perf_counter() - began < 10
