"""NCBI's E-utilities, as far as PubMed needs them: search, summaries, whole records."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lxml import etree

from connectors.base import Access
from connectors.net.client import Client, RequestFailed
from connectors.pubmed.records import DELETED, RecordsError, read_records
from rag.errors import DocumentError, UsageError

__all__ = ["BATCH", "MOST_FOUND", "Eutils", "Found", "requests_per_second"]

BATCH = 200
"""Records that are asked for at once: what NCBI recommends for one request."""
MOST_FOUND = 9_999
"""Records of one search that PubMed tells; the others can only be had by narrower searches."""

_BASE = "https://eutils.ncbi.nlm.nih.gov/entrez/eutils/"
_ATTEMPTS = 3
_MOST_BYTES = 64 * 2**20
_LONGEST = 200  # characters that are shown of an error
_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """How many articles a search finds, and the PMIDs of the first of them."""

    count: int
    pmids: list[str]


class _Refused(Exception):
    """An answer that is none: an error, or broken. It often passes."""


class Eutils:
    """Asks PubMed. Everything is posted, so that neither a long query nor the key is in an address.

    Three requests a second, ten with a key. An error that PubMed writes into an answer, or an
    answer cut short, is asked for again, three times in all, as the client does with errors of
    HTTP. A redirect to another server is refused: it would be sent the key.

    Args:
        access: whose address and key are sent, and how the server may be asked.
        base: where the E-utilities are.
        per_second: requests a second, if not those that NCBI allows.
        pause: how to wait before asking again, in seconds.
    """

    def __init__(
        self,
        access: Access,
        *,
        base: str = _BASE,
        per_second: float | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base, self._pause, self._key = base, pause, access.ncbi_api_key
        self._most = min(_MOST_BYTES, access.most_bytes)
        self._host = urlsplit(base)[:2]
        email = _ADDRESS.search(access.contact)
        self._sent = {"db": "pubmed", "tool": "spanrag"}
        self._sent |= {"email": email[0].strip(".,;()")} if email else {}
        self._sent |= {"api_key": self._key} if self._key else {}
        self._client = Client(
            access,
            per_second=per_second or requests_per_second(access),
            check=self._check,
            pause=pause,
        )

    def search(
        self, term: str, *, most: int = MOST_FOUND, days: tuple[str, str] = ("", "")
    ) -> Found:
        """Look for articles, newest first.

        Args:
            term: the query, as PubMed's own page takes it.
            most: how many PMIDs to tell, at most 9,999.
            days: the first and last day ("2023/01/31") they came into PubMed; all where empty.

        Raises:
            UsageError: PubMed does not know a field of the query, or finds none of its words.
            DocumentError: it does not answer, or not completely.
        """
        asked = {"term": term, "retmax": most, "sort": "pub_date", "retmode": "json"}
        if days[0]:
            asked |= {"datetype": "edat", "mindate": days[0], "maxdate": days[1]}
        result = self._ask("esearch", asked, _read_search)
        _refuse_unknown(result)
        return _complete(result, most)

    def existing(self, pmids: Sequence[str]) -> list[str]:
        """Which of at most `BATCH` PMIDs there are.

        Raises:
            DocumentError: PubMed does not answer.
        """
        term = " OR ".join(f"{pmid}[uid]" for pmid in pmids)
        asked = {"term": term, "retmax": BATCH, "retmode": "json"}
        return _complete(self._ask("esearch", asked, _read_search), BATCH).pmids

    def summaries(self, pmids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """The summaries of at most `BATCH` records; those PubMed has none of are left out.

        Raises:
            DocumentError: it does not answer.
        """
        asked = {"id": ",".join(pmids), "retmode": "json"}
        found = self._ask("esummary", asked, _read_summaries)
        known = ((pmid, found.get(pmid)) for pmid in pmids)
        return {p: each for p, each in known if isinstance(each, dict) and "error" not in each}

    def records(self, pmids: Sequence[str]) -> list[etree._Element]:
        """At most `BATCH` whole records; those PubMed does not have are left out.

        Raises:
            DocumentError: PubMed does not answer.
        """
        asked = {"id": ",".join(pmids), "retmode": "xml"}
        return self._ask("efetch", asked, _read_records)

    def _ask(self, tool: str, asked: Mapping[str, Any], read: Callable[[bytes], T]) -> T:
        said = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._pause(2.0**attempt)
            content = self._post(tool, asked)
            try:
                return read(content)
            except _Refused as refused:
                said = self._shown(str(refused))
        raise DocumentError(
            f"PubMed cannot answer ({tool}): {said}",
            hint="try again later, or the query at https://pubmed.ncbi.nlm.nih.gov",
        )

    def _post(self, tool: str, asked: Mapping[str, Any]) -> bytes:
        try:
            answer = self._client.post(
                f"{self._base}{tool}.fcgi", data={**self._sent, **asked}, most_bytes=self._most
            )
        except RequestFailed as error:
            if self._key and error.status in (400, 401, 403):
                error.hint = "check sources.ncbi_api_key: PubMed refuses one it does not know"
            raise
        return answer.content

    def _check(self, address: str) -> None:
        if urlsplit(address)[:2] != self._host:
            raise DocumentError(
                "PubMed redirects to another server, which is not followed", hint="try again later"
            )

    def _shown(self, said: str) -> str:
        said = " ".join(said.split())
        return (said.replace(self._key, "...") if self._key else said)[:_LONGEST]


def requests_per_second(access: Access) -> float:
    """What NCBI allows: 3, or 10 with a key."""
    return 10.0 if access.ncbi_api_key else 3.0


def _read_search(content: bytes) -> dict[str, Any]:
    result = _object(_json(content), "esearchresult")
    if "ERROR" in result:
        raise _Refused(str(result["ERROR"]))
    count, pmids = result.get("count"), result.get("idlist")
    if not (isinstance(count, str) and count.isdecimal() and isinstance(pmids, list)):
        raise _Refused("no result in the answer")
    if not all(isinstance(each, str) and each.isdecimal() for each in pmids):
        raise _Refused("what should be PMIDs is none")
    return result


def _complete(result: Mapping[str, Any], most: int) -> Found:
    found = Found(int(result["count"]), result["idlist"])
    if len(found.pmids) < min(found.count, most):
        raise DocumentError(
            f"PubMed finds {found.count:,} articles and tells only {len(found.pmids):,} PMIDs",
            hint="try again later",
        )
    return found


def _refuse_unknown(result: Mapping[str, Any]) -> None:
    errors = result.get("errorlist")
    errors = errors if isinstance(errors, dict) else {}
    fields, phrases = errors.get("fieldsnotfound") or [], errors.get("phrasesnotfound") or []
    # A word of many that nothing contains is no mistake; one without which nothing is found is.
    if fields or (phrases and not int(result["count"])):
        what = "has no field" if fields else "finds nothing for"
        named = ", ".join(map(str, fields or phrases))[:_LONGEST]
        raise UsageError(
            f"pubmed: PubMed {what} {named}",
            hint="try the query at https://pubmed.ncbi.nlm.nih.gov",
        )


def _read_summaries(content: bytes) -> dict[str, Any]:
    answer = _json(content)
    for said in (answer.get("error"), answer.get("esummaryresult")):
        if said:
            raise _Refused(str(said))
    return _object(answer, "result")


def _read_records(content: bytes) -> list[etree._Element]:
    try:
        return [each for each in read_records([content]) if each.tag != DELETED]
    except RecordsError as error:
        raise _Refused(str(error)) from None


def _json(content: bytes) -> dict[str, Any]:
    try:
        # Not strict: PubMed's errors have newlines inside their strings.
        answer = json.loads(content, strict=False)
    except (ValueError, RecursionError):
        raise _Refused("no JSON in the answer") from None
    if not isinstance(answer, dict):
        raise _Refused("no result in the answer")
    return answer


def _object(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = answer.get(name)
    if not isinstance(found, dict):
        raise _Refused(f"no {name} in the answer")
    return found
