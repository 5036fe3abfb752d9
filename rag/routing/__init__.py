"""Routing: from a question to the indexes that may hold its answer."""

from rag.routing.classifier import RouteClassifier, fewest
from rag.routing.opening import open_routed
from rag.routing.routed import RoutedIndex
from rag.routing.routes import Router, Routes, Routing

__all__ = [
    "RouteClassifier",
    "RoutedIndex",
    "Router",
    "Routes",
    "Routing",
    "fewest",
    "open_routed",
]
