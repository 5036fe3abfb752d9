"""What a listing must know of a record: its fingerprint, and whether it is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lxml import etree

from connectors.pubmed.articles import PARSER_VERSION
from connectors.pubmed.facts import citation_of, is_retracted
from rag.ids import digest

__all__ = ["Mark", "RecordOptions", "mark_record", "mark_summary", "pmid_of", "read_pmid"]

# What of a summary bears on the document. Not how often it is cited or looked at.
_FIELDS = """
title vernaculartitle source fulljournalname booktitle pubdate epubdate lang pubtype recordstatus
pubstatus articleids history attributes elocationid
""".split()


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """Which records are listed.

    Args:
        retracted: "keep" lists retracted articles, marked as such; "skip" does not.
        abstracts: "only" lists no article without an abstract.
    """

    retracted: Literal["keep", "skip"] = "keep"
    abstracts: Literal["any", "only"] = "any"


@dataclass(frozen=True, slots=True)
class Mark:
    """A record as a listing sees it."""

    fingerprint: str
    retracted: bool
    abstract: bool

    def is_wanted(self, options: RecordOptions) -> bool:
        """Whether these options list it."""
        if self.retracted and options.retracted == "skip":
            return False
        return self.abstract or options.abstracts == "any"


def pmid_of(record: etree._Element) -> tuple[str, int]:
    """A record's PMID and its version; "" where it has none that could be one."""
    return read_pmid(citation_of(record).find("PMID"))


def read_pmid(found: etree._Element | None) -> tuple[str, int]:
    """What a PMID element says, and its version; "" where it is no PMID."""
    written = "" if found is None else (found.text or "").strip()
    if found is None or not (written.isascii() and written.isdecimal() and len(written) <= 10):
        return "", 0
    version = found.get("Version") or "1"
    is_number = version.isascii() and version.isdecimal() and len(version) <= 4
    return str(int(written)), int(version) if is_number else 1


def mark_record(record: etree._Element) -> Mark:
    """The mark of a whole record: any change of it changes the fingerprint."""
    abstract = next(citation_of(record).iter("AbstractText"), None)
    written = etree.tostring(record, encoding="unicode", with_tail=False)
    return Mark(digest([PARSER_VERSION, written]), is_retracted(record), abstract is not None)


def mark_summary(summary: Mapping[str, Any]) -> Mark:
    """The mark of a record by its summary, which lacks the abstract and the MeSH terms.

    It changes when an article is retracted, corrected, republished, indexed, given an abstract, a
    title, a date or an identifier; not when words of the abstract are mended without a notice.
    """
    known = {name: summary.get(name) for name in _FIELDS}
    authors = [each.get("name") for each in _objects(summary, "authors")]
    corrections = [
        each
        for each in _objects(summary, "references")
        if not str(each.get("reftype")).startswith("Comment")
    ]
    types, kinds = summary.get("pubtype"), [each.get("reftype") for each in corrections]
    attributes = summary.get("attributes")
    return Mark(
        digest([PARSER_VERSION, known, authors, corrections]),
        "Retraction in" in kinds or _has(types, "Retracted Publication"),
        _has(attributes, "Has Abstract"),
    )


def _has(values: Any, wanted: str) -> bool:
    return isinstance(values, Sequence) and wanted in values


def _objects(summary: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    values = summary.get(name)
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []
