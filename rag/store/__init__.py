"""The index: one Qdrant collection, embedded or on a server, and nothing beside it."""

from rag.store.base import DocumentRecord, Hit, Rankings, Store, open_store
from rag.store.filters import Condition, parse_condition

__all__ = [
    "Condition",
    "DocumentRecord",
    "Hit",
    "Rankings",
    "Store",
    "open_store",
    "parse_condition",
]
