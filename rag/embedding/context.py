"""What the embedder reads of a chunk: where it stands, then its own words."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from rag.tokens import TokenCounter
from rag.types import Chunk

__all__ = ["embedded_text", "split_name"]

_SEPARATORS = re.compile(r"[\s_\-./]+")


def split_name(name: str) -> str:
    """A file's name as words: what joins them (`_`, `-`, `/`, `.`) becomes a space."""
    return " ".join(_SEPARATORS.split(name)).strip()


def embedded_text(chunk: Chunk, counter: TokenCounter, header_tokens: int) -> str:
    """The chunk's text under a header of its document's name, title and section.

    Twenty filings of near-identical wording cannot be told apart by the words of a chunk: company
    and year stand on the cover. The header is part of what is embedded, never of the span.

    Args:
        chunk: the chunk to embed.
        counter: measures the header.
        header_tokens: the most tokens the header may take; 0 leaves it out. The section path is
            cut first, from its outer end, its last title from the far end, then the title.
    """
    text = chunk.text.replace("\f", "\n")  # tokenizers drop a form feed, and glue what it parts
    if not header_tokens:
        return text
    stem = split_name(PurePosixPath(chunk.name).stem)
    said = set(stem.lower().split()) <= set(split_name(chunk.title.lower()).split())
    about = chunk.title if said else f"{stem} {chunk.title}".strip()
    header = counter.head(about, header_tokens)
    room = header_tokens - counter.count(header) - 1
    section = chunk.places[0].section if chunk.places else ""
    titles = [title for title in section.split(" > ") if title and title != chunk.title]
    while len(titles) > 1 and counter.count(" > ".join(titles)) > room:
        titles.pop(0)
    path = counter.head(" > ".join(titles), room) if room > 0 else ""
    header = "\n".join(part for part in (header, path) if part)
    return f"{header}\n{text}" if header else text
