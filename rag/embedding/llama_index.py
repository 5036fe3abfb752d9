"""Any LlamaIndex embedding in the embedder's place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from rag.embedding.base import Vectors
from rag.embedding.registry import bundled_tokenizer
from rag.errors import ConfigError, first_line
from rag.ids import digest
from rag.settings import SECRET_OPTION
from rag.tokens import TokenCounter

if TYPE_CHECKING:
    from llama_index.core.base.embeddings.base import BaseEmbedding

__all__ = ["LlamaIndexEmbedder"]


class LlamaIndexEmbedder:
    """Wraps a `BaseEmbedding`.

    LlamaIndex does not say what an embedding can read, nor with which tokenizer: `max_tokens` is
    512 unless given, and lengths are measured with the bundled tokenizer.

    Args:
        embedding: the LlamaIndex object.
        name: how manifests name it, with its options.
        max_tokens: what it reads.
    """

    reserved_tokens = 2

    def __init__(self, embedding: BaseEmbedding, name: str, max_tokens: int = 512) -> None:
        self._embedding = embedding
        self.name = name
        self.fingerprint = name
        self.max_tokens = max_tokens
        self.counter = TokenCounter.from_file(bundled_tokenizer(), "all-MiniLM-L6-v2")

    @classmethod
    def from_setting(cls, target: str, options: Mapping[str, Any]) -> Self:
        """From `module:Class` and its arguments (`max_tokens` among them is ours).

        Raises:
            ConfigError: there is no such class, or it does not take these arguments.
        """
        arguments = dict(options)
        module, _, name = target.partition(":")
        try:
            max_tokens = int(arguments.pop("max_tokens", 512))
            embedding = getattr(import_module(module), name)(**arguments)
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise ConfigError(
                f"cannot make the embedding {target}: {first_line(error)}",
                hint="write embedding.model as 'module:Class' and its arguments in "
                "[embedding.options]",
            ) from error
        # A key opens the door to the same vectors.
        shaping = {key: value for key, value in options.items() if not SECRET_OPTION.search(key)}
        return cls(embedding, f"{target}:{digest(shaping)[:8]}", max_tokens)

    @cached_property
    def dimension(self) -> int:
        """The length of a vector, found by making one."""
        return len(self._embedding.get_text_embedding("dimension"))

    def load(self) -> None:
        """Nothing: the object was made with its weights."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages, shape (texts, dimension)."""
        return self._unit(self._embedding.get_text_embedding_batch(list(texts)))

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions, shape (texts, dimension)."""
        return self._unit([self._embedding.get_query_embedding(text) for text in texts])

    def _unit(self, vectors: Sequence[Sequence[float]]) -> Vectors:
        matrix = np.asarray(vectors, dtype=np.float32).reshape(len(vectors), self.dimension)
        matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
        return matrix
