"""What a chunker is, and the one place where spans become chunks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple, Protocol

from rag.spans import Span
from rag.tokens import TokenCounter
from rag.types import Chunk, Document

__all__ = ["Chunker", "Cut", "SpanChunker"]


class Cut(NamedTuple):
    """One chunk to be: where, and how many tokens long."""

    span: Span
    tokens: int


class Chunker(Protocol):
    """Cuts documents into chunks."""

    @property
    def fingerprint(self) -> str:
        """Names the algorithm and every setting that changes its cuts."""

    def split(self, document: Document) -> Iterator[Chunk]:
        """The chunks of `document`, in order, one by one."""


class SpanChunker(ABC):
    """A chunker that only has to say where to cut.

    `document.text[span] == chunk.text` holds by construction: the text of a chunk is taken from
    the document, here, and nowhere else.

    Args:
        counter: measures in the tokens of the embedder that will read the chunks.
        size: the most tokens a chunk may have.
        overlap: how many tokens, at most, a chunk may repeat of the one before it.

    Raises:
        ValueError: `size` is not positive, or `overlap` does not leave room to move on.
    """

    kind: ClassVar[str]

    def __init__(self, counter: TokenCounter, size: int = 200, overlap: int = 0) -> None:
        if size < 1 or not 0 <= overlap < size:
            raise ValueError(f"need 0 <= overlap < size, not overlap {overlap} and size {size}")
        self.counter = counter
        self.size = size
        self.overlap = overlap

    @property
    def fingerprint(self) -> str:
        """The chunker's name, tokenizer, size and overlap."""
        return f"{self.kind}:{self.counter.name}:{self.size}/{self.overlap}"

    @abstractmethod
    def cuts(self, document: Document) -> Iterator[Cut]:
        """Where to cut: non-empty spans with ascending starts."""

    def split(self, document: Document) -> Iterator[Chunk]:
        """The chunks of `document`, in order, one by one."""
        for ordinal, (span, tokens) in enumerate(self.cuts(document)):
            yield Chunk(
                doc_id=document.id,
                revision=document.revision,
                ordinal=ordinal,
                span=span,
                text=span.text_in(document.text),
                tokens=tokens,
                source=document.source,
                name=document.name,
                title=document.title,
                places=document.places(span),
                meta=document.meta,
            )
