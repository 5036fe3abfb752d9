"""Articles of PubMed itself, found by a query or named by their PMIDs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Literal

from pydantic import Field

from connectors.base import SourceRef
from connectors.parsing.base import Parsed
from connectors.pubmed.articles import address, parse_record
from connectors.pubmed.eutils import BATCH, Eutils
from connectors.pubmed.marks import Mark, RecordOptions, mark_record, mark_summary, pmid_of
from connectors.pubmed.search import find
from rag.errors import DocumentError, SourceError
from rag.types import Document

__all__ = ["OnlineOptions", "PmidConnector", "SearchConnector", "SearchOptions"]


@dataclass(frozen=True, slots=True)
class OnlineOptions(RecordOptions):
    """The options of PMIDs.

    Args:
        check: by what a change is seen: "summary" (small, but silent on words of the abstract
            that were mended without a notice) or "record" (all of it, at each listing).
    """

    check: Literal["summary", "record"] = "summary"


@dataclass(frozen=True, slots=True)
class SearchOptions(OnlineOptions):
    """The options of a query.

    Args:
        most: how many articles are listed, the newest first. Without it a query that finds more
            than 9,999 is refused.
    """

    most: Annotated[int, Field(ge=1)] | None = None


class _Online:
    """What both have in common: how records are marked and fetched."""

    batch = BATCH
    namespace = "pubmed"

    def __init__(self, eutils: Eutils, options: OnlineOptions) -> None:
        self._eutils, self._options = eutils, options
        self._held: dict[str, Parsed | DocumentError] = {}
        self._lock = Lock()

    def prepare(self, refs: Sequence[SourceRef]) -> None:
        """Get all of these in one request, and hold them until they are fetched.

        Raises:
            DocumentError: the request failed.
        """
        held = self._read([ref.key for ref in refs if ref.problem is None])
        with self._lock:
            self._held = held

    def fetch(self, ref: SourceRef) -> Document:
        """Make a document of one record: the one that was prepared, or one asked for now.

        Raises:
            DocumentError: it cannot be had, or says nothing.
        """
        if ref.problem is not None:
            raise ref.problem
        with self._lock:
            found = self._held.pop(ref.key, None)
        if found is None:
            found = self._read([ref.key]).get(ref.key)
        if found is None:
            raise DocumentError("PubMed has it no longer", hint="run this again")
        if isinstance(found, DocumentError):
            raise found
        return found.as_document(ref, self.namespace)

    def _read(self, pmids: Sequence[str]) -> dict[str, Parsed | DocumentError]:
        held: dict[str, Parsed | DocumentError] = {}
        for record in self._eutils.records(pmids) if pmids else ():
            pmid, _ = pmid_of(record)
            try:
                held[pmid] = parse_record(record)
            except DocumentError as error:
                held[pmid] = error
        return held

    def _refs(self, pmids: Sequence[str]) -> list[SourceRef]:
        refs = []
        for some in _batches(pmids):
            marks = self._marks(some)
            for pmid in some:
                mark = marks.get(pmid)
                if mark is None:
                    problem = DocumentError("PubMed tells nothing of it now", hint="run this again")
                    refs.append(_ref(pmid, "", problem))
                elif mark.is_wanted(self._options):
                    refs.append(_ref(pmid, mark.fingerprint))
        return refs

    def _marks(self, pmids: Sequence[str]) -> dict[str, Mark]:
        if self._options.check == "record":
            return {pmid_of(each)[0]: mark_record(each) for each in self._eutils.records(pmids)}
        summaries = self._eutils.summaries(pmids)
        return {pmid: mark_summary(each) for pmid, each in summaries.items()}


class SearchConnector(_Online):
    """Lists and reads the articles that a query finds.

    Each query is a namespace of its own, so that none retires what another has ingested; what
    both find is stored once all the same, because copies are linked to their original.

    Args:
        query: as PubMed's own page takes it.
        options: which and how many are listed.
        eutils: how PubMed is asked.
    """

    def __init__(self, query: str, options: SearchOptions, eutils: Eutils) -> None:
        super().__init__(eutils, options)
        self._query = " ".join(query.split())
        self._most = options.most
        self._listed: set[str] | None = None
        self.namespace = f"pubmed:{self._query}"

    def list(self) -> list[SourceRef]:
        """Every article the query finds, or the newest `most` of them.

        Raises:
            UsageError: the query is malformed, or finds too much.
            SourceError: PubMed does not answer, or not completely.
        """
        try:
            pmids, are_more = find(self._eutils, self._query, self._most)
            refs = self._refs(pmids)
        except DocumentError as error:
            raise SourceError(error.message, hint=error.hint) from None
        self._listed = set(pmids) if are_more else None
        return refs

    def covers(self, key: str) -> bool:
        """Whether the last listing would show the article, if PubMed still had it.

        Where `most` cut it off, what it does not show may merely have become older.
        """
        return self._listed is None or key in self._listed


class PmidConnector(_Online):
    """Lists and reads the articles of these PMIDs.

    All such lists share one namespace: a longer or shorter list is about the same articles.

    Args:
        pmids: which.
        options: which of them are listed.
        eutils: how PubMed is asked.
    """

    def __init__(self, pmids: Sequence[str], options: OnlineOptions, eutils: Eutils) -> None:
        super().__init__(eutils, options)
        self._pmids = list(dict.fromkeys(str(int(pmid)) for pmid in pmids))

    def list(self) -> list[SourceRef]:
        """Each of the articles, in the order they were named.

        One that PubMed does not have is a problem with another key: if it was ingested before, it
        was deleted since, and may be retired.

        Raises:
            SourceError: PubMed does not answer.
        """
        there: set[str] = set()
        try:
            for some in _batches(self._pmids):
                there.update(self._eutils.existing(some))
            refs = self._refs([pmid for pmid in self._pmids if pmid in there])
        except DocumentError as error:
            raise SourceError(error.message, hint=error.hint) from None
        return refs + [_missing(pmid) for pmid in self._pmids if pmid not in there]

    def covers(self, key: str) -> bool:
        """Whether it is one of the PMIDs."""
        return key in self._pmids


def _batches(pmids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(pmids), BATCH):
        yield pmids[at : at + BATCH]


def _ref(pmid: str, fingerprint: str, problem: DocumentError | None = None) -> SourceRef:
    return SourceRef(pmid, address(pmid), pmid, fingerprint, problem)


def _missing(pmid: str) -> SourceRef:
    problem = DocumentError("PubMed has no article of this PMID", hint="check the number")
    return SourceRef(f"missing:{pmid}", address(pmid), pmid, "", problem)
