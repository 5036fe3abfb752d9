"""Where excerpts stand that a language model quoted: exactly, or the question is rejected.

Departure from the published pipeline, whose second and later references are misplaced: a quote is
looked for in the text that was shown, by coordinates of the document that nothing adds to, and what
was found is stored, not what the model wrote.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.synthesize.windows import Window
from rag.grounding.anchor import find_quote
from rag.spans import Span, SpanSet
from rag.types import Chunk, Document, Passage

__all__ = ["locate", "merged", "shown"]

_SHORTEST = 4  # characters of an excerpt


def shown(window: Window, pieces: SpanSet) -> list[Passage]:
    """The pieces of a window as passages."""
    return [_passage(window.document, span) for span in pieces]


def locate(quotes: Sequence[str], window: Window, passages: Sequence[Passage]) -> SpanSet | None:
    """The spans of all quotes in the window's document; None if one is not found.

    Quotes that overlap, or that only white space parts, are one span.
    """
    text = window.document.text
    spans: list[Span] = []
    for quote in quotes:
        anchor = find_quote(quote, passages)
        if anchor is None or len(anchor.span) < _SHORTEST:
            return None
        spans.append(_with_stop(anchor.span, quote, text))
    return merged(spans, text) if spans else None


def _with_stop(span: Span, quote: str, text: str) -> Span:
    """With the full stop behind it, where the quote has one, too: it was not looked for."""
    stops = quote.rstrip("\"' ").endswith(".") and text.startswith(".", span.end)
    return Span(span.start, span.end + stops)


def merged(spans: Sequence[Span], text: str) -> SpanSet:
    """The spans together, with the white space between neighbours."""
    found = SpanSet(spans)
    gaps = zip(found.spans, found.spans[1:], strict=False)
    blank = (Span(a.end, b.start) for a, b in gaps if not text[a.end : b.start].strip())
    return found | SpanSet(blank)


def _passage(document: Document, span: Span) -> Passage:
    chunk = Chunk(
        doc_id=document.id,
        revision=document.revision,
        ordinal=0,
        span=span,
        text=span.text_in(document.text),
        source=document.source,
        name=document.name,
        title=document.title,
        places=document.places(span),
    )
    return Passage(chunk, SpanSet([span]))
