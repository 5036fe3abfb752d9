"""Filings of companies, asked from EDGAR."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from threading import Lock

from connectors.base import SourceRef
from connectors.edgar.api import EdgarApi
from connectors.edgar.filing import Filing, FilingKey, split_key
from connectors.edgar.options import EdgarOptions
from connectors.edgar.reading import VERSION, cover_facts, read_filing
from rag.errors import DocumentError, SourceError, UsageError
from rag.types import Document

__all__ = ["EdgarConnector"]

# What is read of exhibits: press releases, and the annual report that a 10-K may be a cover of.
_EXHIBITS = {"8-K": "EX-99", "10-K": "EX-13"}
_READABLE = (".htm", ".html", ".txt")


class EdgarConnector:
    """Lists and reads what companies filed with SEC.

    A filing never changes, so that it is fetched once. Sources that are narrowed in another way
    (forms, days) leave alone what each other has listed.

    Args:
        api: EDGAR.
        companies: tickers, or numbers (CIK).
        options: which of their filings.
    """

    namespace = "edgar"

    def __init__(self, api: EdgarApi, companies: Sequence[str], options: EdgarOptions) -> None:
        self._api, self._named, self._options = api, tuple(companies), options
        self._companies: dict[int, str] | None = None
        self._filings: dict[str, Filing] | None = None
        self._oldest: dict[int, str] = {}
        self._lock = Lock()

    def list(self) -> Iterable[SourceRef]:
        """The wanted filings of each company, the newest first.

        Raises:
            UsageError: there is no such company.
            SourceError: EDGAR cannot be asked now, or refuses.
        """
        found: dict[str, Filing] = {}
        oldest: dict[int, str] = {}
        for cik, ticker in self._resolved().items():
            filings = self._wanted(cik, ticker)
            if self._options.most and len(filings) == self._options.most:
                oldest[cik] = filings[-1].filed
            for filing in filings:
                found |= {each.key: each for each in (filing, *self._exhibits(filing))}
        self._filings, self._oldest = found, oldest
        return [self._ref(filing) for filing in found.values()]

    def covers(self, key: str) -> bool:
        """Whether this filing, if there is one, would be listed.

        With `most`, one that newer ones have pushed off the list would not: it stays.
        """
        parts = split_key(key)
        if parts is None or parts.cik not in self._resolved():
            return False
        if parts.exhibit and not self._options.exhibits:
            return False
        return self._options.wants(parts.form, parts.filed) and self._is_recent(key, parts)

    def fetch(self, ref: SourceRef) -> Document:
        """Fetch and read one filing.

        Raises:
            DocumentError: it cannot be had or read.
        """
        filing = self._held().get(ref.key)
        if filing is None:
            raise DocumentError("not listed any more", hint="run this again")
        if not filing.document.lower().endswith(_READABLE):
            raise DocumentError(f"{filing.document}: neither HTML nor text (filed on paper?)")
        data = self._api.document(filing)
        parsed = read_filing(data, filing.exhibit or filing.form)
        meta = filing.facts
        if year := cover_facts(data).get("fiscal_year") or _fiscal_year(filing):
            meta["fiscal_year"] = year
        said = replace(parsed, title=filing.title, meta=meta)
        return said.as_document(ref, self.namespace)

    def _wanted(self, cik: int, ticker: str) -> Sequence[Filing]:
        since = self._options.since.isoformat() if self._options.since else ""
        all_ = self._api.filings(cik, since=since, ticker=ticker)
        wanted = (each for each in all_ if self._options.wants(each.form, each.filed))
        chosen = islice(wanted, self._options.most or None)
        return tuple({filing.key: filing for filing in chosen}.values())

    def _exhibits(self, filing: Filing) -> Iterator[Filing]:
        kind = _EXHIBITS.get(filing.form.removesuffix("/A"))
        if kind is None or not self._options.exhibits:
            return
        for each in self._api.exhibits(filing):
            if each.type.upper().startswith(kind) and each.document.lower().endswith(_READABLE):
                yield replace(filing, exhibit=each.type.upper(), document=each.document)

    def _ref(self, filing: Filing) -> SourceRef:
        # What was filed stays as it is: only the parsers make another document of it.
        fingerprint = f"{filing.accession}:{filing.document}:{VERSION}"
        return SourceRef(filing.key, self._api.url(filing), filing.name, fingerprint)

    def _is_recent(self, key: str, parts: FilingKey) -> bool:
        if not self._options.most or parts.cik not in self._oldest:
            return True
        return key in (self._filings or {}) or parts.filed > self._oldest[parts.cik]

    def _held(self) -> Mapping[str, Filing]:
        """What was listed last; another process than the one that listed asks anew."""
        with self._lock:  # of several threads that come first, one lists
            if self._filings is None:
                try:
                    self.list()
                except (SourceError, UsageError) as error:
                    raise DocumentError(error.message, hint=error.hint) from error
            return self._filings or {}

    def _resolved(self) -> dict[int, str]:
        """Each company's number, with the ticker that it was asked for by, or ""."""
        if self._companies is None:
            named = [name.upper().replace(".", "-") for name in self._named]
            known = self._api.tickers() if not all(map(str.isdecimal, named)) else {}
            companies: dict[int, str] = {}
            for name in named:
                if name.isdecimal():
                    companies.setdefault(int(name), "")
                elif name in known:
                    companies.setdefault(known[name], name)
                else:
                    raise UsageError(
                        f"EDGAR knows no ticker {name}",
                        hint="write the company's CIK (edgar:320193), or a folder as edgar:./name",
                    )
            self._companies = companies
        return self._companies


def _fiscal_year(filing: Filing) -> int | None:
    """The fiscal year that an annual report is of, if its cover page need not say so.

    One that ends from January to April may be named after either calendar year.
    """
    sure = filing.form.startswith("10-K") and filing.period[5:7] > "04" and not filing.exhibit
    return int(filing.period[:4]) if sure else None
