from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from connectors.base import Connector
from connectors.edgar import FilingsFolder
from rag.errors import DocumentError, UsageError

DATA = Path(__file__).parents[3] / "data" / "edgar"
NEXT = "sec-edgar-filings/AAPL/8-K/0000320193-96-000027"


@pytest.fixture
def filings(tmp_path: Path) -> Path:
    """A folder as sec-edgar-downloader leaves it, and one file beside it."""
    folder = tmp_path / NEXT
    folder.mkdir(parents=True)
    shutil.copy(DATA / "0000320193-96-000027.txt", folder / "full-submission.txt")
    (folder / "primary-document.html").write_text("<p>the same again</p>")
    shutil.copy(DATA / "aapl-20250329.htm", tmp_path / "quarter.htm")
    (tmp_path / "notes.md").write_text("# Notes")
    return tmp_path


def test_submissions_and_documents(filings: Path) -> None:
    connector: Connector = FilingsFolder(str(filings))
    refs = list(connector.list())
    assert [ref.name for ref in refs] == ["quarter.htm", f"{NEXT}/full-submission.txt"]
    assert refs == list(connector.list())
    assert all(connector.covers(ref.key) for ref in refs)
    quarter, event = (connector.fetch(ref) for ref in refs)
    assert (event.namespace, event.key, event.source, event.fingerprint) == (
        "edgar-files", refs[1].key, refs[1].source, refs[1].fingerprint,
    )  # fmt: skip
    assert event.meta == {
        "ticker": "AAPL", "form": "8-K", "accession": "0000320193-96-000027",
        "company": "APPLE COMPUTER INC", "cik": "0000320193",
        "filed": "1996-12-24", "period": "1996-12-24",
    }  # fmt: skip
    assert event.title == "APPLE COMPUTER INC 8-K 1996-12-24"
    assert [s.title for s in event.sections if s.level == 1][:1] == ["Item 5. Other Events."]
    assert "Steve Jobs" not in event.text
    assert quarter.meta == {"ticker": "AAPL", "form": "10-Q"}
    assert quarter.title == "aapl-20250329"
    assert any(section.title == "Item 1A. Risk Factors" for section in quarter.sections)


def test_a_glob_says_which(filings: Path) -> None:
    names = [ref.name for ref in FilingsFolder(f"{filings}/**/8-K/**").list()]
    assert names == [f"{NEXT}/full-submission.txt"]


def test_a_plain_text_is_known_by_its_cover_page(tmp_path: Path) -> None:
    cover = "SECURITIES AND EXCHANGE COMMISSION\nFORM 10-K\nUNDER SECTION 13 OR 15(d)\n"
    (tmp_path / "a.txt").write_text(f"{cover}Item 1. Business\nBread.\fItem 2. Properties\nNone.")
    (tmp_path / "b.txt").write_text("Item 1. Business\nBread.")
    annual, other = map(FilingsFolder(str(tmp_path)).fetch, FilingsFolder(str(tmp_path)).list())
    assert [section.title for section in annual.sections if section.level == 2] == [
        "Item 1. Business",
        "Item 2. Properties",
    ]
    assert len(annual.pages) == 2
    assert (annual.meta, other.meta) == ({"form": "10-K"}, {})
    assert other.sections == ()


def test_a_changed_file_has_another_fingerprint(filings: Path) -> None:
    before = {ref.key: ref.fingerprint for ref in FilingsFolder(str(filings)).list()}
    (filings / "quarter.htm").write_text("<p>other</p>")
    after = {ref.key: ref.fingerprint for ref in FilingsFolder(str(filings)).list()}
    assert {key for key in before if before[key] != after[key]} == {str(filings / "quarter.htm")}


def test_what_vanished_is_covered_and_not_listed(filings: Path) -> None:
    connector = FilingsFolder(str(filings))
    (filings / "quarter.htm").unlink()
    assert [ref.name for ref in connector.list()] == [f"{NEXT}/full-submission.txt"]
    assert connector.covers(str(filings / "quarter.htm"))
    assert not connector.covers(str(filings / "notes.md"))
    assert not connector.covers("/elsewhere/quarter.htm")


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        list(FilingsFolder(str(tmp_path / "none")).list())


def test_what_cannot_be_read(filings: Path) -> None:
    outside = filings.parent / "outside.htm"
    outside.write_text("<p>secret</p>")
    (filings / "link.htm").symlink_to(outside)
    (filings / "empty.htm").write_text("")
    connector = FilingsFolder(str(filings))
    refs = {ref.name: ref for ref in connector.list()}
    for name in ("link.htm", "empty.htm"):
        with pytest.raises(DocumentError):
            connector.fetch(refs[name])
    os.remove(filings / "quarter.htm")
    (filings / "quarter.htm").symlink_to(outside)
    with pytest.raises(DocumentError):
        connector.fetch(refs["quarter.htm"])
