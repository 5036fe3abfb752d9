"""What holds of every chunk of every chunker."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.chunking import RecursiveChunker, SentenceChunker, SpanChunker, TokenChunker
from rag.spans import Span
from rag.tokens import TokenCounter
from rag.types import Chunk, Document, Place, Section

pytestmark = pytest.mark.parametrize(
    "kind", [TokenChunker, RecursiveChunker, SentenceChunker], ids=lambda kind: kind.kind
)

ROW = "Total net sales 1,204 1,150"
PIECES = [
    "Net sales rose. ",
    "Costs fell",
    "the ",
    "e-mail-server ",
    "a.b/c?d=e ",
    " ",
    "\n",
    "\r\n",
    "\n\n",
    "\t",
    "\f",
    "\u2028",
    "\u00a0",
    ROW,
    f"{ROW}\n",
    "| a | b |\r\n",
    "e\u0301",
    "\u0301",
    "\u00e9",
    "\U0001f44d\U0001f3fd",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u6771\u4eac\u90fd",
    "\ud55c\uad6d\uc5b4\uc785\ub2c8\ub2e4",
    "\u200b",
    "\ufeff",
    "\x00",
    ".",
    "...",
    "?!",
    "(",
    "antidisestablishmentarianism",
    "x" * 70,
    "qzxvk" * 30,
]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=20).map("".join)


class Setting(NamedTuple):
    """Below 8 tokens a single character may not fit: a Hangul syllable alone is three."""

    size: int
    overlap: int


settings = st.integers(8, 40).flatmap(
    lambda size: st.builds(Setting, st.just(size), st.integers(0, size - 1) | st.just(0))
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Documents with nested sections and pages, as a parser makes them."""
    text = draw(texts)
    offset = st.integers(0, len(text))
    title = st.sampled_from(["A", "B", "Fees", ""])
    headings = sorted(
        draw(st.lists(st.tuples(offset, st.integers(1, 3), title), max_size=6)),
        key=lambda heading: heading[0],
    )
    sections = []
    for at, (start, level, name) in enumerate(headings):
        ends = [other for other, rank, _ in headings[at + 1 :] if rank <= level]
        end = min([*ends, len(text)])
        if start < end:
            sections.append(Section(Span(start, end), name, level))
    starts = draw(st.none() | st.sets(offset, max_size=4))
    pages = () if starts is None else tuple(sorted({0, *starts}))
    return document(text, tuple(sections), pages)


def document(
    text: str, sections: tuple[Section, ...] = (), pages: tuple[int, ...] = ()
) -> Document:
    return Document("file", "/a", "/a", "a", text, sections=sections, pages=pages)


def cut(kind: type[SpanChunker], counter: TokenCounter, text: str, setting: Setting) -> list[Chunk]:
    return list(kind(counter, *setting).split(document(text)))


def lost(text: str, spans: Iterable[Span]) -> str:
    """The characters in no span, but for white space."""
    held = {offset for span in spans for offset in range(span.start, span.end)}
    return "".join(text[at] for at in range(len(text)) if at not in held).strip()


every_text = given(text=texts, setting=settings)


@every_text
@example(text="", setting=Setting(8, 0))
@example(text="x", setting=Setting(8, 0))
@example(text=f"{ROW}\n" * 40, setting=Setting(20, 5))
@example(text=f"{ROW}\r\n" * 40, setting=Setting(20, 5))
@example(text="| a | b |\n| - | - |\n| 1 | 2 |\n" * 9, setting=Setting(12, 0))
@example(text="\U0001f44d\U0001f3fd e\u0301 " * 30, setting=Setting(9, 3))
def test_the_text_of_a_chunk_is_the_documents_text_at_its_span(
    kind: type[SpanChunker], counter: TokenCounter, text: str, setting: Setting
) -> None:
    chunks = cut(kind, counter, text, setting)
    assert [text[chunk.span.start : chunk.span.end] for chunk in chunks] == [
        chunk.text for chunk in chunks
    ]
    assert bool(chunks) == bool(text.strip())


@every_text
@example(text="\ud55c\uad6d\uc5b4\uc785\ub2c8\ub2e4", setting=Setting(8, 0))
@example(text="qzxvk" * 26 + " " + "net sales rose " * 9, setting=Setting(8, 0))
def test_a_chunk_never_exceeds_its_size(
    kind: type[SpanChunker], counter: TokenCounter, text: str, setting: Setting
) -> None:
    chunks = cut(kind, counter, text, setting)
    assert [chunk.text for chunk in chunks if counter.count(chunk.text) > setting.size] == []
    assert [chunk for chunk in chunks if chunk.tokens > setting.size] == []


@every_text
@example(text="\ud55c\uad6d\uc5b4\uc785\ub2c8\ub2e4", setting=Setting(8, 0))
@example(text="e-mail-server e-mail-server \u200b Net sales rose. ", setting=Setting(10, 0))
def test_neighbours_share_no_more_than_the_overlap(
    kind: type[SpanChunker], counter: TokenCounter, text: str, setting: Setting
) -> None:
    for before, after in pairwise(cut(kind, counter, text, setting)):
        if shared := before.span.intersect(after.span):
            assert counter.count(shared.text_in(text)) <= setting.overlap
            assert setting.overlap


@every_text
@example(text="\ufeffnet sales", setting=Setting(8, 0))
@example(text="\u0301", setting=Setting(8, 0))
@example(text="net sales\x00 \u200b", setting=Setting(8, 0))
def test_every_character_but_white_space_is_in_some_chunk(
    kind: type[SpanChunker], counter: TokenCounter, text: str, setting: Setting
) -> None:
    assert lost(text, (chunk.span for chunk in cut(kind, counter, text, setting))) == ""


@every_text
@example(text="a b c " + "-".join("stuvw") + " d", setting=Setting(9, 5))
def test_chunks_stand_in_order_and_each_brings_something_new(
    kind: type[SpanChunker], counter: TokenCounter, text: str, setting: Setting
) -> None:
    chunks = cut(kind, counter, text, setting)
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    for before, after in pairwise(chunks):
        assert before.span.start < after.span.start
        assert before.span.end < after.span.end


@every_text
def test_a_chunk_has_no_white_space_at_its_ends(
    kind: type[SpanChunker], counter: TokenCounter, text: str, setting: Setting
) -> None:
    chunks = cut(kind, counter, text, setting)
    assert [
        chunk.text for chunk in chunks if chunk.text.strip() != chunk.text or not chunk.text
    ] == []


@every_text
def test_the_same_document_is_always_cut_the_same_way(
    kind: type[SpanChunker], counter: TokenCounter, text: str, setting: Setting
) -> None:
    first, second = (cut(kind, counter, text, setting) for _ in range(2))
    assert first == second
    assert len({chunk.id for chunk in first}) == len(first)


@given(
    words=st.lists(
        st.sampled_from(["net", "sales", "rose.", "1,204", "\u6771\u4eac", "ok?"]), max_size=60
    ),
    between=st.sampled_from([" ", "\n", "\r\n", " \n\n"]),
    setting=settings,
)
def test_the_tokens_of_a_chunk_are_those_of_its_text(
    kind: type[SpanChunker],
    counter: TokenCounter,
    words: list[str],
    between: str,
    setting: Setting,
) -> None:
    for chunk in cut(kind, counter, between.join(words), setting):
        assert chunk.tokens == counter.count(chunk.text)


@given(given_document=documents(), setting=settings)
def test_a_chunk_knows_page_and_section_of_each_of_its_characters(
    kind: type[SpanChunker], counter: TokenCounter, given_document: Document, setting: Setting
) -> None:
    for chunk in kind(counter, *setting).split(given_document):
        assert chunk.places[0].start == chunk.span.start
        for at in range(chunk.span.start, chunk.span.end):
            found = chunk.place_at(at)
            assert (found.page, found.section) == place(given_document, at)
            assert chunk.span.start <= found.start <= at


def place(of: Document, at: int) -> tuple[int | None, str]:
    """The page and the section path of one offset, by looking at every one of them."""
    page = max(1, sum(start <= at for start in of.pages)) if of.pages else None
    around = [section.title for section in of.sections if at in section.span and section.title]
    return page, " > ".join(around)


@given(given_document=documents(), setting=settings)
def test_the_places_of_a_chunk_are_no_more_than_the_changes_in_it(
    kind: type[SpanChunker], counter: TokenCounter, given_document: Document, setting: Setting
) -> None:
    for chunk in kind(counter, *setting).split(given_document):
        assert all(isinstance(each, Place) for each in chunk.places)
        for before, after in pairwise(chunk.places):
            assert before.start < after.start < chunk.span.end
            assert (before.page, before.section) != (after.page, after.section)
