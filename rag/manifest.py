"""What an index was built with. It lives inside the collection, so it cannot drift from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rag.errors import IndexMismatch

__all__ = ["SCHEMA", "IndexManifest"]

SCHEMA = 1
"""The layout of points and payloads; a change here makes older indexes unreadable."""

# The fingerprint of a sentence-transformers model: its name, then its files' digest, what runs it.
_NAMED = re.compile(r".*:([0-9a-f]{8}:\w+:\w+)")


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """Everything on which the stored vectors and spans depend.

    `model` says where the embedder is found (`rag.embedding.registry.record_of`); {} is the bundled
    one. It is not compared: the fingerprint in `embedder` says which model it must be.
    """

    embedder: str
    dimension: int
    lexical: str
    chunker: str
    header_tokens: int
    schema: int = SCHEMA
    model: Mapping[str, Any] = field(default_factory=dict)

    def to_payload(self) -> dict[str, Any]:
        """As JSON; without an empty `model`, as versions wrote it that knew of none."""
        payload = asdict(self)
        return payload if self.model else _compared(payload)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> IndexManifest:
        """From JSON.

        Raises:
            IndexMismatch: it was written by a version with another schema.
        """
        fields = {"model", *payload}
        if payload.get("schema") != SCHEMA or fields != cls.__dataclass_fields__.keys():
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
        differing = self._differences(wanted)
        if differing:
            raise IndexMismatch(
                "the index was built with other settings (" + "; ".join(differing) + ")",
                hint="use those settings (if it was built with a profile: --profile NAME, or "
                'profile = "NAME" in rag.toml; of the embedder: embedding.kind = auto, or '
                "`rag reindex`), or ingest into a new index (--where DIR)",
            )

    def require_same_cuts(self, wanted: IndexManifest) -> None:
        """Refuse settings that differ in more than the embedder: its chunks would be others.

        Raises:
            IndexMismatch: naming every difference, both sides, and what mends it.
        """
        ours = replace(wanted, embedder=self.embedder, dimension=self.dimension)
        if differing := self._differences(ours):
            raise IndexMismatch(
                "its chunks were made with other settings (" + "; ".join(differing) + ")",
                hint="use those settings (--profile NAME, if it was built with one), or ingest "
                "anew into a new index (--where DIR)",
            )

    def embedded_by(self, fingerprint: str) -> bool:
        """Whether the vectors are those of the embedder with this fingerprint.

        A model is the same under any name and in any folder: its files are digested.
        """
        return _NAMED.sub(r"\1", self.embedder) == _NAMED.sub(r"\1", fingerprint)

    def _differences(self, wanted: IndexManifest) -> list[str]:
        if self.embedded_by(wanted.embedder):
            wanted = replace(wanted, embedder=self.embedder)
            if _cut(self.chunker) == _cut(wanted.chunker):  # by the tokenizer of the same model
                wanted = replace(wanted, chunker=self.chunker)
        theirs, ours = _compared(self.to_payload()), _compared(wanted.to_payload())
        return [
            f"{key}: index has {theirs[key]}, settings say {ours[key]}"
            for key in ours
            if theirs[key] != ours[key]
        ]


def _compared(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in payload.items() if key != "model"}


def _cut(chunker: str) -> tuple[str, str]:
    """What a chunker's fingerprint says but for the tokenizer: its kind, size and overlap."""
    return chunker.partition(":")[0], chunker.rpartition(":")[2]
