from __future__ import annotations

import pytest

from connectors.base import Access
from connectors.edgar import EdgarConnector, FilingsFolder
from connectors.registry import open_source
from rag.errors import UsageError

ACCESS = Access(contact="Jane Doe jane@example.org")


@pytest.mark.parametrize(
    "source",
    [
        "edgar:AAPL",
        "edgar:AAPL, MSFT",
        "edgar:320193",
        "edgar:BRK.B",
        "edgar:AAPL#forms=10-K,10-K/A&since=2023-01-01&until=2024-01-01&most=5",
        "edgar:AAPL#amendments=true&exhibits=true",
    ],
)
def test_companies(source: str) -> None:
    assert type(open_source(source, access=ACCESS)) is EdgarConnector


@pytest.mark.parametrize("source", ["edgar:./filings", "edgar:~/filings", "edgar:/a", "edgar:a/b"])
def test_folders_need_no_contact(source: str) -> None:
    assert type(open_source(source)) is FilingsFolder


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("edgar:", "names no company"),
        ("edgar: , ", "names no company"),
        ("edgar:AAPL#form=10-K", "unknown option 'form'"),
        ("edgar:AAPL#since=lately", "option since"),
        ("edgar:AAPL#most=-1", "option most"),
        ("edgar:AAPL#most=some", "option most"),
        ("edgar:./filings#forms=10-K", "unknown option 'forms'"),
    ],
)
def test_what_is_written_wrong(source: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        open_source(source, access=ACCESS)


def test_companies_need_a_contact() -> None:
    with pytest.raises(UsageError, match=r"sources\.contact"):
        open_source("edgar:AAPL")
    with pytest.raises(UsageError, match="unknown option"):
        open_source("edgar:AAPL#form=10-K")
