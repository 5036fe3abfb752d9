"""The nouns of the house: what flows from a connector down to an answer.

All are frozen. Coordinates always refer to `Document.text`; nothing below a document holds text
that is not a stretch of it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from rag.ids import chunk_id, digest, document_id
from rag.ledger import TokenLedger
from rag.spans import Span, SpanSet

__all__ = [
    "Answer",
    "Chunk",
    "Citation",
    "Context",
    "Document",
    "Fact",
    "Grounding",
    "Passage",
    "Place",
    "Remark",
    "Round",
    "ScoredChunk",
    "Section",
    "SectionKind",
    "Sticker",
]


SectionKind = Literal["section", "table", "list"]
"""What a stretch of a document is."""


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a document. Sections nest: level 1 holds level 2, as headings do.

    A table or a list is one too, deeper than the headings around it. Its title is its caption, or
    "" where it has none; a citation names the titled ones.
    """

    span: Span
    title: str
    level: int = 1
    kind: SectionKind = "section"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader would look: from offset `start` on, the text stands on `page`, in `section`.

    `page` counts from 1 and is None where the format has no pages; `section` is the path of
    titles, outermost first, joined by " > ", and "" outside any section.
    """

    start: int
    page: int | None = None
    section: str = ""


@dataclass(frozen=True)
class Document:
    """One document as its connector parsed it: canonical text and the map of that text.

    Args:
        namespace: which kind of place it comes from ("file", "jsonl:/abs/path"); with `key` it
            is the document's identity.
        key: its name there, unique and stable ("/abs/path/report.pdf", a row id).
        source: the path or URI as the user gave it; what citations show.
        name: its name below the source the user gave ("2023/report.pdf").
        text: the canonical text. Every coordinate refers to it.
        title: what it calls itself, or "".
        sections: titled stretches, in order of their start, properly nested.
        pages: the offset at which each page starts (page 1 first); empty where there are none.
        meta: flat facts to filter by; str, int, float, bool, or a list of str.
        fingerprint: the cheap mark by which the connector sees that it has changed.
    """

    namespace: str
    key: str
    source: str
    name: str
    text: str = field(repr=False)
    title: str = ""
    sections: tuple[Section, ...] = field(default=(), repr=False)
    pages: tuple[int, ...] = field(default=(), repr=False)
    meta: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    @cached_property
    def id(self) -> str:
        """A uuid5 of namespace and key: the same on every run and machine."""
        return document_id(self.namespace, self.key)

    @cached_property
    def revision(self) -> str:
        """A digest of all that a chunk or its vectors depend on: text, title, structure."""
        sections = [_section_facts(section) for section in self.sections]
        return digest([self.text, self.title, self.stem, sections, self.pages])

    @cached_property
    def meta_digest(self) -> str:
        """A digest of what can change without new vectors."""
        return digest([self.source, self.name, dict(self.meta)])

    @property
    def stem(self) -> str:
        """The last part of the name, without its suffix: often the best title there is."""
        return PurePosixPath(self.name).stem

    def places(self, span: Span) -> tuple[Place, ...]:
        """The places `span` runs through: the first at its start, one more at every change."""
        first = bisect_right(self._map, span.start, key=lambda place: place.start) - 1
        last = bisect_left(self._map, span.end, key=lambda place: place.start)
        inside = self._map[first : max(last, first + 1)]
        return (replace(inside[0], start=span.start), *inside[1:])

    @cached_property
    def _map(self) -> tuple[Place, ...]:
        """Every change of page or section in the document, from offset 0 on."""
        edges = {0, *self.pages}
        edges.update(edge for s in self.sections for edge in (s.span.start, s.span.end))
        opening = iter(self.sections)
        coming = next(opening, None)
        around: list[Section] = []
        places: list[Place] = []
        for edge in sorted(edges):
            around = [section for section in around if section.span.end > edge]
            while coming is not None and coming.span.start <= edge:
                if coming.span.end > edge:
                    around.append(coming)
                coming = next(opening, None)
            page = bisect_right(self.pages, edge) or 1 if self.pages else None
            path = " > ".join(section.title for section in around if section.title)
            if not places or (places[-1].page, places[-1].section) != (page, path):
                places.append(Place(edge, page, path))
        return tuple(places)


def _section_facts(section: Section) -> tuple[Any, ...]:
    facts = (section.span.start, section.span.end, section.title, section.level)
    # Plain sections as before there were kinds, so that what was indexed then is known again.
    return facts if section.kind == "section" else (*facts, section.kind)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of one revision of a document, with its text: `document.text[span] == text`.

    It repeats what a citation needs to know of its document, so that no second store has to be
    asked. `tokens` is its length in the embedder's tokens, without the header that is embedded
    with it.
    """

    doc_id: str
    revision: str
    ordinal: int
    span: Span
    text: str = field(repr=False)
    tokens: int = 0
    source: str = ""
    name: str = ""
    title: str = ""
    places: tuple[Place, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    """The sources of other documents that say the same."""

    def __post_init__(self) -> None:
        if len(self.text) != len(self.span):
            raise ValueError(f"chunk text of {len(self.text)} characters for {self.span}")

    @property
    def id(self) -> str:
        """A uuid5 of document, revision and ordinal."""
        return chunk_id(self.doc_id, self.revision, self.ordinal)

    def place_at(self, offset: int) -> Place:
        """The page and section of a document offset inside the chunk."""
        at = bisect_right(self.places, offset, key=lambda place: place.start) - 1
        return self.places[max(at, 0)] if self.places else Place(self.span.start)

    def slice(self, span: Span) -> str:
        """The document's text at `span`, which must lie inside the chunk."""
        if not self.span.covers(span):
            raise ValueError(f"{span} is not inside {self.span}")
        return span.shift(-self.span.start).text_in(self.text)


@dataclass(frozen=True, slots=True)
class ScoredChunk:
    """A chunk that was retrieved. `parts` are the scores that `score` was made of."""

    chunk: Chunk
    score: float
    rank: int
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage:
    """What is left of a retrieved chunk: `kept` only ever shrinks, and lies inside the chunk.

    `parts` are the scores that retrieval had for the chunk. `written` is what a language model
    wrote in place of what is kept here and in the passages `beside` (a summary of their cluster):
    the one text in the house without coordinates of its own. `sources` lead back to the documents.
    """

    chunk: Chunk
    kept: SpanSet
    score: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    written: str = field(default="", repr=False)
    beside: tuple[Passage, ...] = ()

    def narrow(self, kept: SpanSet) -> Passage:
        """The same passage with no more than `kept` of it.

        Raises:
            ValueError: it is written; no stretch of it can be taken out.
        """
        if self.written:
            raise ValueError("a written passage cannot be narrowed")
        return replace(self, kept=self.kept & kept)

    def keep(self, stretches: Iterable[Span]) -> Passage:
        """The passage with no more than these, and the white space between neighbours."""
        kept = self.kept & SpanSet(stretches)
        gaps = (gap for gap in self.kept - kept if not self.chunk.slice(gap).strip())
        inner = [gap for gap in gaps if gap.start - 1 in kept and gap.end in kept]
        return self.narrow(kept | SpanSet(inner))

    @property
    def pieces(self) -> list[str]:
        """The kept stretches, in order, exactly as the document has them, or what was written."""
        return [self.written] if self.written else [self.chunk.slice(span) for span in self.kept]

    @property
    def sources(self) -> tuple[Passage, ...]:
        """The passages whose text this tells: itself, and those beside it where it is written."""
        return (replace(self, written="", beside=()), *self.beside)


@dataclass(frozen=True, slots=True)
class Remark:
    """What a stage has to say of its work; the ledger keeps it.

    `overruled` counts units of text that only protection kept. `why` says of a chunk, by its id,
    why text of it was dropped. A stage that asks a language model counts what it asked.
    """

    note: str = ""
    overruled: int = 0
    llm_calls: int = 0
    llm_tokens: int = 0
    why: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Context:
    """The passages before the generator, best first, and whether they hold evidence at all."""

    passages: tuple[Passage, ...] = ()
    evidence: float | None = None
    """The strongest evidence seen for the question; None where nobody judged it."""
    remark: Remark = Remark()
    """Of the stage that made this context."""

    @classmethod
    def of(cls, found: Iterable[ScoredChunk]) -> Context:
        """Retrieved chunks, each whole."""
        return cls(
            tuple(
                Passage(hit.chunk, SpanSet([hit.chunk.span]), hit.score, hit.parts) for hit in found
            )
        )

    def keep(self, stretches: Mapping[int, Iterable[Span]]) -> Context:
        """The passages with these numbers, in this order, with no more than these stretches."""
        kept = (self.passages[at].keep(spans) for at, spans in stretches.items())
        return replace(self, passages=tuple(kept))

    @property
    def pieces(self) -> list[str]:
        """What of every passage stands in the prompt, in order."""
        return [piece for passage in self.passages for piece in passage.pieces]

    @property
    def sources(self) -> list[Passage]:
        """The passages whose text this holds, those that a written one tells of in its place."""
        return [source for passage in self.passages for source in passage.sources]

    @property
    def written(self) -> bool:
        """Whether a language model wrote any of it."""
        return any(passage.written for passage in self.passages)


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote in an answer and where it stands. `verified` says that it supports the answer.

    `also` are the sources of copies of its document, which hold the quote too.
    """

    doc_id: str
    revision: str
    source: str
    name: str
    span: Span
    quote: str
    place: Place
    verified: bool
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement of a sticker, and where the context says it; nowhere: it was not looked for."""

    text: str
    evidence: tuple[Citation, ...] = ()


@dataclass(frozen=True, slots=True)
class Sticker:
    """The facts that an answer rests on, and the question bare of what is known (SIFT).

    `dropped` counts facts that a model wrote and the context does not hold.
    """

    question: str
    facts: tuple[Fact, ...] = ()
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """One stage of SIFT: a sticker, the answers from it alone and from it with the context.

    `stage` is "sticker", "forward" or "inverse"; `rule` says how the answers were compared.
    """

    stage: str
    sticker: Sticker
    from_sticker: str
    from_both: str
    agreed: bool
    rule: str


@dataclass(frozen=True, slots=True)
class Grounding:
    """How an answer was grounded: by which sticker, and whether two ways to it agreed.

    `agreed` is None where nothing was compared. `stage` is that of the round that was agreed on, or
    "plain": the answer is the model's own, from the context alone.
    """

    sticker: Sticker
    agreed: bool | None
    stage: str
    rounds: tuple[Round, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question comes to: text, evidence, and what it cost.

    `unsupported` are numbers, dates and identifiers of the text that no cited quote holds.
    """

    question: str
    text: str
    citations: tuple[Citation, ...]
    context: Context
    ledger: TokenLedger
    abstained: bool = False
    dropped_citations: int = 0
    grounding: Grounding | None = None
    unsupported: tuple[str, ...] = ()
