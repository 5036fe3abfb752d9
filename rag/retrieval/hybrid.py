"""Hybrid retrieval: by meaning and by words, fused."""

from __future__ import annotations

from collections.abc import Sequence

from rag.embedding.base import Embedder
from rag.embedding.lexical import LexicalEncoder
from rag.retrieval.fusion import reciprocal_rank_fusion
from rag.settings import RetrievalSettings
from rag.store.base import Store
from rag.store.filters import Condition
from rag.types import ScoredChunk

__all__ = ["HybridRetriever"]


class HybridRetriever:
    """Finds the chunks nearest to a question.

    Args:
        store: the index.
        embedder: the model the index was built with.
        lexical: the encoder the index was built with.
        settings: how many, and how the rankings are weighted.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        lexical: LexicalEncoder,
        settings: RetrievalSettings,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._lexical = lexical
        self._settings = settings

    def retrieve(
        self, question: str, *, top_k: int | None = None, conditions: Sequence[Condition] = ()
    ) -> list[ScoredChunk]:
        """The best `top_k` chunks, best first; fewer where the index holds fewer.

        `parts` of each has the cosine (`dense`) and the BM25 score (`lexical`), where that
        ranking held it among its candidates.
        """
        settings = self._settings
        wanted = top_k or settings.top_k
        rankings = self._store.rankings(
            self._embedder.embed_queries([question])[0].tolist(),
            self._lexical.encode_query(question),
            max(settings.candidates, wanted),
            conditions,
        )._asdict()
        fused = reciprocal_rank_fusion(
            {name: [hit.id for hit in hits] for name, hits in rankings.items()},
            {"dense": settings.dense_weight, "lexical": settings.lexical_weight},
            settings.rrf_k,
        )[:wanted]
        parts: dict[str, dict[str, float]] = {}
        for name, hits in rankings.items():
            for hit in hits:
                parts.setdefault(hit.id, {})[name] = hit.score
        chunks = self._store.chunks([chunk_id for chunk_id, _ in fused])
        return [
            ScoredChunk(chunks[chunk_id], score, rank, parts[chunk_id])
            for rank, (chunk_id, score) in enumerate(fused, start=1)
            if chunk_id in chunks  # gone between the two calls: another client's deletion
        ]
