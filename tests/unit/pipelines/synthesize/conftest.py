from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipelines.synthesize.corpus import Corpus, open_corpus
from rag.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))  # for `harbour`

from harbour import GARDEN, HARBOUR


@pytest.fixture(scope="session")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthesize") / "docs"
    folder.mkdir()
    (folder / "harbour.txt").write_text(HARBOUR)
    (folder / "garden.txt").write_text(GARDEN)
    return folder


@pytest.fixture(scope="session")
def corpus(docs: Path) -> Iterator[Corpus]:
    """The two documents, indexed once in a scratch index of the tests' own."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:  # no longer than it takes to open it
            patch.setenv("XDG_CACHE_HOME", str(docs.parent / "cache"))
            opened = stack.enter_context(open_corpus(Settings(), str(docs), None))
        yield opened
