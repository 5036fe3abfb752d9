from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from connectors.base import Access
from connectors.net.client import RequestFailed
from connectors.pubmed.eutils import Found, requests_per_second
from rag.errors import DocumentError, UsageError

KEY = "0123456789abcdef"
Article = Callable[..., str]
Recorded = Callable[[str], bytes]


def result(**fields: object) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps({"esearchresult": fields}).encode()


def test_a_recorded_search(pubmed, recorded: Recorded) -> None:
    pubmed.answers = [(200, {}, recorded("found"))]
    assert pubmed.eutils().search("29440426[uid]", most=1) == Found(1, ["29440426"])


def test_what_is_sent(pubmed) -> None:
    pubmed.hits = {"asthma[mh]": []}
    eutils = pubmed.eutils(contact="Jane Doe <jane@example.org>", ncbi_api_key=KEY)
    eutils.search("asthma[mh]", most=7, days=("2023/01/01", "2023/12/31"))
    assert pubmed.asked == [("esearch", {
        "db": "pubmed", "tool": "spanrag", "email": "jane@example.org", "api_key": KEY,
        "term": "asthma[mh]", "retmax": "7", "sort": "pub_date", "retmode": "json",
        "datetype": "edat", "mindate": "2023/01/01", "maxdate": "2023/12/31",
    })]  # fmt: skip


def test_neither_an_address_nor_a_key_that_nobody_has_is_sent(pubmed) -> None:
    pubmed.eutils(contact="Jane Doe").search("x")
    assert not {"email", "api_key"} & set(pubmed.asked[0][1])


def test_three_requests_a_second_ten_with_a_key() -> None:
    assert requests_per_second(Access()) == 3
    assert requests_per_second(Access(ncbi_api_key=KEY)) == 10


def test_an_error_inside_an_answer_is_asked_again(pubmed, recorded: Recorded) -> None:
    pubmed.answers = [(200, {}, recorded("backend"))] * 2
    pubmed.hits = {"x": ["5"]}
    assert pubmed.eutils().search("x").pmids == ["5"]
    assert pubmed.tools() == ["esearch"] * 3
    assert pubmed.paused == [2.0, 4.0]


def test_an_error_that_stays_is_said(pubmed, recorded: Recorded) -> None:
    pubmed.answers = [(200, {}, recorded("backend"))] * 9
    with pytest.raises(DocumentError, match=r"\(esearch\): Search Backend failed: Couldn't"):
        pubmed.eutils().search("x")
    assert len(pubmed.asked) == 3


def test_an_error_with_a_newline_in_its_string(pubmed) -> None:
    # As PubMed answers beyond the 9,999th: no strict JSON.
    said = b'{"esearchresult":{"ERROR":"Search Backend failed: Exception:\n\'retstart\' cannot"}}'
    pubmed.answers = [(200, {}, said)] * 3
    with pytest.raises(DocumentError, match="Exception: 'retstart' cannot"):
        pubmed.eutils().search("x")


def test_the_key_is_in_no_error(pubmed) -> None:
    pubmed.answers = [result(ERROR=f"failed at /search?api_key={KEY}&term=x")] * 3
    eutils = pubmed.eutils(ncbi_api_key=KEY)
    with pytest.raises(DocumentError) as caught:
        eutils.search("x")
    assert "api_key=...&term" in str(caught.value)
    pubmed.answers = [(400, {}, json.dumps({"error": "API key invalid", "api-key": KEY}).encode())]
    with pytest.raises(RequestFailed, match=r"check sources\.ncbi_api_key") as caught:
        eutils.search("x")
    assert KEY not in str(caught.value)
    assert KEY not in repr(vars(eutils)["_client"])


def test_too_many_requests_are_waited_for(pubmed) -> None:
    pubmed.hits = {"x": ["5"]}
    pubmed.answers = [(429, {"Retry-After": "7"}, b"")]
    assert pubmed.eutils().search("x").count == 1
    assert pubmed.paused[0] >= 7


def test_a_redirect_elsewhere_is_not_sent_the_key(pubmed) -> None:
    pubmed.answers = [(307, {"Location": "http://127.0.0.1:9/esearch.fcgi"}, b"")]
    with pytest.raises(DocumentError, match="redirects to another server"):
        pubmed.eutils(ncbi_api_key=KEY).search("x")
    assert len(pubmed.asked) == 1


@pytest.mark.parametrize(
    "body",
    [b"<html>busy</html>", b"[]", b"{}", b'{"esearchresult":{}}', b'{"esearchresult":[]}',
     b'{"esearchresult":{"count":"1"}}', b'{"esearchresult":{"count":"x","idlist":[]}}',
     b'{"esearchresult":{"count":"1","idlist":["../1"]}}', b"[" * 100_000],
)  # fmt: skip
def test_an_answer_that_is_none(pubmed, body: bytes) -> None:
    pubmed.answers = [(200, {}, body)] * 3
    with pytest.raises(DocumentError, match="PubMed cannot answer"):
        pubmed.eutils().search("x")


def test_a_search_that_tells_less_than_it_finds(pubmed) -> None:
    pubmed.answers = [result(count="3", idlist=["1"])]
    with pytest.raises(DocumentError, match="finds 3 articles and tells only 1"):
        pubmed.eutils().search("x")


def test_a_field_that_pubmed_does_not_know(pubmed) -> None:
    errors = {"fieldsnotfound": ["foo"], "phrasesnotfound": []}
    pubmed.answers = [result(count="1", idlist=["1"], errorlist=errors)]
    with pytest.raises(UsageError, match="PubMed has no field foo"):
        pubmed.eutils().search("asthma[foo]")


def test_words_that_nothing_contains(pubmed, recorded: Recorded) -> None:
    pubmed.answers = [(200, {}, recorded("nothing"))]
    with pytest.raises(UsageError, match="PubMed finds nothing for ''"):
        pubmed.eutils().search("''")
    # One of many is no mistake, nor is a sound query without results.
    errors = {"fieldsnotfound": [], "phrasesnotfound": ["zzz"]}
    pubmed.answers = [result(count="1", idlist=["1"], errorlist=errors)]
    assert pubmed.eutils().search("asthma OR zzz").count == 1
    assert pubmed.eutils().search("nothing yet") == Found(0, [])


def test_summaries_leave_out_what_pubmed_cannot_tell(pubmed) -> None:
    pubmed.add("5", "", title="Five.")
    found = pubmed.eutils().summaries(["5", "6"])
    assert {pmid: each["title"] for pmid, each in found.items()} == {"5": "Five."}


@pytest.mark.parametrize(
    "body",
    [
        b'{"esummaryresult":["Invalid uid"]}',
        b'{"error":"API rate limit exceeded"}',
        b'{"result":5}',
    ],
)
def test_summaries_that_are_none(pubmed, body: bytes) -> None:
    pubmed.answers = [(200, {}, body)] * 3
    with pytest.raises(DocumentError, match=r"\(esummary\)"):
        pubmed.eutils().summaries(["5"])


def test_records_cut_short_are_asked_for_again(pubmed, article: Article) -> None:
    pubmed.add("5", article("5"))
    whole = pubmed.efetch({"id": "5"})
    pubmed.answers = [(200, {}, whole[:-30])]
    assert [each.findtext(".//PMID") for each in pubmed.eutils().records(["5"])] == ["5"]
    assert pubmed.tools() == ["efetch"] * 2


def test_an_error_in_place_of_records(pubmed) -> None:
    said = b"<eFetchResult>\n\t<ERROR>Cannot retrieve history data</ERROR></eFetchResult>"
    pubmed.answers = [(200, {}, said)] * 3
    with pytest.raises(DocumentError, match="<eFetchResult> Cannot retrieve history data"):
        pubmed.eutils().records(["5"])


def test_records_larger_than_is_allowed(pubmed) -> None:
    pubmed.answers = [(200, {}, b"x" * 2_000)]
    with pytest.raises(DocumentError, match="larger than 1,000 bytes"):
        pubmed.eutils(most_bytes=1_000).records(["5"])
