"""Retrieval: from a question to the chunks that may answer it."""

from rag.retrieval.fusion import reciprocal_rank_fusion
from rag.retrieval.hybrid import HybridRetriever

__all__ = ["HybridRetriever", "reciprocal_rank_fusion"]
