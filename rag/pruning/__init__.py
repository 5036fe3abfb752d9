"""Narrowing: stages that shrink what is kept of each passage, and never rewrite it."""

from rag.pruning.frugal import FrugalPrompt
from rag.pruning.select import SelectSentences

__all__ = ["FrugalPrompt", "SelectSentences"]
