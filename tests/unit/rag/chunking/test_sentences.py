from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rag.chunking import SentenceChunker
from rag.spans import Span
from rag.tokens import TokenCounter
from rag.types import Document, Section

FOUR = "Net sales rose. Costs fell fast. Cash came in. Debt went down."


def texts(
    counter: TokenCounter, text: str, size: int, overlap: int = 0, headings: tuple[str, ...] = ()
) -> list[str]:
    sections = tuple(Section(Span(text.index(each), len(text)), each) for each in headings)
    document = Document("file", "k", "k", "k", text, sections=sections)
    return [chunk.text for chunk in SentenceChunker(counter, size, overlap).split(document)]


def test_sentences_are_packed_while_they_fit(counter: TokenCounter) -> None:
    assert texts(counter, FOUR, 8) == [
        "Net sales rose. Costs fell fast.",
        "Cash came in. Debt went down.",
    ]
    assert texts(counter, FOUR, 12)[0] == "Net sales rose. Costs fell fast. Cash came in."
    assert texts(counter, FOUR, 16) == [FOUR]


def test_the_next_chunk_repeats_whole_sentences_up_to_the_overlap(counter: TokenCounter) -> None:
    assert texts(counter, FOUR, 8, 4) == [
        "Net sales rose. Costs fell fast.",
        "Costs fell fast. Cash came in.",
        "Cash came in. Debt went down.",
    ]


def test_a_sentence_longer_than_the_overlap_is_not_repeated(counter: TokenCounter) -> None:
    assert texts(counter, FOUR, 8, 3) == texts(counter, FOUR, 8)


def test_an_overlap_gives_way_to_the_sentence_that_follows(counter: TokenCounter) -> None:
    text = "Net sales rose. Costs fell fast. One two three four five six seven."
    assert texts(counter, text, 8, 4) == [
        "Net sales rose. Costs fell fast.",
        "One two three four five six seven.",
    ]


def test_a_sentence_longer_than_a_chunk_is_cut_into_windows(counter: TokenCounter) -> None:
    assert texts(counter, "One two three four five six seven. Net sales rose.", 5) == [
        "One two three four five",
        "six seven.",
        "Net sales rose.",
    ]


def test_a_new_section_begins_a_new_chunk(counter: TokenCounter) -> None:
    text = "Net sales rose.\nRisks\nCosts fell fast."
    assert texts(counter, text, 16) == [text]
    assert texts(counter, text, 16, headings=("Risks",)) == [
        "Net sales rose.",
        "Risks\nCosts fell fast.",
    ]


def test_a_lone_heading_is_no_chunk(counter: TokenCounter) -> None:
    text = "Part one\nRisks\nCosts fell fast. Debt went down."
    assert texts(counter, text, 40, headings=("Part one", "Risks")) == [text]


def test_a_new_section_repeats_nothing_of_the_one_before(counter: TokenCounter) -> None:
    text = "Net sales rose.\nCosts fell fast.\nRisks\nCash came in."
    assert texts(counter, text, 16, 8, headings=("Risks",)) == [
        "Net sales rose.\nCosts fell fast.",
        "Risks\nCash came in.",
    ]


def test_rows_of_a_table_stay_whole(counter: TokenCounter) -> None:
    rows = [f"| item {number} | {number}00 | {number}50 |" for number in range(1, 9)]
    chunks = texts(counter, "\n".join(rows), 30)
    assert len(chunks) > 2
    assert [row for chunk in chunks for row in chunk.split("\n")] == rows


@pytest.mark.parametrize("kind", ["table", "list"])
def test_a_table_that_fits_into_a_chunk_is_not_parted(counter: TokenCounter, kind: Any) -> None:
    prose = "Net sales rose in every region that we report on. " * 3
    rows = "\n".join(f"Region {n} | {n}00 | {n}50" for n in range(1, 5))
    text = f"{prose}\n\n{rows}\n\nThat is all."
    table = Span(text.index(rows), text.index(rows) + len(rows))
    size = counter.count(prose) + 12
    plain = Document("file", "k", "k", "k", text)
    told = replace(plain, sections=(Section(table, "", 2, kind),))
    parted = [cut.span for cut in SentenceChunker(counter, size).cuts(plain)]
    assert not any(span.covers(table) for span in parted), "the test would show nothing"
    kept = [cut.span for cut in SentenceChunker(counter, size).cuts(told)]
    assert any(span.covers(table) for span in kept)


def test_a_table_larger_than_a_chunk_is_parted_between_rows(counter: TokenCounter) -> None:
    rows = [f"Region {n} | {n}00 | {n}50" for n in range(1, 30)]
    text = "\n".join(rows)
    document = Document(
        "file", "k", "k", "k", text, sections=(Section(Span(0, len(text)), "Sales", 1, "table"),)
    )
    cuts = [cut.span.text_in(text) for cut in SentenceChunker(counter, 40).cuts(document)]
    assert len(cuts) > 3
    assert [row for cut in cuts for row in cut.split("\n")] == rows
