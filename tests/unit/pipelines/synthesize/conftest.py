from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.synthesize.corpus import Corpus, open_corpus
from rag.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))  # for `harbour`

from harbour import GARDEN, HARBOUR


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "harbour.txt").write_text(HARBOUR)
    (folder / "garden.txt").write_text(GARDEN)
    return folder


@pytest.fixture
def corpus(docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Corpus]:
    """The two documents, indexed in a scratch index of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with open_corpus(Settings(), str(docs), None) as opened:
        yield opened
