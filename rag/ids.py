"""Names that are the same on every machine and every run: uuid5 ids and content digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid5

__all__ = ["chunk_id", "digest", "document_id", "reserved_id"]

_SLICE = 1 << 20  # characters
_NAMESPACE = UUID("6d3b1f5e-5a0c-5c0e-9a57-7370616e7261")


def digest(value: Any) -> str:
    """A 128-bit hex digest of any JSON value; equal values have equal digests.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    hashed = hashlib.blake2b(digest_size=16)
    for piece in _canonical(value):
        # Lone surrogates (broken input that survived decoding) must digest, not raise.
        hashed.update(piece.encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()


def _canonical(value: Any) -> Iterator[str]:
    """Canonical JSON, the long texts of a list a slice at a time: they are never held twice."""
    if isinstance(value, str) and len(value) > _SLICE:
        yield '"'
        for at in range(0, len(value), _SLICE):
            yield json.dumps(value[at : at + _SLICE], ensure_ascii=False)[1:-1]
        yield '"'
    elif isinstance(value, list):
        yield "["
        for at, item in enumerate(value):
            yield "," if at else ""
            yield from _canonical(item)
        yield "]"
    else:
        yield json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str
        )


def document_id(namespace: str, key: str) -> str:
    """The id of the document `key` of the connector namespace `namespace`."""
    return str(uuid5(_NAMESPACE, json.dumps(["document", namespace, key])))


def chunk_id(doc_id: str, revision: str, ordinal: int) -> str:
    """The id of chunk number `ordinal` of one revision of a document."""
    return str(uuid5(_NAMESPACE, f"chunk\n{doc_id}\n{revision}\n{ordinal}"))


def reserved_id(name: str) -> str:
    """The id of a point the store keeps for itself (manifest, journal)."""
    return str(uuid5(_NAMESPACE, f"reserved\n{name}"))
