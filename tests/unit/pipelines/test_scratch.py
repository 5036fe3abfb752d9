from __future__ import annotations

from pathlib import Path

from pipelines.scratch import in_scratch
from rag.settings import Settings


def test_an_embedder_that_is_not_named_has_the_scratch_index_of_the_bundled_one(
    tmp_path: Path,
) -> None:
    auto = in_scratch(Settings(), tmp_path)
    bundled = in_scratch(Settings(embedding={"kind": "bundled"}), tmp_path)
    other = {"kind": "sentence_transformers", "model": "other"}
    assert auto == bundled
    assert auto.embedding.kind == "bundled"
    assert in_scratch(Settings(embedding=other), tmp_path).store.path != auto.store.path
