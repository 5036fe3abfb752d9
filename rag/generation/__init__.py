"""Generation: who writes the answer from what was kept."""

from rag.generation.base import Generation, Generator
from rag.generation.extractive import ExtractiveGenerator
from rag.generation.registry import load_generator

__all__ = ["ExtractiveGenerator", "Generation", "Generator", "load_generator"]
