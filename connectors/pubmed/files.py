"""Articles in the XML files that PubMed publishes: its yearly baseline, and the daily updates."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from lxml import etree

from connectors.base import Access, SourceRef
from connectors.parsing.base import Parsed
from connectors.pubmed.articles import address, parse_record
from connectors.pubmed.marks import RecordOptions, mark_record, pmid_of, read_pmid
from connectors.pubmed.packed import RecordFile, find_files
from connectors.pubmed.records import DELETED, RecordsError
from rag.errors import DocumentError, UsageError
from rag.types import Document

__all__ = ["FileConnector"]

_ORDINAL_BITS = 32


class FileConnector:
    """Lists and reads the records of PubMed's XML files: one, or all below a folder.

    Files count in the order of their names, as PubMed numbers them, whatever folder they are in:
    of a PMID the highest version is listed, and the last of those; one that a file says was
    deleted is not, unless a later file has it again. A file that is damaged is a problem of its
    own: the records before the damage are listed, and nothing is retired.

    Listing reads every file once and remembers where each record stands. Fetching reads on from
    where the last batch ended, so that a whole ingest is one more pass.

    Args:
        place: the file or folder.
        options: which records are listed.
        access: bounds what a file may unpack to: four times `most_bytes`.
    """

    batch = 1_000

    def __init__(self, place: str, options: RecordOptions, access: Access) -> None:
        self._given, self._options = place, options
        self._root = os.path.abspath(os.path.expanduser(place))
        self._most = 4 * access.most_bytes
        self._files: list[RecordFile] = []
        self._places: dict[str, int] | None = None
        self._held: dict[str, Parsed | DocumentError] = {}
        self._reading: _Reading | None = None
        self._lock = Lock()

    @property
    def namespace(self) -> str:
        """The file or folder: what it no longer has is gone."""
        return f"pubmed:{self._root}"

    def covers(self, key: str) -> bool:
        """True for all: the namespace is the folder, and every record of it is listed."""
        return True

    def list(self) -> list[SourceRef]:
        """Every record there is now, in the order in which the files hold them.

        Raises:
            UsageError: there is no such file or folder, or none of PubMed's files in it.
        """
        self._reading = None
        self._files = find_files(self._root, self._given, self._most)
        if not self._files:
            raise UsageError(f"{self._given}: no .xml or .xml.gz files", hint="check the path")
        seen: dict[str, _Seen] = {}
        problems: list[SourceRef] = []
        for number, file in enumerate(self._files):
            problems += _scan(file, number << _ORDINAL_BITS, self._options, seen)
        listed = [(each.place, pmid) for pmid, each in seen.items() if each.wanted]
        listed.sort()
        self._places = {pmid: place for place, pmid in listed}
        refs = [SourceRef(pmid, address(pmid), pmid, seen[pmid].fingerprint) for _, pmid in listed]
        return refs + problems

    def prepare(self, refs: Sequence[SourceRef]) -> None:
        """Read these in one pass over the files that hold them, and hold them until fetched.

        Raises:
            DocumentError: nothing was listed, and it cannot be now.
        """
        with self._lock:
            self._held = {}
            self._read([ref for ref in refs if ref.problem is None])

    def fetch(self, ref: SourceRef) -> Document:
        """Make a document of one record: the one that was prepared, or one looked for now.

        Raises:
            DocumentError: it says nothing, or its file has changed since it was listed.
        """
        if ref.problem is not None:
            raise ref.problem
        with self._lock:
            if ref.key not in self._held:
                self._read([ref])
            found = self._held.pop(ref.key, None) or _changed()
        if isinstance(found, DocumentError):
            raise found
        return found.as_document(ref, self.namespace)

    def _listed(self) -> Mapping[str, int]:
        """Where each record stands; another process than the one that listed looks anew."""
        if self._places is None:
            try:
                self.list()
            except UsageError as error:
                raise DocumentError(error.message, hint=error.hint) from error
        return self._places or {}

    def _read(self, refs: Sequence[SourceRef]) -> None:
        wanted: dict[int, dict[int, SourceRef]] = {}
        places = self._listed()
        for ref in refs:
            if (place := places.get(ref.key)) is not None:
                number, ordinal = place >> _ORDINAL_BITS, place & ((1 << _ORDINAL_BITS) - 1)
                wanted.setdefault(number, {})[ordinal] = ref
        for number in sorted(wanted):
            try:
                self._read_file(number, wanted[number])
            except RecordsError as error:
                self._reading = None
                for ref in wanted[number].values():
                    self._held.setdefault(ref.key, DocumentError(str(error)))

    def _read_file(self, number: int, wanted: Mapping[int, SourceRef]) -> None:
        reading = self._reading
        if reading is None or reading.number != number or reading.ordinal > min(wanted):
            records = self._files[number].records(unchanged=True)
            reading = self._reading = _Reading(number, records)
        last = max(wanted)
        while reading.ordinal <= last:
            record = next(reading.records, None)
            if record is None:
                raise RecordsError("the file has changed since it was listed")
            if record.tag == DELETED:
                continue
            if ref := wanted.get(reading.ordinal):
                self._held[ref.key] = _parse(record, ref)
            reading.ordinal += 1


class _Seen(NamedTuple):
    """The record of a PMID that counts so far: its place is file and ordinal in one number."""

    version: int
    place: int
    fingerprint: str
    wanted: bool


@dataclass(slots=True)
class _Reading:
    """A file that is being read: `ordinal` is the number of the record that comes next."""

    number: int
    records: Iterator[etree._Element] = field(repr=False)
    ordinal: int = 0


def _scan(
    file: RecordFile, place: int, options: RecordOptions, seen: dict[str, _Seen]
) -> list[SourceRef]:
    """Note the records of a file, the first of which is at `place`; returns what is wrong."""
    problems = []
    nameless = ordinal = 0
    try:
        for record in file.records():
            if record.tag == DELETED:
                _delete(record, seen)
                continue
            pmid, version = pmid_of(record)
            nameless += not pmid
            known = seen.get(pmid)
            if pmid and (known is None or known.version <= version):
                mark = mark_record(record)
                wanted = mark.is_wanted(options)
                seen[pmid] = _Seen(version, place + ordinal, mark.fingerprint, wanted)
            ordinal += 1
    except RecordsError as error:
        problems.append(file.problem(str(error)))
    if nameless:
        problems.append(file.problem(f"{nameless:,} records without a PMID"))
    return problems


def _delete(deletions: etree._Element, seen: dict[str, _Seen]) -> None:
    for each in deletions:
        pmid, version = read_pmid(each)
        known = seen.get(pmid)
        if known is not None and known.version <= version:
            del seen[pmid]


def _parse(record: etree._Element, ref: SourceRef) -> Parsed | DocumentError:
    if mark_record(record).fingerprint != ref.fingerprint:
        return _changed()
    try:
        return parse_record(record)
    except DocumentError as error:
        return error


def _changed() -> DocumentError:
    return DocumentError("the file has changed since it was listed", hint="run this again")
