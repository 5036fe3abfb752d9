"""How document text and places are shown in a terminal."""

from __future__ import annotations

import re

from rag.types import Chunk, Citation, Place

__all__ = ["plain", "plain_lines", "where"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Document text on one line, without what would drive the terminal."""
    return _CONTROL.sub("", " ".join(text.split()))


def plain_lines(text: str) -> str:
    """Document text with its lines, without what would drive the terminal."""
    return _CONTROL_BUT_LINES.sub("", text)


def where(it: Chunk | Citation, place: Place) -> str:
    """Source, page and section, on one line."""
    # Of a file with many documents, such as .jsonl, the source alone would not say which.
    source = it.source if it.source.endswith(it.name) else f"{it.source}#{it.name}"
    page = f"page {place.page}" if place.page else ""
    return plain(", ".join(part for part in (source, page, place.section) if part))
