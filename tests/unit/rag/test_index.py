from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rag.embedding.context import embedded_text
from rag.embedding.registry import bundled_model
from rag.errors import ConfigError, IndexMismatch, IndexMissing, ModelError, StoreLocked
from rag.index import Index, open_index
from rag.settings import Settings, StoreSettings
from rag.store import parse_condition
from rag.types import Document

TEXT = (
    "The harbour office recorded 412 arrivals in May. Most of them carried timber. "
    "The ferry was repaired in June. The Kestrel bridge opened in 1987."
)


def settings(folder: Path, **groups: dict[str, object]) -> Settings:
    return Settings(store=StoreSettings(path=folder / "index"), **groups)


def document(key: str = "harbour.txt", text: str = TEXT, **about: object) -> Document:
    return Document("file", key, key, key, text, **about)


def write(index: Index, of: Document) -> int:
    chunks = list(index.chunk(of))
    vectors = index.embed(chunks)
    index.store.stage(of, chunks, vectors.dense, vectors.lexical)
    index.store.commit(of.id, of.revision, sum(chunk.tokens for chunk in chunks))
    return len(chunks)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    chosen = settings(tmp_path_factory.mktemp("home"), chunking={"size": 24, "header_tokens": 8})
    with open_index(chosen, create=True) as index:
        write(index, document(meta={"year": 2023}))
        write(index, document("drug.txt", "Tamrezumab lowered asthma attacks by a third."))
        yield index


def test_no_index_is_missing_unless_it_may_be_made(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        open_index(settings(tmp_path))
    with open_index(settings(tmp_path), create=True) as index:
        assert index.store.count() == 0
    with open_index(settings(tmp_path)) as index:
        assert index.store.manifest().dimension == index.embedder.dimension == 384


def test_an_open_index_is_locked_and_a_closed_one_is_not(tmp_path: Path) -> None:
    with open_index(settings(tmp_path), create=True), pytest.raises(StoreLocked):
        open_index(settings(tmp_path))
    open_index(settings(tmp_path)).close()


@pytest.mark.parametrize(
    ("groups", "named"),
    [
        ({"chunking": {"size": 100}}, "chunker"),
        ({"chunking": {"kind": "tokens"}}, "chunker"),
        ({"chunking": {"header_tokens": 0}}, "header_tokens"),
        ({"lexical": {"language": "german"}}, "lexical"),
        ({"embedding": {"backend": "openvino"}}, "embedder"),
    ],
)
def test_other_settings_than_it_was_built_with_are_refused_by_name_and_let_go_of_it(
    tmp_path: Path, groups: dict[str, dict[str, object]], named: str
) -> None:
    open_index(settings(tmp_path), create=True).close()
    for create in (False, True):
        with pytest.raises(IndexMismatch, match=f"{named}: index has") as caught:
            open_index(settings(tmp_path, **groups), create=create)
        assert "settings say" in caught.value.message
    open_index(settings(tmp_path)).close()  # would be locked if the refusal kept it open


def test_an_index_remembers_its_embedder_and_is_opened_without_naming_it(tmp_path: Path) -> None:
    model = tmp_path / "adapted"
    model.symlink_to(bundled_model())
    named = {"kind": "sentence_transformers", "model": str(model)}
    open_index(settings(tmp_path, embedding=named), create=True).close()
    with open_index(settings(tmp_path, embedding={"device": "cpu"})) as index:
        assert index.embedder.name == str(model)
        assert index.settings.embedding.model_dump().items() >= {**named, "device": "cpu"}.items()
    open_index(settings(tmp_path, embedding={"kind": "bundled"})).close()  # the same files
    model.rename(tmp_path / "moved")
    with pytest.raises(ModelError, match=f"{model}, which is gone"):
        open_index(settings(tmp_path))
    moved = {**named, "model": str(tmp_path / "moved")}
    open_index(settings(tmp_path, embedding=moved)).close()


def test_an_index_of_an_older_version_has_the_bundled_embedder_unless_another_is_named(
    tmp_path: Path,
) -> None:
    with open_index(settings(tmp_path), create=True) as index:
        assert "model" not in index.store.manifest().to_payload()
    with open_index(settings(tmp_path)) as index:
        assert index.settings.embedding.kind == "bundled"


def test_settings_that_do_not_touch_what_is_stored_may_change(tmp_path: Path) -> None:
    open_index(settings(tmp_path), create=True).close()
    changed = settings(tmp_path, retrieval={"top_k": 3}, selection={"budget": 9})
    with open_index(changed) as index:
        assert index.settings.retrieval.top_k == 3


def test_chunks_are_stretches_of_the_document_within_the_size(index: Index) -> None:
    chunks = list(index.chunk(document()))
    assert len(chunks) > 1
    for ordinal, chunk in enumerate(chunks):
        assert chunk.ordinal == ordinal
        assert chunk.span.text_in(TEXT) == chunk.text
        assert chunk.tokens == index.embedder.counter.count(chunk.text) <= 24


def test_chunks_too_large_for_the_embedder_are_a_config_error(tmp_path: Path) -> None:
    large = settings(tmp_path, chunking={"size": 400})
    with pytest.raises(ConfigError, match="do not fit all-MiniLM-L6-v2") as caught:
        open_index(large, create=True)
    assert "at most 222" in caught.value.hint  # 256 less 32 of header and 2 special tokens
    # Nothing was made: following the hint works.
    with open_index(settings(tmp_path, chunking={"size": 222}), create=True) as index:
        assert index.store.count() == 0


def test_a_chunk_is_embedded_under_its_header(index: Index) -> None:
    chunks = list(index.chunk(document()))
    vectors = index.embed(chunks)
    assert vectors.dense.shape == (len(chunks), 384)
    assert np.linalg.norm(vectors.dense, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert vectors.truncated == 0
    with_header = [embedded_text(chunk, index.embedder.counter, 8) for chunk in chunks]
    assert all(text.startswith("harbour\n") for text in with_header)
    alone = index.embedder.embed_documents(with_header)
    assert np.sum(vectors.dense * alone, axis=1) == pytest.approx(1.0, abs=0.01)
    assert list(vectors.lexical) == index.lexical.encode_documents(with_header)


def test_chunks_whose_end_the_embedder_cannot_read_are_counted(index: Index) -> None:
    long, short = document("a.txt", "harbour " * 300), document("b.txt", "harbour")
    whole = [
        chunk
        for of in (long, short)
        for chunk in type(index.chunker)(index.embedder.counter, 1_000).split(of)
    ]
    assert len(whole) == 2
    assert index.embed(whole).truncated == 1


def test_no_chunks_embed_to_nothing(index: Index) -> None:
    vectors = index.embed([])
    assert (vectors.dense.shape, list(vectors.lexical), vectors.truncated) == ((0, 384), [], 0)


def test_search_finds_the_chunk_that_answers(index: Index) -> None:
    best, *_ = index.search("How many ships arrived at the port in May?")
    assert "412 arrivals" in best.chunk.text
    assert best.rank == 1
    assert len(index.search("harbour", top_k=1)) == 1
    filtered = index.search("asthma", conditions=[parse_condition("year=2023")])
    assert {hit.chunk.name for hit in filtered} == {"harbour.txt"}
