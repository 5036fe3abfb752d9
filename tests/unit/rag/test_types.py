from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from rag.spans import Span, SpanSet
from rag.types import Chunk, Context, Document, Passage, Place, Section

TEXT = "Cover\nPart one. Fees. Risks.\nPart two."
REPORT = Document(
    namespace="file",
    key="/reports/annual.txt",
    source="/reports/annual.txt",
    name="2023/annual.txt",
    text=TEXT,
    title="Annual report",
    sections=(
        Section(Span(6, 28), "Part one"),
        Section(Span(16, 22), "Fees", level=2),
        Section(Span(22, 28), "Risks", level=2),
        Section(Span(29, 38), "Part two"),
    ),
    pages=(0, 22),
)


def chunk_of(document: Document, span: Span) -> Chunk:
    return Chunk(
        doc_id=document.id,
        revision=document.revision,
        ordinal=0,
        span=span,
        text=span.text_in(document.text),
        places=document.places(span),
    )


def test_an_id_depends_on_namespace_and_key_alone() -> None:
    assert replace(REPORT, text="else", title="else", meta={"a": 1}).id == REPORT.id
    assert replace(REPORT, key="/reports/other.txt").id != REPORT.id
    assert replace(REPORT, namespace="jsonl:/reports").id != REPORT.id


def test_an_id_is_the_same_on_every_machine() -> None:
    assert REPORT.id == "511e2231-457e-5992-abc1-61719a81d140"


@pytest.mark.parametrize(
    "change",
    [
        {"text": TEXT + "!"},
        {"title": "Quarterly report"},
        {"name": "2023/quarterly.txt"},
        {"pages": (0, 23)},
        {"sections": REPORT.sections[:-1]},
        {"sections": (replace(REPORT.sections[0], title="Part 1"), *REPORT.sections[1:])},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_revision_changes_with_all_that_is_embedded_or_cited(change: dict[str, Any]) -> None:
    assert replace(REPORT, **change).revision != REPORT.revision


@pytest.mark.parametrize(
    "change",
    [{"meta": {"year": 2023}}, {"source": "http://x/annual.txt"}, {"name": "2024/annual.txt"}],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_meta_keeps_the_revision_and_changes_the_meta_digest(
    change: dict[str, Any],
) -> None:
    changed = replace(REPORT, **change)
    assert changed.revision == REPORT.revision
    assert changed.meta_digest != REPORT.meta_digest


def test_a_fingerprint_changes_nothing() -> None:
    changed = replace(REPORT, fingerprint="mtime 7")
    assert changed.revision == REPORT.revision
    assert changed.meta_digest == REPORT.meta_digest


@pytest.mark.parametrize(
    ("name", "stem"), [("a/b.tar.gz", "b.tar"), ("b", "b"), ("", ""), ("a/.hidden", ".hidden")]
)
def test_the_stem_is_the_last_part_without_its_suffix(name: str, stem: str) -> None:
    assert replace(REPORT, name=name).stem == stem


def test_places_change_where_page_or_section_does() -> None:
    assert REPORT.places(Span(0, len(TEXT))) == (
        Place(0, 1, ""),
        Place(6, 1, "Part one"),
        Place(16, 1, "Part one > Fees"),
        Place(22, 2, "Part one > Risks"),
        Place(28, 2, ""),
        Place(29, 2, "Part two"),
    )


def test_places_of_a_span_begin_at_its_start_and_end_before_its_end() -> None:
    assert REPORT.places(Span(18, 22)) == (Place(18, 1, "Part one > Fees"),)
    assert REPORT.places(Span(18, 23)) == (
        Place(18, 1, "Part one > Fees"),
        Place(22, 2, "Part one > Risks"),
    )


def test_a_document_without_pages_has_no_page_anywhere() -> None:
    places = replace(REPORT, pages=()).places(Span(0, len(TEXT)))
    assert {place.page for place in places} == {None}


def test_an_untitled_section_leaves_no_gap_in_the_path() -> None:
    untitled = replace(
        REPORT, sections=(Section(Span(0, 9), ""), Section(Span(2, 5), "Inner", 2)), pages=()
    )
    assert untitled.places(Span(0, 9)) == (Place(0), Place(2, None, "Inner"), Place(5))


def test_sections_with_one_start_nest_in_the_order_given() -> None:
    both = replace(REPORT, sections=(Section(Span(0, 9), "Outer"), Section(Span(0, 4), "Inner", 2)))
    assert both.places(Span(0, 1))[0].section == "Outer > Inner"


def test_an_empty_document_has_one_place() -> None:
    empty = Document("file", "k", "k", "k", "")
    assert empty.places(Span(0, 0)) == (Place(0),)


def test_a_chunk_refuses_text_that_is_not_as_long_as_its_span() -> None:
    with pytest.raises(ValueError, match="chunk text of 3 characters"):
        Chunk(doc_id="d", revision="r", ordinal=0, span=Span(0, 4), text="abc")


def test_a_chunk_knows_the_place_of_each_of_its_offsets() -> None:
    chunk = chunk_of(REPORT, Span(10, 34))
    assert chunk.place_at(10) == Place(10, 1, "Part one")
    assert chunk.place_at(21) == Place(16, 1, "Part one > Fees")
    assert chunk.place_at(22) == Place(22, 2, "Part one > Risks")
    assert chunk.place_at(33) == Place(29, 2, "Part two")


def test_a_chunk_without_a_map_still_has_a_place() -> None:
    chunk = Chunk(doc_id="d", revision="r", ordinal=0, span=Span(5, 6), text="x")
    assert chunk.place_at(5) == Place(5)


def test_a_slice_of_a_chunk_is_the_documents_text() -> None:
    chunk = chunk_of(REPORT, Span(6, 28))
    assert chunk.slice(Span(16, 21)) == TEXT[16:21] == "Fees."
    for outside in (Span(5, 9), Span(27, 29), Span(30, 31)):
        with pytest.raises(ValueError, match="is not inside"):
            chunk.slice(outside)


def test_the_id_of_a_chunk_names_document_revision_and_ordinal() -> None:
    chunk = chunk_of(REPORT, Span(6, 28))
    others = [replace(chunk, doc_id="x"), replace(chunk, revision="x"), replace(chunk, ordinal=1)]
    assert len({chunk.id, *(other.id for other in others)}) == 4
    assert replace(chunk, text=chunk.text.upper()).id == chunk.id


def test_a_passage_only_ever_shrinks() -> None:
    chunk = chunk_of(REPORT, Span(6, 28))
    passage = Passage(chunk, SpanSet([Span(6, 15), Span(16, 21)]), score=0.5)
    narrowed = passage.narrow(SpanSet([Span(0, 9), Span(16, 40)]))
    assert narrowed.kept == SpanSet([Span(6, 9), Span(16, 21)])
    assert narrowed.pieces == [TEXT[6:9], TEXT[16:21]]
    assert narrowed.score == 0.5
    assert passage.pieces == ["Part one.", "Fees."]


def test_nouns_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        REPORT.text = "else"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        chunk_of(REPORT, Span(0, 2)).text = "el"  # type: ignore[misc]


# --- what was written, and what it was written from ----------------------------------------

WRITTEN = "Fees and risks are in part one."


def written_passage() -> Passage:
    first = Passage(chunk_of(REPORT, Span(6, 28)), SpanSet([Span(16, 21)]), score=0.5)
    second = Passage(chunk_of(REPORT, Span(0, 28)), SpanSet([Span(22, 28)]), score=0.2)
    return replace(first, written=WRITTEN, beside=(second,))


def test_a_written_passage_reads_as_written_and_its_sources_as_the_document_has_them() -> None:
    passage = written_passage()
    assert passage.pieces == [WRITTEN]
    assert [source.pieces for source in passage.sources] == [["Fees."], ["Risks."]]
    assert not any(source.written or source.beside for source in passage.sources)
    assert [source.score for source in passage.sources] == [0.5, 0.2]


def test_a_passage_that_was_not_written_is_its_own_source() -> None:
    passage = Passage(chunk_of(REPORT, Span(6, 28)), SpanSet([Span(16, 21)]), 0.5, {"dense": 0.3})
    assert passage.sources == (passage,)


def test_no_stretch_of_a_written_passage_can_be_taken_out() -> None:
    passage = written_passage()
    for narrow in (passage.narrow, passage.keep):
        with pytest.raises(ValueError, match="cannot be narrowed"):
            narrow(SpanSet([Span(16, 18)]))
    assert [source.narrow(SpanSet()).pieces for source in passage.sources] == [[], []]


def test_a_context_knows_whether_any_of_it_was_written_and_from_what() -> None:
    plain = Passage(chunk_of(REPORT, Span(29, 38)), SpanSet([Span(29, 38)]))
    context = Context((plain, written_passage()))
    assert context.written
    assert not Context((plain,)).written
    assert not Context().written
    assert context.pieces == ["Part two.", WRITTEN]
    assert [piece for source in context.sources for piece in source.pieces] == [
        "Part two.",
        "Fees.",
        "Risks.",
    ]


def test_what_was_written_is_not_printed_by_accident() -> None:
    assert WRITTEN not in repr(written_passage())
