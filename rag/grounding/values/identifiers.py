"""Identifiers: codes, versions, addresses, hashes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag.grounding.values.amounts import NUMBER
from rag.grounding.values.patterns import Rule, bounded
from rag.grounding.values.value import Reading
from rag.grounding.values.words import RANK

__all__ = ["CODES", "NAMES"]

_DOT = r"(?:\.|\[\.\])"  # reports of threats write [.], so that nobody clicks
_NAMES = (
    r"(?i:https?|hxxps?|ftp)(?:://|\[:\]//)((?:\[\.\]|[^\s\0<>\"'’()\[\]|])+)(?<![.,;:!?])",  # noqa: RUF001
    rf"(?<![.+-])[\w.+-]{{1,64}}(?:@|\[@\])[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{1,8}}",
    r"10\.\d{4,9}/[^\s\0<>\"()\[\]|]{1,200}(?<![.,;:!?])",
    r"(?<!\d\.)\d{1,3}(?:" + _DOT + r"\d{1,3}){3}(?:[:/]\d{1,5})?(?!\.\d)",
    r"(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F:]{1,39}(?<!:)",
    r"[0-9a-fA-F]{32,128}",
    rf"(?<![.-])[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{0,8}}(?:\[\.\][A-Za-z]{{2,24}}|"
    rf"\.(?:com|net|org|io|gov|edu|info|biz|ru|cn|de|uk|eu|example|onion)\b)(?:/[\w./%~?=&-]{{1,200}})?(?<![.?])",
    r"\$([A-Z]{1,5})|(?:NYSE|NASDAQ|Nasdaq|LSE|ASX)\s?:\s?([A-Z.]{1,6})(?<!\.)",
)
_RELEASE = r"(?:-?(?:rc|alpha|beta)\.?\d{1,3})?(?!\.\d)"
_VERSIONS = (
    rf"(?i:v|ver\.?\s?|version\s|release\s)(\d{{1,9}}(?:\.\d{{1,9}}){{1,6}}{_RELEASE})",
    rf"v(\d{{1,9}})|(?<!\d\.)(\d{{1,9}}(?:\.\d{{1,9}}){{2,6}}{_RELEASE})",
)
_CODE = (
    r"(?=[\w-]{0,40}\d|[A-Za-z]{1,20}\.\d)[A-Za-z0-9]{1,64}"
    r"(?:[-_‑][A-Za-z0-9]{1,40}|\.(?:[A-Za-z]{0,4}\d[A-Za-z0-9]{0,20}|[a-z]{2,4}(?!\w))){0,12}"  # noqa: RUF001
)
_ONLY_PREFIX = re.compile(
    r"(?i)(?:mid|pre|post|early|late|top|phase|sub|non|type|grade|stage|level|aged?|day|week|month|"
    r"year|since|of|to|over|under|about)-"
)


def _named(match: re.Match[str]) -> Iterator[Reading]:
    yield _canonical(next((got for got in match.groups() if got), match[0]))


def _version(match: re.Match[str]) -> Iterator[Reading]:
    if not re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", match[0]):  # 1.234.567 is a number
        yield next(got for got in match.groups() if got).lower()


def _code(match: re.Match[str]) -> Iterator[Reading]:
    """A token of letters and digits, unless it is a number with its unit or "mid-2018"."""
    token = match[0]
    mixed = any(map(str.isalpha, token)) and any(map(str.isdigit, token))
    if not mixed or _ONLY_PREFIX.match(token) or re.match(r"\d+-[a-z]", token):
        return
    parts = [token, *token.split("-")]
    quantities = [bool(NUMBER.fullmatch(part) or RANK.fullmatch(part)) for part in parts]
    if not quantities[0] and not all(quantities[1:]):
        yield _canonical(token)


def _canonical(name: str) -> str:
    name = name.lower().replace("‑", "-").replace("[", "").replace("]", "")  # noqa: RUF001
    return re.sub(r"(?<=[a-z])[-_](?=\d)", "", name.removeprefix("www.").rstrip("/"))


NAMES: tuple[Rule, ...] = tuple((bounded(each), _named) for each in _NAMES)
CODES: tuple[Rule, ...] = (
    *((bounded(each), _version) for each in _VERSIONS),
    (bounded(_CODE), _code),
)
