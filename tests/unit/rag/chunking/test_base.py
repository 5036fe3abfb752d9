from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from rag.chunking import Cut, RecursiveChunker, SentenceChunker, SpanChunker, TokenChunker
from rag.spans import Span
from rag.tokens import TokenCounter
from rag.types import Document, Place, Section

KINDS = (TokenChunker, RecursiveChunker, SentenceChunker)
MEGABYTE = 1_000_000


class Halves(SpanChunker):
    """The least a chunker can be: it only says where to cut."""

    kind = "halves"

    def cuts(self, document: Document) -> Iterator[Cut]:
        middle = len(document.text) // 2
        yield Cut(Span(0, middle), 3)
        yield Cut(Span(middle, len(document.text)), 4)


def document(text: str, **fields: object) -> Document:
    return Document("file", "/docs/a.txt", "/docs/a.txt", "docs/a.txt", text, **fields)  # type: ignore[arg-type]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.kind)
def kind(request: pytest.FixtureRequest) -> type[SpanChunker]:
    found = request.param
    assert issubclass(found, SpanChunker)
    return found


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (-1, 0), (5, 5), (5, 6), (5, -1)])
def test_a_chunker_refuses_sizes_that_do_not_move_on(
    kind: type[SpanChunker], counter: TokenCounter, size: int, overlap: int
) -> None:
    with pytest.raises(ValueError, match="need 0 <= overlap < size"):
        kind(counter, size, overlap)


def test_a_fingerprint_changes_with_all_that_changes_a_cut(counter: TokenCounter) -> None:
    settings = product(KINDS, (100, 200), (0, 10))
    prints = {kind(counter, size, overlap).fingerprint for kind, size, overlap in settings}
    assert len(prints) == 12
    assert SentenceChunker(counter, 200, 10).fingerprint == "sentences:all-MiniLM-L6-v2:200/10"


def test_a_chunk_repeats_what_a_citation_needs_of_its_document(
    kind: type[SpanChunker], counter: TokenCounter
) -> None:
    given = document("Net sales rose.", title="Report", meta={"year": 2023}, pages=(0, 4))
    (chunk,) = kind(counter).split(given)
    assert (chunk.doc_id, chunk.revision, chunk.ordinal) == (given.id, given.revision, 0)
    assert (chunk.source, chunk.name, chunk.title) == ("/docs/a.txt", "docs/a.txt", "Report")
    assert chunk.meta == {"year": 2023}
    assert chunk.places == (Place(0, 1), Place(4, 2))
    assert (chunk.span, chunk.tokens) == (Span(0, 15), 4)


def test_a_chunker_only_has_to_say_where_to_cut(counter: TokenCounter) -> None:
    given = document("abcdefg", sections=(Section(Span(3, 7), "End"),))
    first, second = Halves(counter).split(given)
    assert (first.text, first.tokens, first.ordinal) == ("abc", 3, 0)
    assert (second.text, second.tokens, second.ordinal) == ("defg", 4, 1)
    assert (first.places, second.places) == ((Place(0),), (Place(3, None, "End"),))


@pytest.mark.parametrize("text", ["", " ", "\r\n\r\n", "\u3000"])
def test_a_document_without_a_word_has_no_chunk(
    kind: type[SpanChunker], counter: TokenCounter, text: str
) -> None:
    assert list(kind(counter).split(document(text))) == []


@pytest.mark.parametrize("text", ["a", ".", "7", "\U0001f44d", "\u00e9", "\u6771", "\uac01"])
def test_a_document_of_one_character_is_one_chunk(
    kind: type[SpanChunker], counter: TokenCounter, text: str
) -> None:
    (chunk,) = kind(counter, 5).split(document(text))
    assert (chunk.text, chunk.span, chunk.tokens) == (text, Span(0, 1), counter.count(text))


@pytest.mark.parametrize("text", ["\u0301", "\u200b", "\ufeff", "\x00"])
def test_a_character_the_tokenizer_drops_is_still_in_a_chunk(
    kind: type[SpanChunker], counter: TokenCounter, text: str
) -> None:
    assert counter.count(text) == 0
    assert [chunk.text for chunk in kind(counter, 5).split(document(text))] == [text]


def test_repeated_rows_are_told_apart_by_their_spans(
    kind: type[SpanChunker], counter: TokenCounter
) -> None:
    row = "Total net sales 1,204 1,150\r\n"
    text = row * 200
    chunks = list(kind(counter, 30).split(document(text)))
    assert all(chunk.text == text[chunk.span.start : chunk.span.end] for chunk in chunks)
    assert len({chunk.span for chunk in chunks}) == len({chunk.id for chunk in chunks})
    assert len({chunk.text for chunk in chunks}) < len(chunks)


@pytest.mark.parametrize(
    "unit",
    ["net sales rose. ", "net sales rose ", "x", "\u6771\u4eac\u90fd", "\U0001f44d\u200d"],
    ids=["sentences", "words", "one word", "ideographs", "emoji"],
)
def test_a_megabyte_in_one_line_is_cut_and_nothing_is_lost(
    kind: type[SpanChunker], counter: TokenCounter, unit: str
) -> None:
    text = unit * (MEGABYTE // len(unit.encode()))
    chunks = list(kind(counter, 200).split(document(text)))
    assert max(counter.count_all([chunk.text for chunk in chunks])) <= 200
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk.text == text[chunk.span.start : chunk.span.end] for chunk in chunks)
    held = "".join(chunk.text for chunk in chunks)  # there is no overlap
    assert "".join(held.split()) == "".join(text.split())
