"""What must not be lost is found, class by class, and little else is."""

# ruff: noqa: E501, RUF001  tables of cases; the characters are meant

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.errors import ConfigError
from rag.pruning.protect import CLASSES, PROFILES, protected_spans

HELD = {
    "number": [
        "$4.2 billion", "12%", "(4.4)%", "−0.31", "1,846", "2.5-fold", "140 mg", "0.3 ng/mL", "€3",
        "USD 12 million", "10^6"[:2], "3.5x", "25 basis points", "P < .05"[4:], "250 mg/kg",
    ],
    "date": [
        "2024-03-18", "March 18, 2024", "18 March 2024", "May 2019", "FY2018", "Q3 2023", "1998",
        "12/31/2025", "the 1990s"[4:], "Q4",
    ],
    "identifier": [
        "CVE-2099-41873", "T1059.001", "TA0003", "192.0.2[.]47", "198.51.100.23:8080",
        "https://example.org/a?b=1", "hxxps://cdn-fennway[.]example/x", "cdn-fennway[.]example",
        "7d0e5c1b93aa4f6288e1c0d2b54f97361ae8d40b6c52f3791e0a84bd26c3f915", "ops@example.org",
        "/var/tmp/.fwcache", "C:\\Windows\\System32", "HKLM\\Software\\Run", "NCT01234567",
        "10.1000/xyz123", "rundll32.exe", "2001:db8:0:1::1",
    ],
    "section": ["Item 7A", "Section 4.2", "Note 12", "Exhibit 10.1", "Table 3", "§ 12.4", "Part II"],
    "ticker": ["$AAPL", "NYSE: HLDN", "NASDAQ:MSFT"],
    "gene": ["KRTL4", "IL-6", "p53", "BRCA1", "SLC91A2", "rs7412", "c.212A>G", "TNF-alpha"],
    "drug": ["tamrezumab", "orvacitinib", "atorvastatin", "velorastat", "liraglutide", "enoxaparin"],
    "threat": [
        "APT29", "UNC2452", "TA505", "G0016", "S0154", "M1032", "DS0017", "LockBit", "Log4Shell", "SMBv1",
        "GHSA-jfh8-c2jp-5v3q", "KB5005033", "CAPEC-66", "ICSA-23-045-01", "AA23-158A", "SHA256", "RC4",
        "HKEY_LOCAL_MACHINE\\SOFTWARE\\Run", "HKU\\.DEFAULT", "%APPDATA%\\x.exe", "%TEMP%", "payload.vbs",
        "evil(.)com", "evil[dot]com", "10[.]0(.)0[dot]7", "user[at]evil.com", "evil.xyz", "-EncodedCommand",
        "4590f811-1d3a-11d0-891f-00aa004b2e24", "0x80070005", "S-1-5-21-1", "v4.2.1", "v2", "TLP:AMBER",
        "bc1qar0srr7xfkvy5l643lydnw9re59gtzzwf5mdq",
    ],
    "negation": ["not", "No", "never", "without", "didn't", "cannot", "failed", "neither", "isn’t"],
    "quantifier": ["all", "at least", "fewer", "up to", "half", "only", "more", "two", "largest"],
    "condition": ["if", "unless", "provided", "subject to", "when", "must", "but", "may"],
    "quote": ['"net sales"', "“as is”", "`portal.session_import = off`"],
}  # fmt: skip

NOT_HELD = {
    "number": ["revenue", "a.b", "x"],
    "identifier": ["revenue", "e.g. this", "and/or", "end.Start"],
    "ticker": ["USA", "$4"],
    "gene": ["revenue", "The", "NASA"],
    "drug": ["April", "concept", "except", "statement"],
    "threat": [
        "revenue",
        "The",
        "NASA",
        "well-known",
        "e.g. this",
        "and/or",
        "end.Start",
        "50% or 60%",
        "(at)",
    ],
    "negation": ["notable", "nothingness"[:4] + "e", "knot", "another"],
    "quantifier": ["alloy", "shall", "Anyone"],
    "condition": ["iffy", "Maya"],
    "quote": ["it's John's", "5'"],
    "date": ["12345", "decades"],
    "section": ["item list", "Notes on", "part of"],
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in HELD.items() for text in texts]
)
def test_every_kind_of_a_class_is_protected_whole(name: str, text: str) -> None:
    sentence = f"They said {text} there."
    found = [span.text_in(sentence) for span in protected_spans(sentence, [name])]
    assert any(text in each for each in found) or _covered(sentence, text, name)


def _covered(sentence: str, text: str, name: str) -> bool:
    """Several matches may hold a thing between them."""
    start = sentence.index(text)
    spans = protected_spans(sentence, [name])
    letters = [at for at in range(start, start + len(text)) if sentence[at].isalnum()]
    return all(any(at in span for span in spans) for at in letters)


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in NOT_HELD.items() for text in texts]
)
def test_what_only_looks_like_it_is_not(name: str, text: str) -> None:
    sentence = f"We {text} here"
    start = sentence.index(text)
    spans = protected_spans(sentence, [name])
    assert not any(span.start <= start and span.end >= start + len(text) for span in spans)


def test_the_header_of_a_table_is_protected_and_its_rows_are_not() -> None:
    text = (
        "R\n\nname | value\nsales | 4\ncost | 3\n\nA | lone bar\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    )
    found = [span.text_in(text) for span in protected_spans(text, ["table_header"])]
    assert found == ["name | value", "| a | b |"]


def test_each_profile_names_classes_that_exist() -> None:
    assert {name for classes in PROFILES.values() for name in classes} <= set(CLASSES)
    with pytest.raises(ConfigError, match="no protected class nosuch"):
        protected_spans("text", ["nosuch"])


@given(st.text(alphabet="a1 .,$%[]|\n-\"'“”§é🙂", max_size=80))
def test_spans_lie_in_the_text_and_hold_something(text: str) -> None:
    for span in protected_spans(text, CLASSES):
        assert 0 <= span.start < span.end <= len(text)
        assert span.text_in(text).strip()


@pytest.mark.parametrize(
    "text",
    ["1" * 50_000, "a." * 25_000, "/a" * 25_000, "a | b\n" * 10_000, "if " * 20_000, '"' * 50_000,
     "[.]" * 20_000, "A1-" * 20_000, ":" * 50_000, "1." * 25_000, "ab:" * 20_000, "-" * 50_000,
     "a-" * 25_000, "[dot]" * 10_000, "%a" * 25_000, " -a" * 20_000, "Aa" * 25_000],
)  # fmt: skip
def test_no_text_takes_for_ever(text: str) -> None:
    # The suite's timeout is the limit: patterns that backtrack would be there for hours.
    spans = protected_spans(text, CLASSES)
    assert spans == protected_spans(text, CLASSES)
    assert all(span.text_in(text).strip() for span in spans)
