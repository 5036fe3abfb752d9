from __future__ import annotations

from pathlib import Path

import pytest

from connectors.base import Access, Connector
from connectors.pubmed.files import FileConnector
from connectors.pubmed.online import PmidConnector, SearchConnector
from connectors.registry import open_source, schemes
from rag.errors import UsageError


def opened(source: str) -> Connector:
    return open_source(source, access=Access())


def test_the_scheme_is_known() -> None:
    assert "pubmed" in schemes()


@pytest.mark.parametrize(
    ("source", "namespace"),
    [
        ("pubmed:asthma[mh] AND 2023[dp]#most=5000", "pubmed:asthma[mh] AND 2023[dp]"),
        ("pubmed:  heart   attack ", "pubmed:heart attack"),
        ("pubmed:p53/genetics[mesh]#check=record&retracted=skip", "pubmed:p53/genetics[mesh]"),
        ("pubmed:12345678 AND cancer", "pubmed:12345678 AND cancer"),
    ],
)
def test_queries(source: str, namespace: str) -> None:
    connector = opened(source)
    assert isinstance(connector, SearchConnector)
    assert connector.namespace == namespace


@pytest.mark.parametrize("place", ["12345678", "12345678,23456789", " 1, 2 3,", "1\n2"])
def test_pmids(place: str) -> None:
    connector = opened(f"pubmed:{place}#abstracts=only")
    assert isinstance(connector, PmidConnector)
    assert connector.covers(place.replace(",", " ").split()[0])


@pytest.mark.parametrize(
    "place",
    ["./baseline", "../x", "/data/pubmed", "~/pubmed", "baseline/", "a b.xml", "pubmed24n1.xml.GZ"],
)
def test_files(place: str) -> None:
    connector = opened(f"pubmed:{place}#retracted=skip")
    assert isinstance(connector, FileConnector)
    assert connector.namespace.startswith("pubmed:/")


def test_a_folder_that_could_be_a_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "asthma").mkdir()
    with pytest.raises(UsageError, match=r"could be a query; write pubmed:\./asthma"):
        opened("pubmed:asthma")
    assert isinstance(opened("pubmed:(asthma)"), SearchConnector)
    assert isinstance(opened("pubmed:./asthma"), FileConnector)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("pubmed:", "names nothing"),
        ("pubmed:   ", "names nothing"),
        ("pubmed:asthma#most=0", "option most of pubmed"),
        ("pubmed:asthma#retracted=maybe", "option retracted of pubmed"),
        ("pubmed:asthma#limit=5", "unknown option 'limit' of pubmed"),
        ("pubmed:12345678#most=5", "unknown option 'most' of pubmed"),
        ("pubmed:./baseline/#check=record", "unknown option 'check' of pubmed"),
    ],
)
def test_what_the_user_must_mend(source: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        opened(source)


def test_a_key_shows_nowhere() -> None:
    connector = open_source("pubmed:asthma", access=Access(ncbi_api_key="0123456789"))
    assert "0123456789" not in connector.namespace + repr(connector)
