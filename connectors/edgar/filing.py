"""One filing as EDGAR lists it: its key, its name, and the facts to filter by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from posixpath import splitext
from typing import Any

__all__ = ["Exhibit", "Filing", "FilingKey", "split_key"]

_KEY = re.compile(
    r"(?P<cik>\d{10})/(?P<form>.+)/(?P<filed>\d{4}-\d\d-\d\d)/(?P<accession>\d{10}-\d\d-\d{6})"
    r"(?:/(?P<exhibit>[^/]+))?"
)


@dataclass(frozen=True, slots=True)
class FilingKey:
    """What a key tells without the filing: so that `covers` needs no list of them."""

    cik: int
    form: str
    filed: str
    accession: str
    exhibit: str


def split_key(key: str) -> FilingKey | None:
    """The parts of a filing's key; None for what is none.

    >>> split_key("0000320193/10-K/A/2023-11-03/0000320193-23-000106").form
    '10-K/A'
    """
    found = _KEY.fullmatch(key)
    if not found:
        return None
    named = found.groupdict(default="")
    return FilingKey(int(named["cik"]), **{k: v for k, v in named.items() if k != "cik"})


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A document filed with another: its type ("EX-99.1") and its file's name."""

    type: str
    document: str


@dataclass(frozen=True, slots=True)
class Filing:
    """One filing of one company.

    Args:
        cik: the company's number.
        company: its name.
        ticker: its symbol, or "".
        form: as SEC writes it ("10-K/A").
        filed: the day, ISO.
        period: the day that it reports on, ISO, or "".
        accession: the filing's number, with dashes.
        document: the file's name of its primary document, or of its exhibit.
        items: of an 8-K: "2.02", "9.01".
        exhibit: which exhibit it is ("EX-99.1"), or "" for the filing itself.
    """

    cik: int
    company: str
    ticker: str
    form: str
    filed: str
    period: str
    accession: str
    document: str
    items: tuple[str, ...] = ()
    exhibit: str = ""

    @property
    def key(self) -> str:
        """Its identity; begins with what a source may be narrowed by."""
        key = f"{self.cik:010d}/{self.form}/{self.filed}/{self.accession}"
        return f"{key}/{self.document}" if self.exhibit else key

    @property
    def path(self) -> str:
        """Where it lies in EDGAR's archive."""
        return f"edgar/data/{self.cik}/{self.accession.replace('-', '')}/{self.document}"

    @property
    def name(self) -> str:
        """Its name for readers: "AAPL/10-K/2023-09-30.htm"."""
        day, number = self.period or self.filed, self.accession[11:]
        # Of reports on the same day there may be several, except of these.
        alone = self.form in {"10-K", "10-Q"} and self.period and not self.exhibit
        stem = day if alone else f"{self.filed}-{number}"
        stem += f"-{self.exhibit}" if self.exhibit else ""
        who = self.ticker or f"{self.cik:010d}"
        return f"{who}/{self.form.replace('/', '-')}/{stem}{splitext(self.document)[1].lower()}"

    @property
    def title(self) -> str:
        """Who reports what on which day."""
        form = f"{self.form} {self.exhibit}".rstrip()
        return f"{self.company} {form} {self.period or self.filed}".strip()

    @property
    def facts(self) -> dict[str, Any]:
        """The document's `meta`, without what is blank."""
        facts = {
            "ticker": self.ticker,
            "company": self.company,
            "cik": f"{self.cik:010d}",
            "form": self.form,
            "filed": self.filed,
            "period": self.period,
            "accession": self.accession,
            "items": list(self.items),
            "exhibit": self.exhibit,
        }
        return {name: value for name, value in facts.items() if value}
