from __future__ import annotations

import copy
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from connectors.base import Connector, Prepares
from connectors.pubmed.marks import mark_summary
from connectors.pubmed.online import OnlineOptions, PmidConnector, SearchConnector, SearchOptions
from pipelines.sync import plan
from rag.errors import DocumentError, SourceError, UsageError
from rag.ids import document_id
from rag.store import DocumentRecord

Article = Callable[..., str]
DATA = Path(__file__).parents[3] / "data" / "pubmed"


def search(pubmed, query: str = "q", **options: Any) -> SearchConnector:
    return SearchConnector(query, SearchOptions(**options), pubmed.eutils())


def pmids(pubmed, *named: str, **options: Any) -> PmidConnector:
    return PmidConnector(named, OnlineOptions(**options), pubmed.eutils())


def fill(pubmed, article: Article, count: int) -> list[str]:
    named = [str(1_000 + n) for n in range(count)]
    for pmid in named:
        pubmed.add(pmid, article(pmid, f"Title {pmid}."))
    pubmed.hits["q"] = named
    return named


def test_articles_that_a_query_finds(pubmed, article: Article) -> None:
    named = fill(pubmed, article, 3)
    connector = search(pubmed, " q ")
    assert connector.namespace == "pubmed:q"
    refs = connector.list()
    assert [ref.key for ref in refs] == named
    found = connector.fetch(refs[1])
    assert (found.namespace, found.key, found.name) == ("pubmed:q", "1001", "1001")
    assert found.source == refs[1].source == "https://pubmed.ncbi.nlm.nih.gov/1001/"
    assert (found.text, found.title, found.stem) == ("Title 1001.", "Title 1001.", "1001")
    assert found.fingerprint == refs[1].fingerprint
    assert found.meta["pmid"] == "1001"
    assert list(connector.list()) == refs  # again: the same


def test_a_batch_is_one_request(pubmed, article: Article) -> None:
    fill(pubmed, article, 450)
    connector = search(pubmed)
    assert isinstance(connector, Prepares)
    refs = connector.list()
    assert pubmed.tools() == ["esearch", "esummary", "esummary", "esummary"]
    assert len(pubmed.asked[1][1]["id"].split(",")) == connector.batch == 200
    pubmed.asked.clear()
    batch = refs[: connector.batch]
    connector.prepare(batch)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(connector.fetch, batch))
    assert [each.title for each in found] == [f"Title {ref.key}." for ref in batch]
    assert pubmed.tools() == ["efetch"]
    # Taken once; the second time it is asked for by itself.
    assert connector.fetch(batch[0]).title == "Title 1000."
    assert pubmed.asked[-1][1]["id"] == "1000"


def test_what_a_batch_does_not_bring_is_asked_for_alone(pubmed, article: Article) -> None:
    named = fill(pubmed, article, 2)
    connector = search(pubmed)
    refs = connector.list()
    kept = pubmed.records.pop(named[0])
    connector.prepare(refs)
    pubmed.records[named[0]] = kept
    assert connector.fetch(refs[0]).title == "Title 1000."
    del pubmed.records[named[0]]
    with pytest.raises(DocumentError, match="PubMed has it no longer"):
        connector.fetch(refs[0])


def test_a_batch_that_fails_costs_nothing_but_itself(pubmed, article: Article) -> None:
    fill(pubmed, article, 2)
    connector = search(pubmed)
    refs = connector.list()
    pubmed.answers = [(200, {}, b"<PubmedArticleSet>")] * 3
    with pytest.raises(DocumentError):
        connector.prepare(refs)
    assert connector.fetch(refs[0]).title == "Title 1000."


def test_a_record_that_says_nothing_is_a_failure_of_its_own(pubmed, article: Article) -> None:
    fill(pubmed, article, 2)
    pubmed.records["1000"] = article("1000", "")
    connector = search(pubmed)
    refs = connector.list()
    connector.prepare(refs)
    with pytest.raises(DocumentError, match="neither a title nor an abstract"):
        connector.fetch(refs[0])
    assert connector.fetch(refs[1]).title == "Title 1001."


def test_a_revised_record_has_another_fingerprint(pubmed, article: Article) -> None:
    fill(pubmed, article, 2)
    connector = search(pubmed)
    before = [ref.fingerprint for ref in connector.list()]
    pubmed.summaries["1001"]["title"] = "Corrected."
    after = [ref.fingerprint for ref in connector.list()]
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)


@pytest.mark.parametrize(
    ("change", "is_seen"),
    [
        ({"pubtype": ["Journal Article", "Retracted Publication"]}, True),
        ({"attributes": []}, True),
        ({"recordstatus": "PubMed - in process"}, True),
        ({"history": [{"pubstatus": "pubmed", "date": "2026/01/01 00:00"}]}, True),
        ({"references": [{"reftype": "Erratum in", "refsource": "J. 1:2", "pmid": 5}]}, True),
        ({"authors": [{"name": "Else E"}]}, True),
        ({"references": [{"reftype": "Comment in", "refsource": "J. 1:2", "pmid": 5}]}, False),
        ({"pmcrefcount": 77, "viewcount": 9, "sorttitle": "x"}, False),
    ],
)
def test_what_of_a_real_summary_counts(change: dict[str, Any], is_seen: bool) -> None:
    summary = json.loads((DATA / "esummary.json").read_text())["result"]["17428307"]
    before = mark_summary(summary)
    assert (before.retracted, before.abstract) == (False, True)
    after = mark_summary({**copy.deepcopy(summary), **change})
    assert (before.fingerprint != after.fingerprint) is is_seen


def test_a_real_summary_with_an_erratum_is_no_retraction() -> None:
    summary = json.loads((DATA / "esummary.json").read_text())["result"]["15509818"]
    assert mark_summary(summary).retracted is False
    summary["references"].append({"reftype": "Retraction in", "refsource": "J", "pmid": 1})
    assert mark_summary(summary).retracted is True


@pytest.mark.parametrize("broken", [None, 5, "x", [5], {}])
def test_a_summary_of_another_shape_is_marked_all_the_same(broken: Any) -> None:
    fields = ("authors", "references", "pubtype", "attributes", "history")
    mark = mark_summary(dict.fromkeys(fields, broken))
    assert (mark.retracted, mark.abstract) == (False, False)


def test_a_check_of_whole_records_sees_what_a_summary_does_not(pubmed, article: Article) -> None:
    fill(pubmed, article, 2)
    quick, thorough = search(pubmed), search(pubmed, check="record")
    before = [[ref.fingerprint for ref in each.list()] for each in (quick, thorough)]
    text = "<AbstractText>Mended in silence.</AbstractText>"
    pubmed.records["1001"] = article("1001", "Title 1001.", text)
    after = [[ref.fingerprint for ref in each.list()] for each in (quick, thorough)]
    assert before[0] == after[0]
    assert (before[1][0] == after[1][0], before[1][1] == after[1][1]) == (True, False)
    assert thorough.fetch(thorough.list()[1]).text.endswith("Mended in silence.")


@pytest.mark.parametrize("check", ["summary", "record"])
def test_retracted_articles_are_kept_or_skipped(pubmed, real, check: str) -> None:
    pubmed.hits["q"] = ["30108519", "9500320"]
    for pmid in pubmed.hits["q"]:
        pubmed.add(pmid, etree.tostring(real[pmid], encoding="unicode"))
    pubmed.summaries["9500320"]["pubtype"] = ["Journal Article", "Retracted Publication"]
    connector = search(pubmed, check=check)
    kept, retracted = connector.list()
    assert connector.fetch(retracted).text.startswith("RETRACTED: Ileal-lymphoid")
    assert connector.fetch(retracted).meta["retracted"] is True
    assert search(pubmed, check=check, retracted="skip").list() == [kept]


@pytest.mark.parametrize("check", ["summary", "record"])
def test_titles_alone_are_listed_or_not(pubmed, article: Article, check: str) -> None:
    fill(pubmed, article, 2)
    pubmed.records["1000"] = article("1000", abstract="<AbstractText>Why.</AbstractText>")
    pubmed.summaries["1001"]["attributes"] = []
    listed = search(pubmed, check=check, abstracts="only").list()
    assert [ref.key for ref in listed] == ["1000"]


def test_an_article_that_pubmed_tells_nothing_of_now_is_a_problem(pubmed, article: Article) -> None:
    fill(pubmed, article, 2)
    del pubmed.summaries["1000"]
    connector = search(pubmed)
    first, second = connector.list()
    assert (first.key, second.problem) == ("1000", None)
    with pytest.raises(DocumentError, match="tells nothing of it now"):
        connector.fetch(first)


def test_a_listing_that_cannot_be_finished_is_none(pubmed, article: Article) -> None:
    fill(pubmed, article, 3)
    for broken in (search(pubmed), pmids(pubmed, "1000")):
        pubmed.answers = [(500, {}, b"")] * 9
        with pytest.raises(SourceError, match="HTTP 500"):
            broken.list()
    pubmed.answers = [(200, {}, pubmed.esearch({"term": "q", "retmax": "9999"}))]
    pubmed.answers += [(200, {}, b"{}")] * 3
    with pytest.raises(SourceError, match="esummary"):
        search(pubmed).list()


def test_a_query_that_is_wrong_is_the_users(pubmed, recorded: Callable[[str], bytes]) -> None:
    pubmed.answers = [(200, {}, recorded("nothing"))]
    with pytest.raises(UsageError, match="finds nothing"):
        search(pubmed).list()


def test_a_deleted_citation_is_retired(pubmed, article: Article) -> None:
    fill(pubmed, article, 3)
    for connector in (search(pubmed), pmids(pubmed, "1000", "1001", "1002")):
        fill(pubmed, article, 3)
        stored = _stored(connector)
        del pubmed.summaries["1001"], pubmed.records["1001"]
        pubmed.hits["q"].remove("1001")
        planned = plan(connector.namespace, connector.list(), stored, connector.covers)
        assert [each.key for each in planned.vanished] == ["1001"]
        assert len(planned.unchanged) == 2


@pytest.mark.parametrize("check", ["summary", "record"])
def test_one_deleted_while_it_is_asked_for(pubmed, article: Article, check: str) -> None:
    fill(pubmed, article, 2)
    pubmed.records["1001"] = "<DeleteCitation><PMID>1001</PMID></DeleteCitation>"
    connector = search(pubmed, check=check)
    refs = connector.list()
    connector.prepare(refs)
    assert connector.fetch(refs[0]).key == "1000"
    with pytest.raises(DocumentError, match=r"PubMed (has it no longer|tells nothing of it now)"):
        connector.fetch(refs[1])


def test_what_most_cut_off_is_not_retired(pubmed, article: Article) -> None:
    named = fill(pubmed, article, 5)
    stored = _stored(search(pubmed))
    connector = search(pubmed, most=2)
    planned = plan(connector.namespace, connector.list(), stored, connector.covers)
    assert [record.key for record in planned.unchanged] == named[:2]
    assert planned.vanished == []
    assert connector.covers("1001")
    assert not connector.covers("1004")
    # Enough for all: the listing is complete, and what it lacks is gone.
    connector = search(pubmed, most=5)
    connector.list()
    assert connector.covers("999")


def test_two_queries_leave_each_other_alone(pubmed, article: Article) -> None:
    fill(pubmed, article, 2)
    pubmed.hits["narrow"] = ["1000"]
    assert search(pubmed).namespace != search(pubmed, "narrow").namespace
    assert search(pubmed).namespace == search(pubmed, most=2, retracted="skip").namespace


def test_lists_of_pmids_share_a_namespace_and_cover_their_own(pubmed, article: Article) -> None:
    fill(pubmed, article, 3)
    longer, shorter = pmids(pubmed, "1002", "1000", "01000"), pmids(pubmed, "1000")
    assert longer.namespace == shorter.namespace == "pubmed"
    assert [ref.key for ref in longer.list()] == ["1002", "1000"]
    planned = plan("pubmed", shorter.list(), _stored(longer), shorter.covers)
    assert (len(planned.unchanged), planned.vanished) == (1, [])


def test_a_pmid_that_is_none_is_a_problem(pubmed, article: Article) -> None:
    fill(pubmed, article, 1)
    connector = pmids(pubmed, "1000", "4711")
    found, missing = connector.list()
    assert (found.problem, missing.name) == (None, "4711")
    with pytest.raises(DocumentError, match="no article of this PMID; check the number"):
        connector.fetch(missing)
    connector.prepare([missing])  # asks for nothing
    assert pubmed.tools().count("efetch") == 0


def _stored(connector: Connector) -> list[DocumentRecord]:
    return [
        DocumentRecord(
            doc_id=document_id(connector.namespace, ref.key),
            namespace=connector.namespace,
            key=ref.key,
            revision="r",
            source=ref.source,
            name=ref.name,
            fingerprint=ref.fingerprint,
            meta_digest="m",
            tokens=1,
            live=True,
        )
        for ref in connector.list()
    ]
