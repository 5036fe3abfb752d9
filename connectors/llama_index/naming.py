"""What a reader's document is called, on this run and the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from rag.errors import DocumentError
from rag.ids import digest

__all__ = ["Name", "is_digest", "name_document"]

# The most telling first; "source" last, which is often one word for all.
_PLACES = ("file_path", "url", "link", "path")
_IDS = ("doc_id", "document_id", "page_id", "id")
_DIGEST = "text:"
_PAGES = ("page_label", "page_number", "page")


class Name(NamedTuple):
    """A key, and the place of the document as its reader tells it, "" where it does not."""

    key: str
    place: str


def name_document(id_: str, meta: Mapping[str, Any], text: str, field: str = "") -> Name:
    """A key that is the same on every run, as far as the reader lets it.

    It is the document's id, unless that is a random UUID, as LlamaIndex gives to all that have
    none; else a path, an address or an id in its metadata, with the page if there is one; else a
    digest of its text.

    Args:
        id_: the id that LlamaIndex has for it.
        meta: its flat metadata.
        text: its text.
        field: the metadata to take and no other; "" to find one.

    Raises:
        DocumentError: the metadata has no such `field`.
    """
    if field and not _told(meta, field):
        raise DocumentError(f"no {field!r} in its metadata", hint="name another field by key=")
    page = next((f"#page={meta[name]}" for name in _PAGES if _told(meta, name)), "")
    found = next((_told(meta, name) for name in _PLACES if _told(meta, name)), "")
    place = found + page if found else ""
    if field:
        return Name(_told(meta, field) + page, place)
    if id_ and not _is_random(id_):
        return Name(id_, place)
    told = (_told(meta, name) for name in (*_PLACES, *_IDS, "source"))
    key = next(filter(None, told), "")
    return Name(key + page if key else _DIGEST + digest(text), place)


def is_digest(key: str) -> bool:
    """Whether the document has no name but its text."""
    return key.startswith(_DIGEST)


def _told(meta: Mapping[str, Any], name: str) -> str:
    value = meta.get(name)
    known = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip() if known else ""


def _is_random(id_: str) -> bool:
    try:
        return UUID(id_).version == 4
    except ValueError:
        return False
