"""Answers and hits as JSON: what `--json` prints, and what the server sends."""

from __future__ import annotations

from typing import Any

from rag.ledger import TokenLedger
from rag.types import Answer, Chunk, Citation, Grounding

__all__ = ["answer_to_json", "hit_to_json", "ledger_to_json"]


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
                {"source": each.source, "start": each.span.start, "end": each.span.end}
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
