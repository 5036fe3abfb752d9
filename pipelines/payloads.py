"""Answers and hits as JSON, and back: what `--json` prints, and what a server sends."""

from __future__ import annotations

from typing import Any

from rag.ledger import Entry, TokenLedger
from rag.spans import Span
from rag.types import Answer, Chunk, Citation, Context, Fact, Grounding, Place, Sticker

__all__ = ["answer_from_json", "answer_to_json", "chunk_from_json", "hit_to_json", "ledger_to_json"]


def hit_to_json(chunk: Chunk, score: float) -> dict[str, Any]:
    """A chunk that was found."""
    place = chunk.place_at(chunk.span.start)
    return {
        "doc": chunk.name,
        "source": chunk.source,
        "start": chunk.span.start,
        "end": chunk.span.end,
        "text": chunk.text,
        "score": score,
        "page": place.page,
        "section": place.section,
        "doc_id": chunk.doc_id,
        "revision": chunk.revision,
        "also": list(chunk.also),
    }


def answer_to_json(answer: Answer) -> dict[str, Any]:
    """An answer, with its citations and its ledger."""
    return {
        "question": answer.question,
        "answer": answer.text,
        "abstained": answer.abstained,
        "citations": [_citation_to_json(citation) for citation in answer.citations],
        "dropped_citations": answer.dropped_citations,
        "unsupported": list(answer.unsupported),
        **_grounding_to_json(answer.grounding),
        "ledger": ledger_to_json(answer.ledger),
        "token_unit": answer.ledger.unit,
    }


def ledger_to_json(ledger: TokenLedger) -> list[dict[str, Any]]:
    """What each stage took in and let through, and what it cost."""
    return [
        {
            "stage": entry.stage,
            "tokens_in": entry.tokens_in,
            "tokens_out": entry.tokens_out,
            "llm_calls": entry.llm_calls,
            "llm_tokens": entry.llm_tokens,
            "llm_cached": entry.llm_cached,
            "seconds": round(entry.seconds, 6),
            "degraded": entry.degraded,
            "note": entry.note,
            "overruled": entry.overruled,
        }
        for entry in ledger
    ]


def _grounding_to_json(grounding: Grounding | None) -> dict[str, Any]:
    """Nulls where the answer was not grounded."""
    if grounding is None:
        return {"sticker": None, "agreed": None, "grounding_stage": None}
    sticker = grounding.sticker
    facts = [
        {
            "text": fact.text,
            "evidence": [
                {
                    "source": each.source,
                    "doc_id": each.doc_id,
                    "start": each.span.start,
                    "end": each.span.end,
                }
                for each in fact.evidence
            ],
        }
        for fact in sticker.facts
    ]
    return {
        "sticker": {"question": sticker.question, "facts": facts, "dropped": sticker.dropped},
        "agreed": grounding.agreed,
        "grounding_stage": grounding.stage,
    }


def _citation_to_json(citation: Citation) -> dict[str, Any]:
    return {
        "doc": citation.name,
        "source": citation.source,
        "start": citation.span.start,
        "end": citation.span.end,
        "quote": citation.quote,
        "verified": citation.verified,
        "page": citation.place.page,
        "section": citation.place.section,
        "doc_id": citation.doc_id,
        "revision": citation.revision,
        "also": list(citation.also),
    }


def chunk_from_json(told: dict[str, Any]) -> Chunk:
    """A chunk that was sent: as `hit_to_json` made it, so at one place alone."""
    return Chunk(
        doc_id=told["doc_id"],
        revision=told["revision"],
        ordinal=0,
        span=Span(told["start"], told["end"]),
        text=told["text"],
        source=told["source"],
        name=told["doc"],
        places=(Place(told["start"], told["page"], told["section"]),),
        also=tuple(told["also"]),
    )


def answer_from_json(told: dict[str, Any]) -> Answer:
    """An answer that was sent: as `answer_to_json` made it, so without its context."""
    return Answer(
        question=told["question"],
        text=told["answer"],
        citations=tuple(map(_citation_from_json, told["citations"])),
        context=Context(()),
        ledger=TokenLedger(told["token_unit"], [Entry(**entry) for entry in told["ledger"]]),
        abstained=told["abstained"],
        dropped_citations=told["dropped_citations"],
        grounding=_grounding_from_json(told),
        unsupported=tuple(told["unsupported"]),
    )


def _citation_from_json(told: dict[str, Any]) -> Citation:
    return Citation(
        doc_id=told["doc_id"],
        revision=told["revision"],
        source=told["source"],
        name=told["doc"],
        span=Span(told["start"], told["end"]),
        quote=told["quote"],
        place=Place(told["start"], told["page"], told["section"]),
        verified=told["verified"],
        also=tuple(told["also"]),
    )


def _grounding_from_json(told: dict[str, Any]) -> Grounding | None:
    sticker = told["sticker"]
    if sticker is None:
        return None
    facts = tuple(
        Fact(fact["text"], tuple(map(_evidence_from_json, fact["evidence"])))
        for fact in sticker["facts"]
    )
    return Grounding(
        Sticker(sticker["question"], facts, sticker["dropped"]),
        told["agreed"],
        told["grounding_stage"],
    )


def _evidence_from_json(told: dict[str, Any]) -> Citation:
    """Where a fact stands, of which no more is sent."""
    span = Span(told["start"], told["end"])
    source = told["source"]
    return Citation(told["doc_id"], "", source, source, span, "", Place(span.start), verified=False)
