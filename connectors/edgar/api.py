"""EDGAR's own addresses: which companies there are, what they filed, and the documents."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

from connectors.base import Access
from connectors.edgar.columns import rows
from connectors.edgar.filing import Exhibit, Filing
from connectors.edgar.submission import read_submission
from connectors.net.client import Client, RequestFailed
from rag.errors import DocumentError, RagError, SourceError, UsageError

__all__ = ["EdgarApi"]

_LARGEST_LIST = 256 * 2**20
_MOST_PAGES = 1_000
_PAGE_NAME = re.compile(r"CIK\d{10}-submissions-\d{3,6}\.json")
_CONTACT = 'set sources.contact = "Your Name you@example.org" (RAG_SOURCES__CONTACT)'
_UNDECLARED = b"Undeclared Automated Tool"


class EdgarApi:
    """Asks EDGAR, politely.

    Args:
        access: who asks; SEC refuses who does not say whom it may write to.
        www: where the archive is.
        data: where the lists of filings are.
        per_second: the most requests a second; SEC allows ten.

    Raises:
        UsageError: nobody is named whom SEC may write to.
    """

    def __init__(
        self,
        access: Access,
        *,
        www: str = "https://www.sec.gov",
        data: str = "https://data.sec.gov",
        per_second: float = 8.0,
    ) -> None:
        if not access.contact.strip():
            raise UsageError("EDGAR is not asked without a name and an address", hint=_CONTACT)
        self._client = Client(access, per_second=per_second)
        self._www, self._data = www.rstrip("/"), data.rstrip("/")

    def tickers(self) -> dict[str, int]:
        """The number (CIK) of each company that has a ticker.

        Raises:
            SourceError: the list cannot be had now.
        """
        url = f"{self._www}/files/company_tickers.json"
        listed = self._json(url)
        try:
            return {str(row["ticker"]).upper(): int(row["cik_str"]) for row in listed.values()}
        except (AttributeError, KeyError, TypeError, ValueError):
            raise _not_as_documented(url) from None

    def filings(self, cik: int, *, since: str = "", ticker: str = "") -> Iterator[Filing]:
        """What a company filed, the newest first; pages that end before `since` are not asked for.

        Raises:
            UsageError: there is no such company.
            SourceError: its list cannot be had now, or is not as it is documented.
        """
        url = f"{self._data}/submissions/CIK{cik:010d}.json"
        try:
            company = self._json(url)
        except SourceError as error:
            cause = error.__cause__
            if isinstance(cause, RequestFailed) and cause.status == 404:
                raise UsageError(
                    f"EDGAR has no company of CIK {cik}", hint="check the number"
                ) from None
            raise
        try:
            name = str(company.get("name", ""))
            ticker = ticker or next(map(str, company.get("tickers") or ()), "")
            filings = company["filings"]
            yield from rows(filings["recent"], cik, name, ticker)
            for page in self._pages(filings.get("files") or (), since):
                yield from rows(self._json(f"{self._data}/submissions/{page}"), cik, name, ticker)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise _not_as_documented(url) from None

    def exhibits(self, filing: Filing) -> list[Exhibit]:
        """The other documents that were filed with this one.

        Raises:
            SourceError: their list cannot be had now.
        """
        folder = filing.path.rpartition("/")[0]
        url = f"{self._www}/Archives/{folder}/{filing.accession}-index-headers.html"
        page = self._get(url).decode("utf-8", "replace")
        listed = read_submission(html.unescape(page).encode()).documents
        if not listed:
            # There is the filing itself at least: without it all exhibits would look deleted.
            raise _not_as_documented(url)
        return [Exhibit(each.type, each.name) for each in listed if each.name]

    def url(self, filing: Filing) -> str:
        """The address of a filing's document."""
        return f"{self._www}/Archives/{filing.path}"

    def document(self, filing: Filing) -> bytes:
        """The bytes of a filing's document.

        Raises:
            DocumentError: it cannot be had.
        """
        try:
            content = self._client.get(self.url(filing)).content
        except RequestFailed as error:
            raise _explained(error, DocumentError) from error
        if _UNDECLARED in content[:20_000]:
            raise DocumentError(f"{self.url(filing)}: refused: undeclared agent", hint=_CONTACT)
        return content

    def _pages(self, files: Any, since: str) -> Iterator[str]:
        if len(files) > _MOST_PAGES:
            raise ValueError(len(files))
        for page in files:
            name = page["name"]
            if not _PAGE_NAME.fullmatch(name):
                raise ValueError(name)
            if not since or str(page.get("filingTo") or "9999") >= since:
                yield name

    def _json(self, url: str) -> Any:
        try:
            return json.loads(self._get(url))
        except (ValueError, RecursionError):
            raise _not_as_documented(url) from None

    def _get(self, url: str) -> bytes:
        try:
            return self._client.get(url, most_bytes=_LARGEST_LIST).content
        except RequestFailed as error:
            raise _explained(error, SourceError) from error


def _explained(error: RequestFailed, kind: type[RagError]) -> RagError:
    if error.status != 403:
        return kind(error.message, hint=error.hint)
    return kind(
        f"{error.message}: SEC knows no contact by this agent, or was asked too often from here",
        hint=f"{_CONTACT}, or wait ten minutes",
    )


def _not_as_documented(url: str) -> SourceError:
    return SourceError(f"{url}: not what EDGAR documents", hint="try again later")
