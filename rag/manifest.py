"""What an index was built with. It lives inside the collection, so it cannot drift from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rag.errors import IndexMismatch

__all__ = ["SCHEMA", "IndexManifest"]

SCHEMA = 1
"""The layout of points and payloads; a change here makes older indexes unreadable."""


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """Everything on which the stored vectors and spans depend."""

    embedder: str
    dimension: int
    lexical: str
    chunker: str
    header_tokens: int
    schema: int = SCHEMA

    def to_payload(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> IndexManifest:
        """From JSON.

        Raises:
            IndexMismatch: it was written by a version with another schema.
        """
        if payload.get("schema") != SCHEMA or payload.keys() != cls.__dataclass_fields__.keys():
            raise IndexMismatch(
                f"the index has schema {payload.get('schema')}, this version reads {SCHEMA}",
                hint="ingest into a new index (--where DIR), or use the version that built it",
            )
        return cls(**payload)

    def require(self, wanted: IndexManifest) -> None:
        """Refuse an index that was built with other settings.

        Raises:
            IndexMismatch: naming every difference, both sides, and what mends it.
        """
        theirs, ours = self.to_payload(), wanted.to_payload()
        differing = [
            f"{key}: index has {theirs[key]}, settings say {ours[key]}"
            for key in ours
            if theirs[key] != ours[key]
        ]
        if differing:
            raise IndexMismatch(
                "the index was built with other settings (" + "; ".join(differing) + ")",
                hint="use those settings (if it was built with a profile: --profile NAME, or "
                'profile = "NAME" in rag.toml), or ingest into a new index (--where DIR)',
            )
