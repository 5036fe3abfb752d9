"""What clients are sent."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Found", "Health", "Models", "ProblemDetails", "QueryAnswer"]


class Hit(BaseModel):
    """A chunk: characters `start` to `end` of its document, and what stands there."""

    doc: str
    source: str
    start: int
    end: int
    text: str
    score: float
    page: int | None
    section: str
    doc_id: str
    revision: str
    also: list[str]


class Found(BaseModel):
    """The chunks nearest to a question, best first.

    Of a server with routes: `searched` are those that the question went to, and `degraded` says
    which could not be searched.
    """

    question: str
    hits: list[Hit]
    searched: list[str] = []
    degraded: str = ""


class CitationOut(BaseModel):
    """Where in which document a statement of the answer stands."""

    doc: str
    source: str
    start: int
    end: int
    quote: str
    verified: bool
    page: int | None
    section: str
    doc_id: str
    revision: str
    also: list[str]


class Evidence(BaseModel):
    """Where a fact stands."""

    source: str
    doc_id: str
    start: int
    end: int


class FactOut(BaseModel):
    """A fact of a sticker."""

    text: str
    evidence: list[Evidence]


class StickerOut(BaseModel):
    """What an answer could rest on (SIFT)."""

    question: str
    facts: list[FactOut]
    dropped: int


class LedgerEntry(BaseModel):
    """What a stage took in and let through, and what it cost."""

    stage: str
    tokens_in: int
    tokens_out: int
    llm_calls: int
    llm_tokens: int
    llm_cached: int
    seconds: float
    degraded: str
    note: str
    overruled: int


class SpanOut(BaseModel):
    """Characters `start` to `end` of a document."""

    start: int
    end: int


class Kept(BaseModel):
    """What a stage let through of a passage, and why it dropped the rest, where it says."""

    stage: str
    kept: list[SpanOut]
    why: str


class PassageOut(BaseModel):
    """A chunk that was retrieved, and what became of it.

    `protected` is what pruning would keep whatever its score. `tokens` are start, end and
    attribution, from 0 to 1 within the passage; null where the embedder does not allow for it.
    """

    doc: str
    doc_id: str
    revision: str
    source: str
    title: str
    page: int | None
    section: str
    start: int
    end: int
    text: str
    score: float
    stages: list[Kept]
    protected: list[SpanOut]
    tokens: list[tuple[int, int, float]] | None


class Point(BaseModel):
    """A sentence of a passage (its number, from 0), its cluster, and its place in a plane."""

    passage: int
    start: int
    end: int
    cluster: int
    x: float
    y: float


class Explanation(BaseModel):
    """What became of the passages of a question, best first; `omitted` are not told of.

    `attribution` is the method that scored tokens. `points` are null where there is too little to
    cluster.
    """

    passages: list[PassageOut]
    omitted: int
    attribution: str | None
    points: list[Point] | None


class QueryAnswer(BaseModel):
    """An answer: its `[1]` are numbers of `citations`, from 1."""

    question: str
    answer: str
    abstained: bool
    citations: list[CitationOut]
    dropped_citations: int
    unsupported: list[str]
    sticker: StickerOut | None
    agreed: bool | None
    grounding_stage: str | None
    ledger: list[LedgerEntry]
    token_unit: str
    explanation: Explanation | None = None


class ModelOut(BaseModel):
    """One of the OpenAI API's models."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "spanrag"


class Models(BaseModel):
    """All there are."""

    object: Literal["list"] = "list"
    data: list[ModelOut]


class Health(BaseModel):
    """Whether the server lives, or is ready."""

    status: Literal["ok"]


class ProblemDetails(BaseModel):
    """A refusal (RFC 9457), with the codes of the command line."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    error: dict[str, Any]
