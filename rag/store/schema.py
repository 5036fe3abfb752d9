"""How a chunk lies in the store: names of vectors, fields of the payload, what is indexed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rag.ids import reserved_id
from rag.spans import Span
from rag.store.base import DocumentRecord
from rag.types import Chunk, Document, Place

__all__ = [
    "DENSE",
    "JOURNAL_ID",
    "LEXICAL",
    "LINKED",
    "LIVE",
    "MANIFEST_ID",
    "STAGED",
    "also_of",
    "chunk_ids",
    "chunk_of",
    "committed",
    "description",
    "document_facts",
    "payload_of",
    "record_of",
]

DENSE = "dense"
LEXICAL = "lexical"

# A keyword, not a boolean: qdrant-edge 0.9 takes the `True` of a match for the integer 1.
STAGED = "staged"
LIVE = "live"
LINKED = "linked"  # a copy of another document: no chunk, no vectors

MANIFEST_ID = reserved_id("manifest")
JOURNAL_ID = reserved_id("journal")
_RESERVED = {MANIFEST_ID, JOURNAL_ID}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

KEYWORD_FIELDS = ("state", "doc_id", "revision", "namespace", "source", "name", "marks", "twin_of")
INTEGER_FIELDS = ("ordinal",)


def payload_of(document: Document, chunk: Chunk, marks: Sequence[str] = ()) -> dict[str, Any]:
    """The payload of a staged chunk. Chunk 0 also carries what is said of the whole document.

    `marks` are those by which copies of the document are found.
    """
    payload = {
        "state": STAGED,
        "doc_id": chunk.doc_id,
        "revision": chunk.revision,
        "ordinal": chunk.ordinal,
        "start": chunk.span.start,
        "end": chunk.span.end,
        "text": chunk.text,
        "tokens": chunk.tokens,
        "title": chunk.title,
        "places": [[place.start, place.page, place.section] for place in chunk.places],
        **description(document),
    }
    if chunk.ordinal == 0:
        payload |= document_facts(document, marks)
    return payload


def description(document: Document) -> dict[str, Any]:
    """What is said of every chunk of a document and can change without new vectors."""
    meta = {
        # Booleans as words, for the reason above.
        key: str(value).lower() if isinstance(value, bool) else value
        for key, value in document.meta.items()
    }
    return {"source": document.source, "name": document.name, "meta": meta}


def document_facts(document: Document, marks: Sequence[str] | None = None) -> dict[str, Any]:
    """What only chunk 0 carries: by it a sync sees what there is, and, by marks, what is alike."""
    facts = {
        "namespace": document.namespace,
        "key": document.key,
        "fingerprint": document.fingerprint,
        "meta_digest": document.meta_digest,
    }
    return facts if marks is None else {**facts, "marks": [*marks]}


def also_of(copy: Mapping[str, Any]) -> dict[str, Any]:
    """What the chunks of an original say of a copy: what a filter may ask of a document."""
    return {name: copy[name] for name in ("doc_id", "source", "name", "meta")}


def committed(tokens: int) -> dict[str, Any]:
    """What a commit sets on every chunk of the revision it serves."""
    return {"state": LIVE, "document_tokens": tokens}


def chunk_ids(ids: Iterable[str]) -> list[str]:
    """Those of `ids` that a chunk can have: uuids, and not the store's own."""
    return [given for given in ids if _UUID.fullmatch(given) and given not in _RESERVED]


def chunk_of(payload: Mapping[str, Any]) -> Chunk:
    """The chunk a payload holds."""
    return Chunk(
        doc_id=payload["doc_id"],
        revision=payload["revision"],
        ordinal=payload["ordinal"],
        span=Span(payload["start"], payload["end"]),
        text=payload["text"],
        tokens=payload["tokens"],
        source=payload["source"],
        name=payload["name"],
        title=payload["title"],
        places=tuple(Place(*place) for place in payload["places"]),
        meta=payload["meta"],
        also=tuple(each["source"] for each in payload.get("also", ())),
    )


def record_of(payload: Mapping[str, Any]) -> DocumentRecord:
    """The document record the payload of a chunk 0 holds."""
    fields = ("doc_id", "namespace", "key", "source", "name", "revision")
    return DocumentRecord(
        **{field: payload[field] for field in fields},
        fingerprint=payload["fingerprint"],
        meta_digest=payload["meta_digest"],
        tokens=payload.get("document_tokens", 0),
        live=payload["state"] in (LIVE, LINKED),
        twin_of=payload.get("twin_of", ""),
        title=payload.get("title", ""),
        meta=payload.get("meta", {}),
        stands=Span(*payload["stands"]) if "stands" in payload else None,
    )


RECORD_FIELDS = [
    "doc_id",
    "namespace",
    "key",
    "source",
    "name",
    "revision",
    "fingerprint",
    "meta_digest",
    "document_tokens",
    "state",
    "twin_of",
    "title",
    "meta",
    "stands",
]
