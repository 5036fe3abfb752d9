from __future__ import annotations

from datetime import date, timedelta

import pytest

from connectors.pubmed.search import find
from rag.errors import DocumentError, UsageError


def fill(pubmed, count: int, *, days: int, cap: int) -> list[str]:
    """So many articles, the newest first, that came in evenly over so many days."""
    pmids = [str(count - n) for n in range(count)]
    first = date(2020, 1, 1)
    pubmed.cap = cap
    pubmed.hits["q"] = pmids
    pubmed.entered = {
        pmid: f"{first + timedelta(days=(int(pmid) - 1) * days // count):%Y/%m/%d}"
        for pmid in pmids
    }
    return pmids


def test_what_one_search_tells(pubmed) -> None:
    pmids = fill(pubmed, 30, days=30, cap=9_999)
    assert find(pubmed.eutils(), "q", None) == (pmids, False)
    assert find(pubmed.eutils(), "q", 30) == (pmids, False)
    assert find(pubmed.eutils(), "q", 7) == (pmids[:7], True)
    assert len(pubmed.asked) == 3
    assert pubmed.asked[2][1]["retmax"] == "7"


def test_more_than_one_search_tells_is_refused_unasked(pubmed) -> None:
    fill(pubmed, 25_000, days=1_000, cap=9_999)
    with pytest.raises(UsageError, match=r"finds 25,000 articles.*#most=25000"):
        find(pubmed.eutils(), "q", None)
    assert len(pubmed.asked) == 1


def test_more_than_one_search_tells_is_split_by_days(pubmed) -> None:
    pmids = fill(pubmed, 25_000, days=1_000, cap=9_999)
    found, are_more = find(pubmed.eutils(), "q", 25_000)
    assert (sorted(found, key=int), are_more) == (sorted(pmids, key=int), False)
    assert len(pubmed.asked) < 60
    newest, are_more = find(pubmed.eutils(), "q", 12_000)
    assert are_more
    # By halves of the calendar, the later first.
    assert set(newest) >= set(pmids[:5_000])
    assert len(set(newest)) == 12_000


def test_a_day_with_more_than_can_be_told(pubmed) -> None:
    fill(pubmed, 12_000, days=1, cap=9_999)
    with pytest.raises(UsageError, match="12,000 articles that came in on 2020-01-01"):
        find(pubmed.eutils(), "q", 12_000)


def test_days_that_do_not_add_up(pubmed) -> None:
    pmids = fill(pubmed, 12_000, days=100, cap=9_999)
    pubmed.entered |= dict.fromkeys(pmids[:100], "9999/01/01")
    with pytest.raises(DocumentError, match="finds 12,000 articles, but 11,900"):
        find(pubmed.eutils(), "q", 12_000)


def test_a_pmid_told_twice_is_one(pubmed) -> None:
    pubmed.hits["q"] = ["2", "1", "2"]
    assert find(pubmed.eutils(), "q", None) == (["2", "1"], False)
