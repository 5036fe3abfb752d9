"""Citations: every mark in an answer is resolved to a span, and what it claims is checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from rag.grounding.support import find_support
from rag.spans import Span
from rag.types import Citation, Context, Passage

__all__ = ["Resolved", "cite", "resolve_citations"]

_MARK = re.compile(r"\[S(\d+)\]", re.IGNORECASE)
_MARKS = re.compile(r"\[S\d+(?:\s*[,;]\s*S?\d+)+\]", re.IGNORECASE)  # [S1, S2]
_LIST_NUMBER = re.compile(r"^\s*\d+[.)]\s")
_BARE = re.compile(r"\[(?=\d+\])")  # would read as one of our numbers


@dataclass(frozen=True, slots=True)
class Resolved:
    """An answer whose marks are the numbers of its citations, and how many marks led nowhere."""

    text: str
    citations: tuple[Citation, ...]
    dropped: int


def resolve_citations(text: str, context: Context) -> Resolved:
    """Turn the marks of an answer into citations.

    A mark claims the words before it, back to the last mark or line (those after it, where it
    opens the line). Its quote is the stretch of the marked passage's kept text (of its sources,
    where it is written) that shares most of those words. A mark without a passage, or whose passage
    shares no word with the claim, is dropped from the text and counted. A line without any mark
    gets one where a passage supports it.

    Args:
        text: what the generator wrote, with marks `[S1]`, `[S2]`.
        context: the passages that the marks number, from 1.
    """
    citations: list[Citation] = []
    dropped = 0
    lines: list[str] = []
    for line in _BARE.sub("⟦", _MARKS.sub(_apart, text)).splitlines():
        parts = _MARK.split(line)  # claim, number, claim, number, ..., rest
        written, claim = "", ""
        for at in range(0, len(parts) - 1, 2):
            claim = parts[at] if parts[at].strip(" ,;.") else claim or parts[at + 2]
            digits = parts[at + 1]  # int() refuses thousands of them
            citation = _cite(claim, int(digits) if len(digits) < 10 else 0, context)
            written += parts[at]
            if citation is None:
                dropped += 1
                written = written.rstrip()
            else:
                written += f"[{_number(citation, citations)}]"
        rest = parts[-1]
        written += rest
        if len(parts) == 1 and (found := _best_supported(rest, context)):
            written = f"{written.rstrip()} [{_number(found, citations)}]"
        lines.append(written)
    return Resolved("\n".join(lines), tuple(citations), dropped)


def cite(passage: Passage, span: Span, *, verified: bool) -> Citation:
    """A stretch of a passage as a citation."""
    chunk = passage.chunk
    return Citation(
        doc_id=chunk.doc_id,
        revision=chunk.revision,
        source=chunk.source,
        name=chunk.name,
        span=span,
        quote=chunk.slice(span),
        place=chunk.place_at(span.start),
        verified=verified,
        also=chunk.also,
    )


def _apart(marks: re.Match[str]) -> str:
    return "".join(f"[S{number}]" for number in re.findall(r"\d+", marks[0]))


def _number(citation: Citation, citations: list[Citation]) -> int:
    """The citation's number, from 1.

    A quote cited twice is listed once, and is verified only if it supports both claims.
    """
    for at, known in enumerate(citations):
        if (known.doc_id, known.span) == (citation.doc_id, citation.span):
            citations[at] = replace(known, verified=known.verified and citation.verified)
            return at + 1
    citations.append(citation)
    return len(citations)


def _best_supported(claim: str, context: Context) -> Citation | None:
    """A verified citation for a claim that marks no source, or None."""
    for number in range(1, len(context.passages) + 1):
        citation = _cite(claim, number, context)
        if citation is not None and citation.verified:
            return citation
    return None


def _cite(claim: str, number: int, context: Context) -> Citation | None:
    if not 1 <= number <= len(context.passages):
        return None
    sources = context.passages[number - 1].sources
    found = find_support(_LIST_NUMBER.sub("", claim), sources)
    return None if found is None else cite(found.passage, found.span, verified=found.verified)
