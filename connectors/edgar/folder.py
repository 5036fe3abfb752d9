"""Filings that were downloaded before, as files of a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from connectors.base import SourceRef
from connectors.edgar.reading import VERSION, cover_facts, read_filing
from connectors.edgar.submission import is_submission, read_submission
from connectors.files import FilesConnector
from connectors.parsing.filing import form_in
from connectors.parsing.filing_forms import form_of
from rag.types import Document

__all__ = ["FilingsFolder"]

_SUFFIXES = (".htm", ".html", ".txt")
# sec-edgar-downloader leaves both; the submission has the document in it, and who filed it.
_SUBMISSION, _ITS_DOCUMENT = "full-submission.txt", "primary-document."
_ACCESSION = re.compile(r"\d{10}-\d\d-\d{6}")
_HEADER = {
    "CONFORMED-NAME": "company",
    "CIK": "cik",
    "TYPE": "form",
    "ACCESSION-NUMBER": "accession",
    "FILING-DATE": "filed",
    "PERIOD": "period",
}


class FilingsFolder:
    """Lists and reads filings of a folder, a glob or a single file: HTML, text, submissions.

    Of a submission the main document is read. What a filing is comes from its submission's
    header, its cover page, and the folders ticker/form/accession that it lies in, where they are.

    Args:
        path: as the plain connector of files takes it.
    """

    namespace = "edgar-files"

    def __init__(self, path: str) -> None:
        self._files = FilesConnector(path)

    def list(self) -> Iterable[SourceRef]:
        """Every HTML and text file, by name.

        Raises:
            UsageError: the path is not there or cannot be read.
        """
        refs = [ref for ref in self._files.list() if ref.key.lower().endswith(_SUFFIXES)]
        submitted = {
            os.path.dirname(ref.key) for ref in refs if os.path.basename(ref.key) == _SUBMISSION
        }
        return [
            replace(ref, fingerprint=f"{ref.fingerprint}:{VERSION}")
            for ref in refs
            if not _is_part(ref.key, submitted)
        ]

    def covers(self, key: str) -> bool:
        """Whether a file of this absolute path belongs here."""
        return key.lower().endswith(_SUFFIXES) and self._files.covers(key)

    def fetch(self, ref: SourceRef) -> Document:
        """Read one filing.

        Raises:
            DocumentError: it cannot be read.
        """
        data = self._files.read(ref)
        meta = _facts(ref.key, data)
        parsed = read_filing(data, str(meta.get("form", "")))
        if "form" not in meta and (form := form_in(parsed.text)):
            meta["form"] = form
        words = (meta.get(name, "") for name in ("company", "form", "period"))
        title = " ".join(filter(None, map(str, words))) if "company" in meta else parsed.title
        said = replace(parsed, title=title, meta=meta)
        return said.as_document(ref, self.namespace)


def _is_part(path: str, submitted: set[str]) -> bool:
    folder, name = os.path.split(path)
    return folder in submitted and name.startswith(_ITS_DOCUMENT)


def _facts(path: str, data: bytes) -> dict[str, Any]:
    """What the path says, then the cover page, then the header: the later is the surer."""
    facts: dict[str, Any] = {**_facts_of_path(path), **cover_facts(data)}
    if is_submission(data):
        header = read_submission(data).header
        facts |= {name: header[tag] for tag, name in _HEADER.items() if tag in header}
    for name in ("filed", "period"):
        if day := re.fullmatch(r"(\d{4})(\d\d)(\d\d)", str(facts.get(name, ""))):
            facts[name] = "-".join(day.groups())
    if "cik" in facts:
        facts["cik"] = str(facts["cik"]).zfill(10)
    return facts


def _facts_of_path(path: str) -> dict[str, str]:
    """Of ticker/form/accession/file, as downloaders lay them out."""
    *_, who, form, accession, _ = ["", "", *path.split("/")]
    if not _ACCESSION.fullmatch(accession) or form_of(form) is None:
        return {}
    return {
        "cik" if who.isdecimal() else "ticker": who.upper(),
        "form": form,
        "accession": accession,
    }
