"""The index: one Qdrant collection, embedded or on a server, and nothing beside it."""

from rag.store.base import DocumentRecord, Hit, Point, Rankings, Store, open_store
from rag.store.filters import Condition, parse_condition
from rag.store.generations import is_index

__all__ = [
    "Condition",
    "DocumentRecord",
    "Hit",
    "Point",
    "Rankings",
    "Store",
    "is_index",
    "open_store",
    "parse_condition",
]
