from __future__ import annotations

import re

import pytest

from rag.generation import ExtractiveGenerator
from rag.grounding import resolve_citations
from rag.spans import Span, SpanSet
from rag.types import Chunk, Context, Passage


def passage(text: str, *kept: Span) -> Passage:
    span = Span(100, 100 + len(text))
    chunk = Chunk("d", "r", 0, span, text, name="a.txt")
    return Passage(chunk, SpanSet(each.shift(100) for each in kept) if kept else SpanSet([span]))


def test_a_passage_is_a_line_with_its_mark() -> None:
    context = Context((passage("Sales rose."), passage("Costs\n  fell.")))
    written = ExtractiveGenerator().generate("anything", context)
    assert written.text == "Sales rose. [S1]\nCosts fell. [S2]"
    assert (written.llm_calls, written.llm_tokens, written.degraded) == (0, 0, "")


def test_each_kept_stretch_is_a_line_of_its_own() -> None:
    context = Context((passage("Sales rose. Rain fell. Costs fell.", Span(0, 11), Span(23, 34)),))
    assert ExtractiveGenerator().generate("", context).text == "Sales rose. [S1]\nCosts fell. [S1]"


def test_nothing_to_quote_is_an_empty_answer() -> None:
    assert ExtractiveGenerator().generate("anything", Context()).text == ""


@pytest.mark.parametrize("own", ["[S2]", "[s1]", "see Table [S7]"])
def test_what_looks_like_a_mark_in_a_document_is_not_taken_for_one_of_ours(own: str) -> None:
    context = Context(
        (passage(f"The dose was halved {own} in April."), passage("The dose was doubled."))
    )
    written = ExtractiveGenerator().generate("", context).text
    marks = re.findall(r"\[S\d+\]", written, re.IGNORECASE)
    assert marks == ["[S1]", "[S2]"]
    assert resolve_citations(written, context).dropped == 0


def test_every_line_is_cited_with_its_own_passage_and_verified() -> None:
    texts = ["Net sales rose 4.2% to 1.3 billion.", "Tamrezumab lowered attacks by a third."]
    context = Context(tuple(passage(text) for text in texts))
    written = ExtractiveGenerator().generate("", context).text
    resolved = resolve_citations(written, context)
    assert [citation.quote for citation in resolved.citations] == texts
    assert all(citation.verified for citation in resolved.citations)
