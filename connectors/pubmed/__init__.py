"""PubMed: what a query finds, articles by their PMIDs, or the files PubMed publishes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from connectors.base import Access, Connector
from connectors.options import read_options
from rag.errors import UsageError

__all__ = ["open_pubmed"]

_PMIDS = re.compile(r"\s*\d{1,10}(?:[\s,]+\d{1,10})*[\s,]*")
_PATH = re.compile(r"(?:~|\.{0,2})/|.*(?:/|\.xml|\.xml\.gz)\Z", re.IGNORECASE | re.DOTALL)


def open_pubmed(place: str, options: Mapping[str, str], access: Access) -> Connector:
    """The connector for "asthma[mh] AND 2023[dp]", "12345678,23456789" or "./baseline/".

    A path is known by how it starts ("./", "../", "/", "~/") or ends ("/", ".xml", ".xml.gz");
    whatever else is no PMID is a query.

    Raises:
        UsageError: the place is empty, could be a folder or a query, or an option is wrong.
    """
    place = place.strip()
    if not place:
        raise UsageError("pubmed: names nothing", hint="write pubmed:asthma[mh] or a PMID")
    if _PATH.match(place):
        from connectors.pubmed.files import FileConnector
        from connectors.pubmed.marks import RecordOptions

        return FileConnector(place, read_options(RecordOptions, options, "pubmed"), access)
    if os.path.exists(place):
        raise UsageError(
            f"pubmed: {place!r} is here as a file or folder, and could be a query",
            hint=f"write pubmed:./{place} to read it, or pubmed:({place}) to ask PubMed",
        )
    from connectors.pubmed.eutils import Eutils
    from connectors.pubmed.online import (
        OnlineOptions,
        PmidConnector,
        SearchConnector,
        SearchOptions,
    )

    if _PMIDS.fullmatch(place):
        chosen = read_options(OnlineOptions, options, "pubmed")
        return PmidConnector(re.findall(r"\d+", place), chosen, Eutils(access))
    return SearchConnector(place, read_options(SearchOptions, options, "pubmed"), Eutils(access))
