"""Clustered RAG (CRAG): group what was retrieved, and let each group say its part once."""

from rag.clustering.abstractive import SummariseClusters
from rag.clustering.cache import SummaryCache
from rag.clustering.extractive import ClusterContext

__all__ = ["ClusterContext", "SummariseClusters", "SummaryCache"]
