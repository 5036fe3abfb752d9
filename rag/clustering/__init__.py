"""Clustered RAG (CRAG): group what was retrieved, and let each group say its part once."""

from rag.clustering.extractive import ClusterContext

__all__ = ["ClusterContext"]
