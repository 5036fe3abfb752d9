from __future__ import annotations

import json
from pathlib import Path

import pytest
from harbour import GARDEN, HARBOUR

from connectors.registry import open_source
from pipelines.ingest import ingest
from pipelines.synthesize.corpus import open_corpus
from rag.errors import UsageError
from rag.index import open_index
from rag.settings import IngestSettings, Settings, StoreSettings


@pytest.fixture
def index(tmp_path: Path) -> Settings:
    """The settings of an index of two files and two lines."""
    folder = tmp_path / "docs/port"
    folder.mkdir(parents=True)
    (folder / "harbour.txt").write_text(HARBOUR)
    (folder / "garden.txt").write_text(GARDEN)
    rows = [{"id": "a", "text": HARBOUR}, {"id": "b", "text": GARDEN, "title": "Villa Orso"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = Settings(
        store=StoreSettings(path=tmp_path / "index"), ingest=IngestSettings(duplicates="keep")
    )
    with open_index(settings, create=True) as opened:
        ingest(opened, [open_source(str(tmp_path / each)) for each in ("docs", "rows.jsonl")])
    return settings


def test_the_documents_of_an_index_are_those_that_were_ingested(
    index: Settings, tmp_path: Path
) -> None:
    for settings, source in ((index, ""), (Settings(), str(tmp_path / "index"))):
        with open_corpus(settings, source, None) as corpus:
            found = {each.name: each.text for each in corpus.documents}
            stored = {each.doc_id for each in corpus.index.store.documents()}
            assert found.keys() == {"port/harbour.txt", "port/garden.txt", "a", "b"}
            assert found["port/harbour.txt"] == found["a"] == HARBOUR
            assert {each.id for each in corpus.documents} == stored


def test_copies_are_asked_about_where_their_originals_are(tmp_path: Path) -> None:
    settings = Settings(store=StoreSettings(path=tmp_path / "index"))
    text = " ".join(f"The harbour has {n} quays." for n in range(30))
    for name in ("one", "two"):
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / f"docs/{name}.txt").write_text(text)
    with open_index(settings, create=True) as opened:
        assert ingest(opened, [open_source(str(tmp_path / "docs"))]).linked == 1
    with open_corpus(settings, "", None) as corpus:
        assert [each.name for each in corpus.documents] == ["one.txt"]


def test_a_document_that_changed_or_went_since_is_left_out(
    index: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "docs/port/harbour.txt").write_text(f"{HARBOUR} And more.")
    (tmp_path / "docs/port/garden.txt").unlink()
    with open_corpus(index, "", None) as corpus:
        assert {each.name for each in corpus.documents} == {"a", "b"}
    assert "harbour.txt has changed since it was ingested" in caplog.text
    assert "garden.txt" in caplog.text


def test_two_documents_of_one_name_cannot_be_told_apart(tmp_path: Path) -> None:
    settings = Settings(store=StoreSettings(path=tmp_path / "index"))
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "report.txt").write_text(f"{HARBOUR} {folder}")
    with open_index(settings, create=True) as opened:
        ingest(opened, [open_source(str(tmp_path / each)) for each in ("one", "two")])
    with (
        pytest.raises(UsageError, match=r"two documents are called report\.txt"),
        open_corpus(settings, "", None),
    ):
        pass


def test_a_source_without_documents_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "empty").mkdir()
    with (
        pytest.raises(UsageError, match="no document to ask about"),
        open_corpus(Settings(), str(tmp_path / "empty"), None),
    ):
        pass
