from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.embeddings import MockEmbedding

from rag.embedding.llama_index import LlamaIndexEmbedder
from rag.embedding.registry import load_embedder
from rag.errors import ConfigError
from rag.settings import EmbeddingSettings


class LengthEmbedding(BaseEmbedding):
    """Tells texts apart by their length, and questions from passages by their sign."""

    width: int = 4
    api_key: str = ""

    def _get_text_embedding(self, text: str) -> list[float]:
        return [float(len(text)), 1.0, *[0.0] * (self.width - 2)]

    def _get_query_embedding(self, query: str) -> list[float]:
        return [-float(len(query)), 1.0, *[0.0] * (self.width - 2)]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class Silent:
    """Refuses to be made, without a word."""

    def __init__(self) -> None:
        raise ValueError


HERE = f"{__name__}:LengthEmbedding"
TEXTS = ["three", "a", "", "a longer text than those"] * 5


def test_vectors_have_length_one_and_keep_their_order() -> None:
    embedder = LlamaIndexEmbedder(LengthEmbedding(embed_batch_size=3), "length")
    vectors = embedder.embed_documents(TEXTS)
    assert vectors.shape == (20, 4)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors[:, 0] / vectors[:, 1], [len(text) for text in TEXTS])


def test_questions_are_embedded_as_questions() -> None:
    embedder = LlamaIndexEmbedder(LengthEmbedding(), "length")
    assert (embedder.embed_queries(["three"])[:, 0] < 0).all()
    assert (embedder.embed_documents(["three"])[:, 0] > 0).all()


def test_no_texts_have_no_vectors() -> None:
    embedder = LlamaIndexEmbedder(MockEmbedding(embed_dim=8), "mock")
    assert embedder.embed_documents([]).shape == (0, 8)
    assert embedder.embed_queries([]).shape == (0, 8)


def test_the_dimension_is_found_by_asking() -> None:
    assert LlamaIndexEmbedder(MockEmbedding(embed_dim=8), "mock").dimension == 8


def test_a_window_is_that_of_the_options_or_512() -> None:
    assert LlamaIndexEmbedder.from_setting(HERE, {}).max_tokens == 512
    assert LlamaIndexEmbedder.from_setting(HERE, {"max_tokens": 64}).max_tokens == 64


def test_any_llama_index_class_is_loaded_by_its_address() -> None:
    settings = EmbeddingSettings(
        kind="llama_index",
        model="llama_index.core.embeddings:MockEmbedding",
        options={"embed_dim": 6},
    )
    embedder = load_embedder(settings)
    assert embedder.embed_documents(["net sales"]).shape == (1, 6)
    assert embedder.name.startswith("llama_index.core.embeddings:MockEmbedding")
    assert embedder.counter.count("net sales") == 2


def test_the_fingerprint_changes_with_class_and_options() -> None:
    plain = LlamaIndexEmbedder.from_setting(HERE, {})
    assert plain.fingerprint == LlamaIndexEmbedder.from_setting(HERE, {}).fingerprint
    assert plain.fingerprint != LlamaIndexEmbedder.from_setting(HERE, {"width": 5}).fingerprint
    other = LlamaIndexEmbedder.from_setting(
        "llama_index.core.embeddings:MockEmbedding", {"embed_dim": 4}
    )
    assert plain.fingerprint != other.fingerprint


def test_a_new_key_is_no_new_embedding() -> None:
    old = LlamaIndexEmbedder.from_setting(HERE, {"api_key": "hunter2"})
    new = LlamaIndexEmbedder.from_setting(HERE, {"api_key": "hunter3"})
    assert old.fingerprint == new.fingerprint


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("no_such_module:Class", {}),
        ("llama_index.core.embeddings:NoSuchClass", {}),
        ("llama_index.core.embeddings", {}),
        ("", {}),
        (":MockEmbedding", {}),
        ("llama_index.core.embeddings:MockEmbedding", {}),  # embed_dim is missing
        (HERE, {"width": "wide"}),
        (HERE, {"max_tokens": "many"}),
        (f"{__name__}:Silent", {}),
    ],
)
def test_an_embedding_that_cannot_be_made_is_a_config_error(
    target: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="cannot make the embedding") as caught:
        LlamaIndexEmbedder.from_setting(target, options)
    assert target in caught.value.message
    assert "embedding.model" in caught.value.hint
