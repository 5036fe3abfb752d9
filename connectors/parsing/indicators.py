"""Indicators of compromise in a text: addresses, hashes, vulnerabilities, techniques."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Literal, get_args

from connectors.parsing.domains import is_disarmed_domain, is_domain, is_likely_domain
from connectors.parsing.refang import Refanged
from rag.spans import Span

__all__ = ["VERSION", "Indicator", "Kind", "find_indicators", "indicator_facts"]

VERSION = "indicators-1"

Kind = Literal["cve", "technique", "domain", "ip", "url", "email", "hash"]
"""What an indicator is."""

_LONGEST_FACTS = 1_000  # characters of the values of one kind, as a fact that every chunk carries

# Every pattern begins where the run of its letters begins, and takes all of it without a way
# back, so that no text is read more than a few times.
_URL = re.compile(
    r"(?<![A-Za-z0-9])(?:https?|ftps?)://[^\s<>\"'`|{}\[\]^\u2018-\u201f«»]{1,2000}+", re.I
)
_HOST = re.compile(r"[a-z]{3,5}://(?:[^/?#@]*@)?(?P<host>[\w.-]+)", re.I)
_EMAIL = re.compile(r"(?<![\w.%+-])[A-Za-z0-9._%+-]{1,64}+@(?P<host>[\w.-]{1,255}+)")
_RUN = re.compile(r"(?<![\w.@%+-])[\w.-]++(?!@)")
_HASH = re.compile(r"(?<![0-9A-Za-z_])[0-9a-fA-F]{32,128}+(?![0-9A-Za-z_])")
_SIX = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]++(?![\w:])")
_CVE = re.compile(
    r"(?<![A-Za-z0-9])CVE[-\u2010-\u2013 ]?((?:19|20)\d\d)[-\u2010-\u2013](\d{4,7})(?!\d)", re.I
)
_TECHNIQUE = re.compile(r"(?<![A-Za-z0-9._-])T([01]\d{3})(?:[./](\d{3}))?(?![A-Za-z0-9_-]|\.\d)")
_FOUR = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_LENGTHS = frozenset({32, 40, 64, 128})
# "version 4.0.30319.1" is none, "v1.2.3.4" no run of digits.
_VERSIONED = re.compile(
    r"(?:\b(?:versions?|ver|v|build|release|update|firmware|section|chapter)\b[.: ]{0,3})\Z", re.I
)
_TRAILING = ".,;:!?*_~-"
_ESCAPED = "\\_"  # in Markdown that was never made text


@dataclass(frozen=True, slots=True)
class Indicator:
    """An indicator and where it stands.

    Args:
        kind: what it is.
        value: as a machine reads it: made whole, small or capital as its kind is written.
        span: of the text as it was written.
        disarmed: whether it was written so that nobody follows it by accident ("evil[.]com").
    """

    kind: Kind
    value: str
    span: Span
    disarmed: bool = False


def find_indicators(text: str) -> list[Indicator]:
    """The indicators in a text, by where they begin; the host of an address stands inside it.

    - `url`, and of its host the `domain` or `ip`; `email`.
    - `ip`: version 4 and 6, but not this machine (127.0.0.1, ::1), and no version numbers.
    - `domain`: disarmed, with any ending that is no file's; else with a common one.
    - `hash`: MD5, SHA-1, SHA-256 and SHA-512, in hexadecimal.
    - `cve`, `technique` (of ATT&CK: T1059.001).

    >>> [(each.kind, each.value) for each in find_indicators("C2: evil[.]top (T1071.001)")]
    [('domain', 'evil.top'), ('technique', 'T1071.001')]
    """
    whole = Refanged(text)
    found = [*_addresses(whole), *_codes(whole)]
    return sorted(found, key=lambda each: (each.span.start, -each.span.end, each.kind))


def indicator_facts(found: Iterable[Indicator]) -> dict[str, list[str]]:
    """Values to filter by, under "cves", "techniques", "domains", "ips", ...

    Each once; those that were disarmed, which nobody means as a link to read on, come first. What
    exceeds a thousand characters of a kind is left out, for every chunk carries them.

    >>> indicator_facts(find_indicators("evil[.]top, CVE-2021-44228 and evil[.]top again"))
    {'cves': ['CVE-2021-44228'], 'domains': ['evil.top']}
    """
    ordered = sorted(found, key=lambda each: not each.disarmed)
    facts: dict[str, list[str]] = {}
    for kind in get_args(Kind):
        name = "hashes" if kind == "hash" else f"{kind}s"
        kept, room = [], _LONGEST_FACTS
        for value in dict.fromkeys(each.value for each in ordered if each.kind == kind):
            if (room := room - len(value)) < 0:
                break
            kept.append(value)
        if kept:
            facts[name] = kept
    return facts


def _addresses(whole: Refanged) -> Iterator[Indicator]:
    """Addresses of the web and of mail; and hosts and hashes that are in none of those."""
    taken: list[tuple[int, int]] = []
    for pattern, read in ((_URL, _url), (_EMAIL, _email)):
        for match in pattern.finditer(whole.text):
            if not _inside(match.start(), taken) and (found := list(read(whole, match))):
                yield from found
                taken.append(match.span())
        taken.sort()
    for pattern, read in ((_RUN, _host), (_SIX, _six), (_HASH, _hash)):
        for match in pattern.finditer(whole.text):
            if not _inside(match.start(), taken):
                yield from read(whole, match)


def _inside(offset: int, spans: Sequence[tuple[int, int]]) -> bool:
    at = bisect_right(spans, (offset, offset)) - 1
    # Two may begin at one offset only where they are the same; the one before reaches furthest.
    return any(start <= offset < end for start, end in spans[max(at, 0) : at + 2])


def _url(whole: Refanged, match: re.Match[str]) -> Iterator[Indicator]:
    written = _without_tail(match[0])
    host = _HOST.match(written)
    name = host["host"].rstrip(".") if host else ""
    kind: Kind | None = "ip" if _is_four(name) else "domain" if is_domain(name) else None
    if host is None or kind is None:
        return
    start, at = match.start(), match.start() + host.start("host")
    end = start + len(written)
    disarmed = whole.disarmed(start, end)
    yield Indicator("url", written.replace(_ESCAPED, "_"), whole.span(start, end), disarmed)
    yield Indicator(kind, name.lower(), whole.span(at, at + len(name)), disarmed)


def _email(whole: Refanged, match: re.Match[str]) -> Iterator[Indicator]:
    end = match.start() + len(match[0].rstrip(_TRAILING))
    value = whole.text[match.start() : end].lower()
    if is_domain(value.partition("@")[2]):
        start = match.start()
        yield Indicator("email", value, whole.span(start, end), whole.disarmed(start, end))


def _host(whole: Refanged, match: re.Match[str]) -> Iterator[Indicator]:
    name = match[0].strip(_TRAILING)
    if "." not in name:
        return
    start = match.start() + match[0].index(name)
    end = start + len(name)
    disarmed = whole.disarmed(start, end)
    before = whole.text[max(start - 20, 0) : start]
    if _is_four(name):
        if disarmed or not _VERSIONED.search(before):
            yield Indicator("ip", name, whole.span(start, end), disarmed)
    elif _is_named(name, before, disarmed=disarmed):
        yield Indicator("domain", name.lower(), whole.span(start, end), disarmed)


def _is_named(name: str, before: str, *, disarmed: bool) -> bool:
    if disarmed:
        return is_disarmed_domain(name)
    # A path of a file ("C:\\site.com\\") has no domain in it.
    return not before.endswith(("\\", "/")) and is_likely_domain(name)


def _six(whole: Refanged, match: re.Match[str]) -> Iterator[Indicator]:
    written, end = match[0], match.end()
    if written.endswith(":") and not written.endswith("::"):
        written, end = written[:-1], end - 1
    try:
        address = IPv6Address(written) if written.count(":") > 1 else None
    except ValueError:
        return
    groups = [group for group in written.split(":") if group]
    # "a::b" is C++, and eight pairs of figures are a serial number.
    is_one = len(groups) > 2 and any(len(group) > 2 for group in groups)
    if address is not None and is_one and not address.is_loopback:
        span = whole.span(match.start(), end)
        yield Indicator("ip", str(address), span, whole.disarmed(match.start(), end))


def _hash(whole: Refanged, match: re.Match[str]) -> Iterator[Indicator]:
    value = match[0].lower()
    varied = len(set(value)) > 5 and not value.isdecimal() and not value.isalpha()
    if len(value) in _LENGTHS and varied:
        yield Indicator("hash", value, whole.span(*match.span()))


def _codes(whole: Refanged) -> Iterator[Indicator]:
    for match in _CVE.finditer(whole.text):
        yield Indicator("cve", f"CVE-{match[1]}-{match[2]}", whole.span(*match.span()))
    for match in _TECHNIQUE.finditer(whole.text):
        value = f"T{match[1]}" + (f".{match[2]}" if match[2] else "")
        yield Indicator("technique", value, whole.span(*match.span()))


def _is_four(name: str) -> bool:
    """Whether it is an address of IP version 4 that may be another machine's."""
    if not _FOUR.fullmatch(name):
        return False
    parts = name.split(".")
    if any(int(part) > 255 or (part[0] == "0" and part != "0") for part in parts):
        return False
    return parts[0] not in ("0", "127", "255")


def _without_tail(address: str) -> str:
    """An address up to a bracket that it did not open, without the marks that end a sentence."""
    depth, end = 0, len(address)
    for at, letter in enumerate(address):
        depth += (letter == "(") - (letter == ")")
        if depth < 0 or (letter == "\\" and address[at + 1 : at + 2] != "_"):
            end = at
            break
    return address[:end].rstrip(".,;:!?*")
