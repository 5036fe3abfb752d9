"""PubMed's XML as a stream of records: bounded, however large or hostile it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lxml import etree

__all__ = ["DELETED", "RecordsError", "read_records"]

DELETED = "DeleteCitation"
"""The element of an update file that names what PubMed has deleted."""

_RECORDS = ("PubmedArticle", "PubmedBookArticle", DELETED)
_ROOTS = ("PubmedArticleSet", "MedlineCitationSet")
_MOST_RECORD = 16 * 2**20  # bytes; an article with 3,000 authors has 2 MB
_MOST_RECORDS = 1_000_000  # PubMed's files have 30,000
_PIECE = 1 << 16


class RecordsError(Exception):
    """What was read is no PubMed XML, damaged, or too large."""


def read_records(pieces: Iterable[bytes]) -> Iterator[etree._Element]:
    """Every article, book chapter and list of deletions, in order.

    Each is cut out of the tree when the next one is asked for, so what nobody keeps does not stay
    in memory. Entities that a document type declares are not expanded, and nothing is fetched.

    Args:
        pieces: the XML.

    Raises:
        RecordsError: it is not PubMed's, damaged, a record is larger than 16 MiB, or there are more
            than a million.
    """
    parser = etree.XMLPullParser(
        events=("end",), tag=_RECORDS, resolve_entities=False, no_network=True, load_dtd=False,
        huge_tree=False, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    since = count = 0
    try:
        for piece in pieces:
            for at in range(0, len(piece), _PIECE):
                part = piece[at : at + _PIECE]
                since += len(part)
                parser.feed(part)
                for _, record in parser.read_events():
                    since, count = 0, count + 1
                    yield record
                    _cut_out(record)
                if since > _MOST_RECORD:
                    raise RecordsError(f"a record is larger than {_MOST_RECORD >> 20} MiB")
                if count > _MOST_RECORDS:
                    raise RecordsError(f"more than {_MOST_RECORDS:,} records")
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise RecordsError(f"broken XML: {error.msg}") from None
    if root.tag not in _ROOTS:
        said = " ".join("".join(root.itertext()).split())[:200]
        raise RecordsError(f"no PubMed records, but <{root.tag}> {said}".rstrip())


def _cut_out(record: etree._Element) -> None:
    parent = record.getparent()
    if parent is None:
        return
    while (before := record.getprevious()) is not None:
        parent.remove(before)
    parent.remove(record)
