from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Access, Connector
from connectors.edgar import EdgarApi, EdgarConnector, api
from rag.errors import DocumentError, SourceError, UsageError

Connect = Callable[..., EdgarConnector]

DATA = Path(__file__).parents[3] / "data" / "edgar"
QUARTER = "0000320193/10-Q/2025-05-02/0000320193-25-000057"
EVENT = "0000320193/8-K/2019-11-15/0001193125-19-292676"
OLD = "0000320193/8-K/2004-07-14/0001104659-04-019574"
OLDEST = "0000320193/8-K/1996-12-24/0000320193-96-000027"
SUBMISSIONS = "/submissions/CIK0000320193.json"
PAGE = "/submissions/CIK0000320193-submissions-001.json"


def keys(connector: EdgarConnector) -> list[str]:
    return [ref.key for ref in connector.list()]


def company(edgar: Any, **recent: list[Any]) -> None:
    """Let the company have other filings; columns not named have the first one's value."""
    recorded = json.loads(edgar.pages[SUBMISSIONS])
    columns = recorded["filings"]["recent"]
    count = len(next(iter(recent.values())))
    recorded["filings"] = {
        "recent": {name: recent.get(name, values[:1] * count) for name, values in columns.items()},
        "files": [],
    }
    edgar.pages[SUBMISSIONS] = json.dumps(recorded).encode()


def test_a_company_and_its_pages_newest_first(edgar: Any, connect: Connect) -> None:
    connector: Connector = connect()
    refs = list(connector.list())
    assert [ref.key for ref in refs] == [QUARTER, EVENT, OLD, OLDEST]
    assert refs == list(connector.list())
    assert [ref.name for ref in refs] == [
        "AAPL/10-Q/2025-03-29.htm",
        "AAPL/8-K/2019-11-15-19-292676.htm",
        "AAPL/8-K/2004-07-14-04-019574.htm",
        "AAPL/8-K/1996-12-24-96-000027.txt",
    ]
    archive = f"{edgar.url}/Archives/edgar/data/320193"
    assert refs[0].source == f"{archive}/000032019325000057/aapl-20250329.htm"
    assert refs[3].source == f"{archive}/000032019396000027/0000320193-96-000027.txt"
    assert all(connector.covers(ref.key) for ref in refs)
    assert len({ref.fingerprint for ref in refs}) == 4
    assert edgar.agents == {next(iter(edgar.agents))}
    assert next(iter(edgar.agents)).endswith("Jane Doe jane@example.org")


@pytest.mark.parametrize("asked", ["320193", "0000320193", "aapl"])
def test_a_company_by_number_or_ticker(edgar: Any, connect: Connect, asked: str) -> None:
    assert keys(connect(asked))[0] == QUARTER
    assert ("/files/company_tickers.json" in edgar.asked) is (asked == "aapl")
    assert connect(asked).list()[0].name.startswith("AAPL/")


def test_the_same_company_twice_is_one(connect: Connect) -> None:
    assert len(keys(connect("AAPL", "320193"))) == 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"forms": ("10-q",)}, [QUARTER]),
        ({"forms": ("25",)}, ["0000320193/25/2019-11-15/0001193125-19-292825"]),
        ({"since": date(2019, 11, 15)}, [QUARTER, EVENT]),
        ({"until": date(2019, 11, 15)}, [EVENT, OLD, OLDEST]),
        ({"since": date(2004, 7, 14), "until": date(2004, 7, 14)}, [OLD]),
        ({"most": 2}, [QUARTER, EVENT]),
        ({"most": 9}, [QUARTER, EVENT, OLD, OLDEST]),
        ({"most": 1, "forms": ("8-K",)}, [EVENT]),
    ],
)
def test_narrowed(connect: Connect, options: dict[str, Any], expected: list[str]) -> None:
    connector = connect(**options)
    assert keys(connector) == expected
    # What another source of the same company listed is none of its business.
    every = [QUARTER, EVENT, OLD, OLDEST]
    assert [key for key in every if connector.covers(key)] == [k for k in every if k in expected]


def test_pages_that_cannot_hold_any_are_not_asked_for(edgar: Any, connect: Connect) -> None:
    keys(connect(since=date(2019, 1, 1)))
    keys(connect(most=2))
    assert PAGE not in edgar.asked


def test_what_newer_filings_pushed_off_the_list_stays(edgar: Any, connect: Connect) -> None:
    days = ["2025-03-03", "2025-02-02", "2025-02-02", "2025-01-01"]
    numbers = [f"0000320193-25-00000{n}" for n in range(4)]
    company(edgar, filingDate=days, accessionNumber=numbers)
    connector = connect(most=2)
    listed = keys(connector)
    assert len(listed) == 2
    every = [f"0000320193/10-Q/{day}/{number}" for day, number in zip(days, numbers, strict=True)]
    assert [connector.covers(key) for key in every] == [True, True, False, False]
    assert connector.covers("0000320193/10-Q/2025-02-20/0000320193-25-000009")


def test_a_filing_that_vanished_is_covered_and_no_longer_listed(
    edgar: Any, connect: Connect
) -> None:
    connector = connect()
    edgar.pages[PAGE] = edgar.pages[PAGE].replace(b"8-K", b"8-X")
    assert keys(connector) == [QUARTER, EVENT]
    assert connector.covers(OLD)


@pytest.mark.parametrize(
    "key",
    ["", "x", "0000789019/10-Q/2025-05-02/0000320193-25-000057", f"{QUARTER}/ex991.htm",
     "0000320193/4/2025-05-02/0000320193-25-000057", "/abs/path/10-K.htm"],
)  # fmt: skip
def test_what_it_does_not_cover(connect: Connect, key: str) -> None:
    assert not connect().covers(key)


def test_amendments_when_named_or_asked_for(edgar: Any, connect: Connect) -> None:
    numbers = [f"0000320193-25-00000{n}" for n in range(3)]
    company(edgar, accessionNumber=numbers, form=["10-K", "10-K/A", "10-KT"])
    assert len(keys(connect())) == 1
    assert len(keys(connect(amendments=True))) == 2
    (amended,) = connect(forms=("10-K/A",)).list()
    assert amended.key == "0000320193/10-K/A/2025-05-02/0000320193-25-000001"
    assert amended.name == "AAPL/10-K-A/2025-05-02-25-000001.htm"
    assert connect(amendments=True).covers(amended.key)
    assert not connect().covers(amended.key)


def test_a_quarterly_report_in_inline_xbrl(connect: Connect) -> None:
    connector = connect(forms=("10-Q",))
    (ref,) = connector.list()
    document = connector.fetch(ref)
    assert (document.namespace, document.key, document.source, document.name) == (
        "edgar", ref.key, ref.source, ref.name,
    )  # fmt: skip
    assert document.fingerprint == ref.fingerprint
    assert document.title == "Apple Inc. 10-Q 2025-03-29"
    assert document.meta == {
        "ticker": "AAPL", "company": "Apple Inc.", "cik": "0000320193", "form": "10-Q",
        "filed": "2025-05-02", "period": "2025-03-29", "accession": "0000320193-25-000057",
    }  # fmt: skip
    items = [section for section in document.sections if section.kind == "section"]
    assert [(section.level, section.title.split(". ")[0]) for section in items] == [
        (1, "PART I — FINANCIAL INFORMATION"), (2, "Item 1"), (2, "Item 2"), (2, "Item 3"),
        (2, "Item 4"), (1, "PART II — OTHER INFORMATION"), (2, "Item 1"), (2, "Item 1A"),
        (2, "Item 2"), (2, "Item 3"), (2, "Item 4"), (1, "SIGNATURE"),
    ]  # fmt: skip
    for section in items:
        assert section.span.text_in(document.text).startswith(section.title)
    statements = items[1].span.text_in(document.text)
    assert "STATEMENTS OF OPERATIONS" in statements
    assert "Services | 26,645 | 23,867 | 52,985 | 46,984" in statements


def test_an_event_of_html_inside_of_tags(connect: Connect) -> None:
    connector = connect()
    document = connector.fetch(list(connector.list())[2])
    assert document.meta["items"] == ["7", "12"]
    assert "<" not in document.text
    assert [section.title for section in document.sections if section.title] == [
        "Item 7. Financial Statements and Exhibits",
        "Item 12. Results of Operations and Financial Condition",
        "SIGNATURE",
    ]


def test_an_event_of_plain_text(connect: Connect) -> None:
    connector = connect()
    document = connector.fetch(list(connector.list())[3])
    assert "NeXT Software, Inc. for a price of $400 million" in document.text
    assert "Steve Jobs" not in document.text  # that is the exhibit
    assert len(document.pages) == 4
    assert document.text[document.pages[1] :].lstrip().startswith("INFORMATION INCLUDED")
    assert [section.title for section in document.sections if section.level == 1] == [
        "Item 5. Other Events.",
        "Item 7. Financial Statements, Pro Forma Financial Information and Exhibits.",
        "SIGNATURE",
    ]


def test_an_annual_report_is_of_a_fiscal_year(edgar: Any, connect: Connect) -> None:
    company(edgar, form=["10-K"], reportDate=["2024-09-28"])
    connector = connect()
    assert connector.fetch(next(iter(connector.list()))).meta["fiscal_year"] == 2024
    company(edgar, form=["10-K"], reportDate=["2024-01-28"])
    connector = connect()
    assert "fiscal_year" not in connector.fetch(next(iter(connector.list()))).meta
    path = next(path for path in edgar.pages if path.endswith("aapl-20250329.htm"))
    year = (
        b'<ix:nonNumeric contextRef="c-1" name="dei:DocumentFiscalYearFocus">2023</ix:nonNumeric>'
    )
    edgar.pages[path] = edgar.pages[path].replace(b"<ix:resources>", year + b"<ix:resources>")
    assert connector.fetch(next(iter(connector.list()))).meta["fiscal_year"] == 2023


def test_exhibits_are_documents_of_their_own(edgar: Any, connect: Connect) -> None:
    folder = "/Archives/edgar/data/320193/000119312519292676"
    headers = (DATA / "0001193125-24-152391-index-headers.html").read_bytes()
    edgar.pages[f"{folder}/0001193125-19-292676-index-headers.html"] = headers
    edgar.pages[f"{folder}/d836506dex991.htm"] = b"<html><p>FOR RELEASE</p><p>Item 8.01 Other</p>"
    connector = connect(exhibits=True, since=date(2019, 1, 1))
    refs = list(connector.list())
    assert [ref.key for ref in refs] == [QUARTER, EVENT, f"{EVENT}/d836506dex991.htm"]
    assert connector.covers(refs[2].key)
    assert not connect(since=date(2019, 1, 1)).covers(refs[2].key)
    assert refs[2].name == "AAPL/8-K/2019-11-15-19-292676-EX-99.1.htm"
    document = connector.fetch(refs[2])
    assert document.text == "FOR RELEASE\n\nItem 8.01 Other"
    assert document.meta["exhibit"] == "EX-99.1"
    assert document.title == "Apple Inc. 8-K EX-99.1 2019-11-07"
    assert document.sections == ()
    edgar.pages.pop(f"{folder}/0001193125-19-292676-index-headers.html")
    with pytest.raises(SourceError, match="404"):
        list(connector.list())


def test_nobody_to_write_to(edgar: Any) -> None:
    with pytest.raises(UsageError, match=r"sources\.contact") as caught:
        EdgarApi(Access(contact=" "), www=edgar.url, data=edgar.url)
    assert "RAG_SOURCES__CONTACT" in caught.value.hint
    assert edgar.asked == []


def test_no_such_ticker(connect: Connect) -> None:
    with pytest.raises(UsageError, match="no ticker NOPE") as caught:
        connect("NOPE").list()
    assert "CIK" in caught.value.hint


def test_no_such_company(connect: Connect) -> None:
    with pytest.raises(UsageError, match="no company of CIK 77"):
        connect("77").list()


@pytest.mark.parametrize("path", [SUBMISSIONS, PAGE, "/files/company_tickers.json"])
def test_refused_by_sec(edgar: Any, connect: Connect, path: str) -> None:
    edgar.pages[path] = 403
    with pytest.raises(SourceError, match="403") as caught:
        connect().list()
    assert "sources.contact" in caught.value.hint


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        ("/files/company_tickers.json", b"<html>"),
        ("/files/company_tickers.json", b"[1]"),
        ("/files/company_tickers.json", b'{"0": {"ticker": "AAPL"}}'),
        (SUBMISSIONS, b""),
        (SUBMISSIONS, b"[]"),
        (SUBMISSIONS, b'{"filings": {"recent": {}}}'),
        (SUBMISSIONS, b'{"filings": {"recent": {"form": 7}}}'),
        (SUBMISSIONS, b"[" * 100_000),
        (PAGE, b'{"filings": 1}'),
        (PAGE, b'{"form": ["8-K"]}'),
        (PAGE, b"null"),
    ],
)
def test_a_list_that_is_none_retires_nothing(
    edgar: Any, connect: Connect, path: str, payload: bytes
) -> None:
    edgar.pages[path] = payload
    with pytest.raises(SourceError, match=r"not what EDGAR documents"):
        connect().list()


@pytest.mark.parametrize(
    "change",
    [
        {"accessionNumber": ["../../etc", "x"]},
        {"filingDate": ["yesterday", "2004-01-01"]},
        {"form": ["8-K"]},
        {"form": [None, "8-K"]},
    ],
)
def test_columns_that_do_not_fit_are_no_list(edgar: Any, connect: Connect, change: Any) -> None:
    edgar.pages[PAGE] = json.dumps(json.loads(edgar.pages[PAGE]) | change).encode()
    with pytest.raises(SourceError, match=r"not what EDGAR documents"):
        connect().list()


def test_a_page_of_another_place_is_not_asked_for(edgar: Any, connect: Connect) -> None:
    spoilt = edgar.pages[SUBMISSIONS].replace(b"CIK0000320193-submissions", b"../../x")
    edgar.pages[SUBMISSIONS] = spoilt
    with pytest.raises(SourceError, match=r"not what EDGAR documents"):
        connect().list()
    assert not any("x-001" in path for path in edgar.asked)


@pytest.mark.parametrize("name", ["../../../secret", "a b.htm", "https://evil.example/x.htm", ""])
def test_a_strange_file_name_is_not_asked_for(edgar: Any, connect: Connect, name: str) -> None:
    company(edgar, primaryDocument=[name])
    (ref,) = connect().list()
    assert ref.source.endswith("/000032019325000057/0000320193-25-000057.txt")


def test_documents_that_cannot_be_had(edgar: Any, connect: Connect) -> None:
    connector = connect(forms=("10-Q",))
    (ref,) = connector.list()
    path = next(path for path in edgar.pages if path.endswith("aapl-20250329.htm"))
    for payload, said in (
        (404, "404"),
        (403, "sources.contact"),
        (b"<html>Your Request Originates from an Undeclared Automated Tool", "undeclared"),
        (b"", "empty"),
        (b"<html><body> </body></html>", "empty"),
        (b"\x00\x01\x02" * 99, "not text"),
        (b"<SEC-DOCUMENT>x\n<SEC-HEADER>\n", "without a document"),
        (b"<DOCUMENT>\n<TYPE>10-Q\n<TEXT>\n<PDF>\nbegin 644\n</TEXT>", "PDF"),
    ):
        edgar.pages[path] = payload
        with pytest.raises(DocumentError, match=said):
            connector.fetch(ref)


def test_a_filing_on_paper_is_said_to_be_one(edgar: Any, connect: Connect) -> None:
    company(edgar, primaryDocument=["9999999997-17-006550.paper"])
    connector = connect()
    (ref,) = connector.list()
    with pytest.raises(DocumentError, match="neither HTML nor text"):
        connector.fetch(ref)


def test_another_process_than_the_one_that_listed_asks_once(edgar: Any, connect: Connect) -> None:
    connector = connect(forms=("10-Q",))
    (ref,) = connector.list()
    edgar.asked.clear()
    fresh = connect(forms=("10-Q",))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(fresh.fetch, [ref] * 8))
    assert edgar.asked.count(SUBMISSIONS) == 1
    assert found == [connector.fetch(ref)] * 8
    with pytest.raises(DocumentError, match="not listed any more"):
        connect(forms=("8-K",)).fetch(ref)
    edgar.pages[SUBMISSIONS] = 404
    with pytest.raises(DocumentError, match="no company of CIK 320193"):
        connect(forms=("10-Q",)).fetch(ref)


def test_more_pages_than_are_asked_for_are_no_listing(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "_MOST_PAGES", 0)
    with pytest.raises(SourceError, match="not what EDGAR documents"):
        list(connect().list())


def test_an_index_without_documents_does_not_retire_exhibits(edgar: Any, connect: Connect) -> None:
    folder = "/Archives/edgar/data/320193/000119312519292676"
    edgar.pages[f"{folder}/0001193125-19-292676-index-headers.html"] = b"<html>come back later"
    with pytest.raises(SourceError, match="not what EDGAR documents"):
        list(connect(exhibits=True, since=date(2019, 1, 1)).list())
