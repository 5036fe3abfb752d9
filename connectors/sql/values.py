"""What drivers make of a database's types, as plain values."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from connectors.parsing.text import decode
from rag.errors import DocumentError

__all__ = ["as_bytes", "as_fact", "as_key", "as_line", "plain"]


def plain(value: Any) -> Any:
    """The value as JSON has it, bytes aside: times in ISO 8601, numbers as numbers."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        whole = value.is_finite() and value == value.to_integral_value()
        return int(value) if whole and abs(value) < 2**63 else float(value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if value is None or isinstance(value, str | int | float | bytes | list | dict):
        return value
    return str(value)


def as_key(value: Any) -> str:
    """What names a row.

    Raises:
        DocumentError: it is NULL, blank or of a kind of which two may look the same.
    """
    if value is None or value == "":
        raise DocumentError("no key: it is NULL or empty", hint="name a column that is never so")
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal | UUID):
        raise DocumentError(
            f"no key: a {type(value).__name__} cannot name a row",
            hint="name a column of integers, text or UUIDs",
        )
    return str(value).encode("utf-8", "replace").decode("utf-8")


def as_bytes(value: Any, column: str, *, most: int) -> bytes:
    """A text as its parser reads it.

    Raises:
        DocumentError: there is none, or more than `most` bytes.
    """
    found = plain(value)
    if found is None:
        raise DocumentError(f"empty text: {column!r} is NULL")
    if isinstance(found, list | dict):
        found = json.dumps(found, ensure_ascii=False, default=str)
    data = found if isinstance(found, bytes) else str(found).encode("utf-8", "replace")
    if not data.strip():
        raise DocumentError(f"empty text: {column!r} is blank")
    if len(data) > most:
        raise DocumentError(f"too large: over {most:,} bytes", hint="split it")
    return data


def as_line(value: Any) -> str:
    """A title: one line, "" where there is none."""
    found = plain(value)
    if isinstance(found, bytes):
        try:
            found = decode(found)
        except DocumentError:
            return ""
    return "" if found is None else " ".join(str(found).split())


def as_fact(value: Any) -> Any:
    """What to filter by; None where it is nothing of the kind (bytes, an object)."""
    found = plain(value)
    if isinstance(found, list):
        return [plain(item) for item in found]
    return None if isinstance(found, bytes | dict) else found
