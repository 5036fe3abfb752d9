"""Every PMID that a query finds, also where PubMed tells only the first 9,999."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice

from connectors.pubmed.eutils import MOST_FOUND, Eutils, Found
from rag.errors import DocumentError, UsageError

__all__ = ["find"]

_FIRST_DAY = date(1700, 1, 1)  # older than any article PubMed has


def find(eutils: Eutils, query: str, most: int | None) -> tuple[list[str], bool]:
    """The PMIDs a query finds, newest first, and whether there are more.

    A search of more than 9,999 is split by the day on which an article came into PubMed (each has
    one, other than dates of publication), in halves until each is small enough.

    Args:
        eutils: how PubMed is asked.
        query: as PubMed's own page takes it.
        most: how many are wanted; None for all, which then must be no more than 9,999.

    Raises:
        UsageError: it finds more than that, or more than 9,999 of a single day.
        DocumentError: PubMed does not answer, or not completely.
    """
    found = eutils.search(query, most=min(most or MOST_FOUND, MOST_FOUND))
    if found.count > MOST_FOUND and most is None:
        raise UsageError(
            f"pubmed: the query finds {found.count:,} articles",
            hint=f"narrow it, or add #most={found.count} for all or a smaller number for the "
            "newest",
        )
    wanted = min(found.count, most or MOST_FOUND)
    if wanted <= MOST_FOUND:
        return list(dict.fromkeys(found.pmids))[:wanted], wanted < found.count
    last = date.today() + timedelta(days=2)  # it may be tomorrow where PubMed is
    every = _between(eutils, query, _FIRST_DAY, last)
    pmids = list(islice(dict.fromkeys(every), wanted))
    if len(pmids) < wanted:
        raise DocumentError(
            f"PubMed finds {found.count:,} articles, but {len(pmids):,} by the days they came in",
            hint="split the query by years of publication (2023[dp])",
        )
    return pmids, wanted < found.count


def _between(eutils: Eutils, query: str, first: date, last: date) -> Iterator[str]:
    found: Found = eutils.search(query, days=(f"{first:%Y/%m/%d}", f"{last:%Y/%m/%d}"))
    if found.count <= MOST_FOUND:
        yield from found.pmids
        return
    if first == last:
        raise UsageError(
            f"pubmed: the query finds {found.count:,} articles that came in on {first}, "
            f"of which PubMed tells {MOST_FOUND:,}",
            hint="narrow the query",
        )
    middle = first + (last - first) // 2
    yield from _between(eutils, query, middle + timedelta(days=1), last)
    yield from _between(eutils, query, first, middle)
