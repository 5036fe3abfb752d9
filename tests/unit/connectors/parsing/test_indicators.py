from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.parsing.indicators import find_indicators, indicator_facts

SHA256 = "cf3a7d4285d65bf8688215407bce1b51d7c6b22497f09021f0fce31cbeb78986"
SHA1 = "a7e4f42ad70ddd3802819853025734912f77ab1c"
MD5 = "2c4a910a1299cdae2a4e55988a2f102e"


def found(text: str) -> list[tuple[str, str]]:
    return [(each.kind, each.value) for each in find_indicators(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hxxp://evil[.]example/a.php?x=1.", [("url", "http://evil.example/a.php?x=1"),
                                              ("domain", "evil.example")]),
        ("(see https://evil.example/a_(b)).", [("url", "https://evil.example/a_(b)"),
                                               ("domain", "evil.example")]),
        ("[here](https://a.example/x)rest", [("url", "https://a.example/x"),
                                             ("domain", "a.example")]),
        ("hxxp://192.0.2[.]7:8080/?d=", [("url", "http://192.0.2.7:8080/?d="),
                                         ("ip", "192.0.2.7")]),
        ("hxxps://we[.]example/x\\_y\\z", [("url", "https://we.example/x_y"),
                                           ("domain", "we.example")]),
        ("http://user:pw@a.example/", [("url", "http://user:pw@a.example/"),
                                       ("domain", "a.example")]),
        ("http://intranet/x and http://localhost:80/", []),
        ("http://127.0.0.1/", []),
        ("Evil[.]SBS", [("domain", "evil.sbs")]),
        ("evil[.]com.", [("domain", "evil.com")]),
        ("C2 is cdn.example.com, not here.", [("domain", "cdn.example.com")]),
        ("xn--80ak6aa92e[.]com", [("domain", "xn--80ak6aa92e.com")]),
        ("update[.]exe ran setup.exe and node.js", []),
        ("ASP.NET, System.IO, up.In, e.g. this", []),
        ("C:\\work\\site.com\\x", []),
        ("joe[at]evil[.]example", [("email", "joe@evil.example")]),
        ("Joe.Doe@Evil.example>", [("email", "joe.doe@evil.example")]),
        ("192.0.2.1, 192.0.2[.]2 and 192.0.2.3:443", [("ip", "192.0.2.1"), ("ip", "192.0.2.2"),
                                                      ("ip", "192.0.2.3")]),
        ("version 4.0.30.19 of 2.0.0", []),
        ("Build: 10.0.1.2", []),
        ("256.1.1.1 01.2.3.4 1.2.3 1.2.3.4.5 0.0.0.0 127.0.0.1 255.255.255.0", []),
        ("2001:db8::8a2e:370:7334 and ::1", [("ip", "2001:db8::8a2e:370:7334")]),
        ("2001[:]db8[:]0[:]0[:]0[:]0[:]0[:]1", [("ip", "2001:db8::1")]),
        ("at 12:34:56 std::dead::beef a::b 00:1a:2b:3c:4d:5e 1a:2b:3c:4d:5e:6f:70:81", []),
        (f"{MD5} {SHA1.upper()} {SHA256}", [("hash", MD5), ("hash", SHA1), ("hash", SHA256)]),
        (f"{MD5}f {'0' * 32} {'1' * 40} {'ab' * 16}", []),
        ("CVE-2021-44228, cve\u20112017\u20110199; CVE-1821-1 CVE-2021-1", [
            ("cve", "CVE-2021-44228"), ("cve", "CVE-2017-0199")]),
        ("T1059, T1059.001. T0803 [T1566/002]", [
            ("technique", "T1059"), ("technique", "T1059.001"), ("technique", "T0803"),
            ("technique", "T1566.002")]),
        ("T105 T10599 AT1059 T1059.01 T1059x T3059", []),
        ("https://attack.mitre.org/techniques/T1059/001/", [
            ("url", "https://attack.mitre.org/techniques/T1059/001/"),
            ("domain", "attack.mitre.org"), ("technique", "T1059.001")]),
    ],
)  # fmt: skip
def test_what_is_an_indicator(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


def test_spans_are_of_the_text_as_written() -> None:
    text = "mail a [at] b[.]example, then hxxps[:]//c[.]example/d (192.0.2[.]1)."
    spans = [each.span.text_in(text) for each in find_indicators(text)]
    assert spans == [
        "a [at] b[.]example",
        "hxxps[:]//c[.]example/d",
        "c[.]example",
        "192.0.2[.]1",
    ]


def test_disarmed_ones_come_first_and_each_once() -> None:
    facts = indicator_facts(
        find_indicators("read https://vendor.example/x on evil[.]sbs, evil[.]sbs; T1059 T1059")
    )
    assert facts == {
        "techniques": ["T1059"],
        "domains": ["evil.sbs", "vendor.example"],
        "urls": ["https://vendor.example/x"],
    }


def test_facts_are_short() -> None:
    rng = random.Random(1)
    hashes = [rng.randbytes(32).hex() for _ in range(100)]
    kept = indicator_facts(find_indicators("\n".join(hashes)))["hashes"]
    assert kept == hashes[:15]
    assert sum(map(len, kept)) <= 1_000


@pytest.mark.parametrize(
    "piece",
    ["a", "a.", "1.", "a@", "[.]", " [.] ", "hxxp[:]//", "http://", "http://a(", ":", "f:0", "[",
     "0123456789abcdef", "CVE-2021-", "T1059.", "h**p:", "a%", "\\_", "-", "_", "version ", "é."],
)  # fmt: skip
def test_no_text_takes_long_or_fails(piece: str) -> None:
    # A pattern that went back over what it read would take hours of this, and the run would end.
    find_indicators(piece * (150_000 // len(piece)))


@given(st.text(alphabet="ab01.:/[]@ -_htpx()T", max_size=80))
def test_every_indicator_stands_in_the_text(text: str) -> None:
    for each in find_indicators(text):
        written = each.span.text_in(text)
        assert written
        assert each.disarmed or each.kind in ("cve", "technique", "ip") or (
            each.value.lower() == written.lower()
        )  # fmt: skip
