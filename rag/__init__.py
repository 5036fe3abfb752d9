"""spanrag: answers from private documents, cited to the character.

Every text has coordinates, and every stage only narrows spans.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag.engine import QueryEngine
    from rag.generation import load_generator
    from rag.index import Index, open_index
    from rag.settings import Settings, load_settings
    from rag.spans import Span, SpanSet
    from rag.types import Answer, Chunk, Citation, Document

__all__ = [
    "Answer",
    "Chunk",
    "Citation",
    "Document",
    "Index",
    "QueryEngine",
    "Settings",
    "Span",
    "SpanSet",
    "load_generator",
    "load_settings",
    "open_index",
]

_HOMES = {
    "Answer": "rag.types",
    "Chunk": "rag.types",
    "Citation": "rag.types",
    "Document": "rag.types",
    "Index": "rag.index",
    "QueryEngine": "rag.engine",
    "Settings": "rag.settings",
    "Span": "rag.spans",
    "SpanSet": "rag.spans",
    "load_generator": "rag.generation",
    "load_settings": "rag.settings",
    "open_index": "rag.index",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import rag` itself stays instant."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
