"""An embedder of spanrag as a model of MTEB, the Massive Text Embedding Benchmark.

    import mteb
    mteb.evaluate(MtebEncoder(index.embedder), mteb.get_tasks(["SciFact"]))

Source: the `EncoderProtocol` of mteb 2.26.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from rag.embedding.base import Embedder, Vectors
from rag.errors import ExtraMissing
from rag.ids import digest

if TYPE_CHECKING:
    from mteb.models import ModelMeta
    from mteb.types import PromptType

__all__ = ["MtebEncoder"]


class MtebEncoder:
    """What `mteb.evaluate` takes, around any embedder.

    Args:
        embedder: its vectors are what is judged.

    Raises:
        ExtraMissing: MTEB is not installed.
    """

    def __init__(self, embedder: Embedder) -> None:
        if find_spec("mteb") is None:
            raise ExtraMissing("mteb", "mteb")
        self.embedder = embedder

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        prompt_type: PromptType | None = None,
        **_: Any,
    ) -> Vectors:
        """Vectors of all texts, shape (texts, dimension).

        Args:
            inputs: batches, each with its texts under "text". They are joined: the embedder makes
                its own batches, of texts of like length.
            prompt_type: the texts of a query are embedded as questions. All others, those of tasks
                that compare like with like too, as passages: so spanrag compares texts itself.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        if prompt_type is not None and prompt_type.value == "query":
            return self.embedder.embed_queries(texts)
        return self.embedder.embed_documents(texts)

    def similarity(self, embeddings1: ArrayLike, embeddings2: ArrayLike) -> Vectors:
        """Cosines of all with all, shape (first, second); vectors have length 1."""
        cosines: Vectors = _rows(embeddings1) @ _rows(embeddings2).T
        return cosines

    def similarity_pairwise(self, embeddings1: ArrayLike, embeddings2: ArrayLike) -> Vectors:
        """Cosines of first with first, second with second; shape (pairs,)."""
        cosines: Vectors = (_rows(embeddings1) * _rows(embeddings2)).sum(axis=1)
        return cosines

    @cached_property
    def mteb_model_meta(self) -> ModelMeta:
        """Name and revision, under which MTEB keeps results.

        The revision is a digest of the embedder's fingerprint: results of one state of a model are
        never taken for those of another.
        """
        from mteb.models import ModelMeta
        from mteb.models.model_meta import ScoringFunction

        return ModelMeta(
            loader=None,
            name=f"spanrag/{PurePath(self.embedder.name).name}",
            revision=digest(self.embedder.fingerprint)[:16],
            release_date=None,
            languages=None,
            n_parameters=None,
            memory_usage_mb=None,
            max_tokens=self.embedder.max_tokens,
            embed_dim=self.embedder.dimension,
            license=None,
            open_weights=None,
            public_training_code=None,
            public_training_data=None,
            framework=[],
            similarity_fn_name=ScoringFunction.COSINE,
            use_instructions=None,
            training_datasets=None,
        )


def _rows(embeddings: ArrayLike) -> Vectors:
    """A single vector is one row; tensors become arrays."""
    return np.atleast_2d(np.asarray(embeddings, dtype=np.float32))
