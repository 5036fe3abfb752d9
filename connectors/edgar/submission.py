"""A full submission: the text file in which EDGAR keeps all documents of one filing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Submission", "SubmittedDocument", "is_submission", "read_submission"]

_OPENS = re.compile(
    rb"\s*(?:-----BEGIN PRIVACY-ENHANCED MESSAGE-----|<SEC-DOCUMENT>|<SEC-HEADER>"
    rb"|<IMS-DOCUMENT>|<DOCUMENT>\s*<TYPE>)",
    re.IGNORECASE,
)
_MOST = 5_000  # documents; the largest filings have some hundreds
_LONGEST_HEADER = 2**20
_LONGEST_FACT = 300
_TAGGED = re.compile(r"^<([A-Z][A-Z0-9-]+)>[^\S\n]*(\S[^\n]*)$", re.MULTILINE)
_LABELLED = re.compile(r"^[^\S\n]*([A-Z][A-Z0-9 -]+):[^\S\n]+(\S[^\n]*)$", re.MULTILINE)
# The labels that the text header has, by the tags of the other one.
_LABELS = {
    "ACCESSION NUMBER": "ACCESSION-NUMBER",
    "CONFORMED SUBMISSION TYPE": "TYPE",
    "CONFORMED PERIOD OF REPORT": "PERIOD",
    "FILED AS OF DATE": "FILING-DATE",
    "COMPANY CONFORMED NAME": "CONFORMED-NAME",
    "CENTRAL INDEX KEY": "CIK",
}


@dataclass(frozen=True, slots=True)
class SubmittedDocument:
    """One document of a filing: its type ("10-K", "EX-99.1"), file name and bytes."""

    type: str
    name: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Submission:
    """What a submission says of itself by its header's tags, and its documents in order."""

    header: Mapping[str, str]
    documents: tuple[SubmittedDocument, ...]

    @property
    def main(self) -> SubmittedDocument | None:
        """The document that the filing is: the first of its type, else the first of all."""
        form = self.header.get("TYPE", "").upper()
        typed = (each for each in self.documents if each.type.upper() == form)
        return next(typed, self.documents[0] if self.documents else None)


def is_submission(data: bytes) -> bool:
    """Whether these bytes are a submission, or one document cut out of it with its tags."""
    return bool(_OPENS.match(data[:400]))


def read_submission(data: bytes) -> Submission:
    """Take a submission apart. What is damaged in it is left out."""
    first = data.find(b"<DOCUMENT>")
    head = data[: first if first >= 0 else _LONGEST_HEADER][:_LONGEST_HEADER]
    return Submission(_header(head.decode("latin-1")), tuple(_documents(data)))


def _header(text: str) -> dict[str, str]:
    # The first of several filers is the one that the filing is kept under.
    facts: dict[str, str] = {}
    for tag, value in _TAGGED.findall(text):
        facts.setdefault(tag, value.strip()[:_LONGEST_FACT])
    for label, value in _LABELLED.findall(text):
        if tag := _LABELS.get(label):
            facts.setdefault(tag, value.strip()[:_LONGEST_FACT])
    return facts


def _documents(data: bytes) -> Iterator[SubmittedDocument]:
    at = data.find(b"<DOCUMENT>")
    for _ in range(_MOST):
        if at < 0:
            return
        following = data.find(b"<DOCUMENT>", at + 1)
        end = following if following >= 0 else len(data)
        text = data.find(b"<TEXT>", at, end)
        close = data.rfind(b"</TEXT>", at, end)
        if text >= 0:
            tags = dict(_TAGGED.findall(data[at:text].decode("latin-1")))
            body = data[text + len(b"<TEXT>") : close if close > text else end]
            name = tags.get("FILENAME", "").strip()
            yield SubmittedDocument(tags.get("TYPE", "").strip(), name, body)
        at = following
