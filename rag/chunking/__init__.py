"""Chunkers: how a document is cut. They produce offsets; none is ever searched for."""

from rag.chunking.base import Chunker, Cut, SpanChunker
from rag.chunking.recursive import RecursiveChunker
from rag.chunking.sentences import SentenceChunker
from rag.chunking.tokens import TokenChunker

__all__ = ["Chunker", "Cut", "RecursiveChunker", "SentenceChunker", "SpanChunker", "TokenChunker"]
