"""Citations: every mark in an answer is resolved to a span, and what it claims is checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from rag.pruning.render import readable
from rag.sentences import sentence_spans
from rag.spans import Span
from rag.types import Citation, Context, Passage

__all__ = ["SUPPORT", "Resolved", "resolve_citations"]

SUPPORT = 0.5
"""Share of a claim's content words that must stand in its quote for it to count as verified."""

_MARK = re.compile(r"\[S(\d+)\]", re.IGNORECASE)
_MARKS = re.compile(r"\[S\d+(?:\s*[,;]\s*S?\d+)+\]", re.IGNORECASE)  # [S1, S2]
_LIST_NUMBER = re.compile(r"^\s*\d+[.)]\s")
_BARE = re.compile(r"\[(?=\d+\])")  # would read as one of our numbers
_WORD = re.compile(r"\w+(?:[.,'’-]\w+)*")  # noqa: RUF001
_FUNCTION_WORDS = frozenset(
    "a about after all also an and any are as at be been before both but by can could did do "
    "does each for from had has have he her his how i if in into is it its may more most no "
    "not of on one only or other our over she should so some such than that the their them "
    "then there these they this those to under was we were what when where which while who "
    "will with would you your according source sources stated states answer".split()
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """An answer whose marks are the numbers of its citations, and how many marks led nowhere."""

    text: str
    citations: tuple[Citation, ...]
    dropped: int


def resolve_citations(text: str, context: Context) -> Resolved:
    """Turn the marks of an answer into citations.

    A mark claims the words before it, back to the last mark or line (those after it, where it
    opens the line). Its quote is the stretch of
    the marked passage's kept text that shares most of those words. A mark without a passage, or
    whose passage shares no word with the claim, is dropped from the text and counted. A line
    without any mark gets one where a passage supports it.

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
    passage = context.passages[number - 1]
    words = _content_words(_LIST_NUMBER.sub("", claim))
    span, support = _quote(words, passage)
    if span is None or not support:
        return None
    quote = passage.chunk.slice(span)
    chunk = passage.chunk
    figures = {word for word in words if any(map(str.isdigit, word))}
    return Citation(
        doc_id=chunk.doc_id,
        revision=chunk.revision,
        source=chunk.source,
        name=chunk.name,
        span=span,
        quote=quote,
        place=chunk.place_at(span.start),
        verified=support >= SUPPORT and figures <= _content_words(quote),
    )


def _quote(words: set[str], passage: Passage) -> tuple[Span | None, float]:
    """The sentences of the passage that share most words with the claim, and the share.

    One sentence where one says it all; its neighbours are added where they say more, never
    across a sentence that was not kept.
    """
    best: tuple[float, Span | None] = (0.0, None)
    start = passage.chunk.span.start
    for kept in readable(passage) if words else ():
        sentences = [
            span.shift(start) for span in sentence_spans(passage.chunk.text, kept.shift(-start))
        ]
        shared = [words & _content_words(passage.chunk.slice(span)) for span in sentences]
        if any(shared):
            first, last, covered = _run(shared)
            span = Span(sentences[first].start, sentences[last].end)
            best = max(best, (len(covered) / len(words), span), key=lambda found: found[0])
    return best[1], best[0]


def _run(shared: list[set[str]]) -> tuple[int, int, set[str]]:
    """The sentence with most shared words, grown while its neighbours share further ones."""
    first = last = max(range(len(shared)), key=lambda at: len(shared[at]))
    covered = shared[first]
    while last + 1 < len(shared) and shared[last + 1] - covered:
        last += 1
        covered = covered | shared[last]
    while first and shared[first - 1] - covered:
        first -= 1
        covered = covered | shared[first]
    return first, last, covered


def _content_words(text: str) -> set[str]:
    return {word.strip(".,") for word in _WORD.findall(text.lower())} - _FUNCTION_WORDS
