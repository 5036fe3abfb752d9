"""Grounding: what ties an answer to its sources."""

from rag.grounding.citations import Resolved, resolve_citations

__all__ = ["Resolved", "resolve_citations"]
