"""Narrowing: stages that shrink what is kept of each passage, and never rewrite it."""

from rag.pruning.select import SelectSentences

__all__ = ["SelectSentences"]
