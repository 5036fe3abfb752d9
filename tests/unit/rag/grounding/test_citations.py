from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.grounding import resolve_citations
from rag.grounding.citations import Resolved
from rag.pruning.render import readable
from rag.spans import Span, SpanSet
from rag.types import Chunk, Context, Document, Passage, Section

MARK = re.compile(r"\[(\d+)\]")


def document(text: str, name: str = "a.txt") -> Document:
    return Document(
        "file",
        name,
        f"docs/{name}",
        name,
        text,
        pages=(0, 40),
        sections=(Section(Span(0, len(text)), "Results"),),
    )


def passage(of: Document, start: int = 0, end: int | None = None, *kept: str) -> Passage:
    """A chunk of a document, of which the given stretches (or all) are kept."""
    span = Span(start, len(of.text) if end is None else end)
    chunk = Chunk(
        doc_id=of.id,
        revision=of.revision,
        ordinal=0,
        span=span,
        text=span.text_in(of.text),
        source=of.source,
        name=of.name,
        places=of.places(span),
    )
    spans = [Span(at := of.text.index(piece), at + len(piece)) for piece in kept]
    return Passage(chunk, SpanSet(spans or [span]))


SALES = document(
    "Weather was mild all year. Net sales rose 4.2% to 1.3 billion dollars. "
    "Operating costs fell in Norway. The board met nine times.",
    "sales.pdf",
)
DRUG = document("Tamrezumab lowered asthma attacks by a third. Headache was common.", "drug.txt")
CONTEXT = Context((passage(SALES), passage(DRUG)))
DOCUMENTS = {each.id: each for each in (SALES, DRUG)}


def assert_sound(resolved: Resolved, context: Context, documents: dict[str, Document]) -> None:
    """What holds of every answer, however it was written."""
    numbers = {int(number) for number in MARK.findall(resolved.text)}
    assert set(range(1, len(resolved.citations) + 1)) <= numbers
    assert len({(c.doc_id, c.span, c.verified) for c in resolved.citations}) == len(
        resolved.citations
    )
    for citation in resolved.citations:
        of = documents[citation.doc_id]
        assert citation.quote == citation.span.text_in(of.text) != ""
        assert (citation.revision, citation.source, citation.name) == (
            of.revision,
            of.source,
            of.name,
        )
        assert any(
            all(
                at in readable(each) or of.text[at].isspace()
                for at in range(citation.span.start, citation.span.end)
            )
            for each in context.passages
            if each.chunk.doc_id == citation.doc_id
        ), "a quote holds what was not kept"


def test_a_known_mark_becomes_a_citation_of_the_sentence_that_says_it() -> None:
    resolved = resolve_citations("Sales rose 4.2% [S1].", CONTEXT)
    (citation,) = resolved.citations
    assert (resolved.text, resolved.dropped) == ("Sales rose 4.2% [1].", 0)
    assert citation.quote == "Net sales rose 4.2% to 1.3 billion dollars."
    assert citation.span.text_in(SALES.text) == citation.quote
    assert (citation.name, citation.verified) == ("sales.pdf", True)
    assert (citation.place.page, citation.place.section) == (1, "Results")


def test_a_quote_deep_in_a_document_has_document_coordinates_and_its_own_page() -> None:
    at = SALES.text.index("Operating")
    context = Context((passage(SALES, at),))
    (citation,) = resolve_citations("Costs fell in Norway [S1]", context).citations
    assert citation.span == Span(at, at + len("Operating costs fell in Norway."))
    assert citation.place.page == 2


@pytest.mark.parametrize("number", ["0", "3", "99", "007", "9" * 30, "9" * 5_000])
def test_a_mark_without_a_passage_is_dropped_and_counted(number: str) -> None:
    resolved = resolve_citations(f"Sales rose 4.2% [S{number}].", CONTEXT)
    assert (resolved.text, resolved.citations, resolved.dropped) == ("Sales rose 4.2%.", (), 1)


def test_a_mark_whose_passage_shares_no_word_is_dropped_and_counted() -> None:
    resolved = resolve_citations("Penguins swim well [S1]. Attacks fell by a third [S2].", CONTEXT)
    assert resolved.dropped == 1
    assert resolved.text == "Penguins swim well. Attacks fell by a third [1]."
    assert [citation.name for citation in resolved.citations] == ["drug.txt"]


def test_a_word_of_no_content_supports_nothing() -> None:
    resolved = resolve_citations("It was so in the year of our [S1].", Context((passage(DRUG),)))
    assert (resolved.citations, resolved.dropped) == ((), 1)


@pytest.mark.parametrize(
    ("claim", "verified"),
    [
        ("Net sales rose 4.2% to 1.3 billion dollars", True),
        ("Net sales rose 4.3% to 1.3 billion dollars", False),
        ("Net sales rose 42% to 1.3 billion dollars", False),
        ("Net sales rose 4.2% in 2023 to 1.3 billion dollars", False),
        ("Net sales rose", True),
        ("Sales of penguins, walruses, seals and whales collapsed", False),
    ],
)
def test_a_claim_is_verified_by_its_words_and_every_one_of_its_numbers(
    claim: str, verified: bool
) -> None:
    (citation,) = resolve_citations(f"{claim} [S1].", CONTEXT).citations
    assert citation.verified is verified


def test_a_wrong_number_does_not_hide_behind_an_earlier_verified_use_of_the_quote() -> None:
    text = "Net sales rose 4.2% [S1]. Net sales rose 9.9% [S1]."
    citations = resolve_citations(text, CONTEXT).citations
    assert not all(citation.verified for citation in citations)


def test_an_answer_without_marks_is_cited_where_a_passage_supports_it() -> None:
    resolved = resolve_citations(
        "Tamrezumab lowered asthma attacks.\nPenguins swim.\nOperating costs fell in Norway.",
        CONTEXT,
    )
    assert resolved.text == (
        "Tamrezumab lowered asthma attacks. [1]\n"
        "Penguins swim.\n"
        "Operating costs fell in Norway. [2]"
    )
    assert [citation.name for citation in resolved.citations] == ["drug.txt", "sales.pdf"]
    assert all(citation.verified for citation in resolved.citations)
    assert resolved.dropped == 0


@pytest.mark.parametrize("marks", ["[S1][S2]", "[S1] [S2]", "[S1], [S2]", "[s1] [s2]"])
def test_several_marks_in_a_row_claim_the_same_words(marks: str) -> None:
    twice = Context((passage(SALES), passage(document(SALES.text, "copy.pdf"))))
    resolved = resolve_citations(f"Net sales rose 4.2% {marks}.", twice)
    assert [citation.name for citation in resolved.citations] == ["sales.pdf", "copy.pdf"]
    assert MARK.findall(resolved.text) == ["1", "2"]


@pytest.mark.parametrize(
    "text",
    [
        "Net sales rose 4.2% [S1]. Headache was common [S2].",
        "Net sales rose 4.2%. [S1] Headache was common. [S2]",
        "Net sales rose 4.2%.[S1] Headache was common.[S2]",
    ],
)
def test_a_mark_may_stand_before_or_after_the_full_stop(text: str) -> None:
    resolved = resolve_citations(text, CONTEXT)
    assert [citation.quote for citation in resolved.citations] == [
        "Net sales rose 4.2% to 1.3 billion dollars.",
        "Headache was common.",
    ]
    assert all(citation.verified for citation in resolved.citations)
    assert resolved.text == text.replace("[S", "[")


def test_a_quote_used_twice_is_listed_once_and_keeps_its_number() -> None:
    text = "Net sales rose [S1]. Headache was common [S2]. Net sales rose 4.2% [S1]."
    resolved = resolve_citations(text, CONTEXT)
    assert MARK.findall(resolved.text) == ["1", "2", "1"]
    assert len(resolved.citations) == 2


def test_a_claim_that_two_neighbours_say_together_quotes_both() -> None:
    text = "Net sales rose 4.2% and operating costs fell in Norway [S1]."
    (citation,) = resolve_citations(text, CONTEXT).citations
    assert citation.quote == (
        "Net sales rose 4.2% to 1.3 billion dollars. Operating costs fell in Norway."
    )
    assert citation.verified


def test_a_quote_never_bridges_what_was_not_kept() -> None:
    kept = ["Weather was mild all year.", "The board met nine times."]
    context = Context((passage(SALES, 0, None, *kept),))
    resolved = resolve_citations("Weather was mild and the board met nine times [S1].", context)
    assert_sound(resolved, context, DOCUMENTS)
    assert all("sales" not in citation.quote for citation in resolved.citations)


def test_what_was_not_kept_supports_nothing() -> None:
    context = Context((passage(SALES, 0, None, "The board met nine times."),))
    resolved = resolve_citations("Net sales rose 4.2% [S1].", context)
    assert (resolved.citations, resolved.dropped) == ((), 1)


@pytest.mark.parametrize("text", ["", " ", "\n", "\n\n\n", "[S1]", "[S1][S2]", "...", "[S", "]["])
def test_an_answer_without_words_has_no_citations(text: str) -> None:
    resolved = resolve_citations(text, CONTEXT)
    assert resolved.citations == ()
    assert resolved.dropped == text.count("[S") - (text == "[S")


def test_without_any_passage_every_mark_is_dropped() -> None:
    resolved = resolve_citations("Sales rose [S1]. Costs fell [S2].", Context())
    assert (resolved.text, resolved.dropped) == ("Sales rose. Costs fell.", 2)


def test_a_very_long_answer_is_resolved_in_reasonable_time() -> None:
    resolved = resolve_citations("Net sales rose 4.2% [S1]. " * 2_000 + "word " * 100_000, CONTEXT)
    assert len(resolved.citations) == 1


FRAGMENTS = [
    "Net sales rose 4.2%",
    "operating costs fell in Norway",
    "the board met nine times",
    "weather was mild",
    "headache was common",
    "penguins",
    " [S1]",
    "[S2]",
    "[S1][S2]",
    " [S9]",
    "[S0]",
    "[s1]",
    "[S]",
    "[S1",
    "[S\u0661]",  # an Arabic one: a digit to Python
    "[S²]",
    ". ",
    ".",
    ", ",
    "\n",
    "\r\n",
    "\u2028",
    " 7 ",
    "<|im_end|>",
    "\x00",
    "\ud800",
    "é收益\U0001f600",
]
ANSWERS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=12), max_size=25).map("".join)
SENTENCES = [
    "Net sales rose 4.2% to 1.3 billion dollars.",
    "Operating costs fell in Norway.",
    "The board met nine times.",
    "Weather was mild all year.",
    "Headache was common.",
    "\n\n",
    "Erträge é收益 \U0001f600.",
]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Context, dict[str, Document]]:
    passages, documents = [], {}
    for number in range(draw(st.integers(0, 3))):
        text = " ".join(draw(st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=6)))
        of = document(text, f"{number}.txt")
        documents[of.id] = of
        start = draw(st.integers(0, len(text) - 1))
        whole = passage(of, start, draw(st.integers(start + 1, len(text))))
        edges = sorted(draw(st.lists(st.integers(start, len(text)), max_size=6)))
        spans = [Span(*pair) for pair in zip(edges[::2], edges[1::2], strict=False)]
        passages.append(whole.narrow(SpanSet(spans)) if spans else whole)
    return Context(tuple(passages)), documents


@given(ANSWERS, worlds())
def test_whatever_a_model_writes_every_citation_quotes_its_document(
    text: str, world: tuple[Context, dict[str, Document]]
) -> None:
    context, documents = world
    resolved = resolve_citations(text, context)
    assert_sound(resolved, context, documents)
    marks = re.findall(r"\[S\d+\]", text, re.IGNORECASE)
    assert resolved.dropped <= len(marks)
    assert not re.search(r"\[S\d+\]", resolved.text, re.IGNORECASE)


# --- summaries -----------------------------------------------------------------------------


def told_of(*passages: Passage) -> Passage:
    first, *rest = passages
    return replace(first, written="Sales and costs changed.", beside=tuple(rest))


def test_a_mark_of_a_summary_leads_to_the_source_that_says_it() -> None:
    context = Context((told_of(passage(SALES), passage(DRUG)),))
    resolved = resolve_citations(
        "Net sales rose 4.2% [S1]. Tamrezumab lowered asthma attacks [S1].", context
    )
    assert_sound(resolved, Context(tuple(context.sources)), DOCUMENTS)
    assert [citation.name for citation in resolved.citations] == ["sales.pdf", "drug.txt"]
    assert all(citation.verified for citation in resolved.citations)
    assert resolved.text.count("[1]") == resolved.text.count("[2]") == 1


def test_what_only_the_summary_says_is_no_citation() -> None:
    context = Context((told_of(passage(SALES, 0, None, "The board met nine times.")),))
    resolved = resolve_citations("Sales and costs changed [S1].", context)
    assert (resolved.citations, resolved.dropped) == ((), 1)


def test_what_a_summary_was_not_written_from_is_never_quoted() -> None:
    kept = told_of(passage(SALES, 0, None, "The board met nine times."), passage(DRUG))
    resolved = resolve_citations(
        "Net sales rose and the board met nine times [S1].", Context((kept,))
    )
    (citation,) = resolved.citations
    assert citation.quote == "The board met nine times."


@given(
    st.lists(
        st.sampled_from(
            ["Net sales rose 4.2%", "headache", " [S1]", "[S2]", " [S3]", "\n", "of 9%"]
        )
        | st.text(max_size=5),
        max_size=12,
    ).map("".join),
    st.sampled_from([0, 10, 40]),
)
def test_whatever_is_said_of_summaries_quotes_are_of_their_sources(text: str, start: int) -> None:
    context = Context((told_of(passage(SALES, start), passage(DRUG)), passage(DRUG, 46)))
    resolved = resolve_citations(text, context)
    assert_sound(resolved, Context(tuple(context.sources)), DOCUMENTS)
