"""Points as either backend has them, and the few calls on them that all else is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rag.store import schema
from rag.store.base import Point

__all__ = ["Points"]


class Points(ABC):
    """What a backend knows how to do with points."""

    @abstractmethod
    def _index_fields(self) -> None:
        """Index the payload's fields that are filtered by, where they are not yet."""

    @abstractmethod
    def _find(
        self,
        equals: Mapping[str, str | int],
        *,
        any_of: tuple[str, Sequence[str]] | None = None,
        fields: Sequence[str] | None = None,
        vectors: bool | list[str] = False,
        limit: int | None = None,
    ) -> Iterator[Point]:
        """Points whose payload equals this, and has any of these in a field."""

    @abstractmethod
    def _put(self, points: Sequence[Point]) -> None:
        """Write points."""

    @abstractmethod
    def _set(self, equals: Mapping[str, str | int], payload: Mapping[str, Any]) -> None:
        """Set fields of the payload of all points that match."""

    @abstractmethod
    def _drop(self, equals: Mapping[str, str | int], *, spare: str | None = None) -> None:
        """Delete all points that match, but those of the revision `spare`."""

    def points(self, *, dense: bool = False) -> Iterator[Point]:
        """Every served chunk with its lexical vector, or with both, and every link."""
        vectors = [schema.LEXICAL, schema.DENSE] if dense else [schema.LEXICAL]
        yield from self._find({"state": schema.LIVE}, vectors=vectors)
        yield from self._find({"state": schema.LINKED})

    def put(self, points: Sequence[Point]) -> None:
        """Write points as they are."""
        self._put(points)
