from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.datasets import Question, read_chunks, read_questions, read_retrieved
from eval.located import Located
from eval.metrics.overlap import ChunkMap
from rag.errors import UsageError

# Code points outside the BMP and line ends of both kinds: every offset behind them counts.
TEXTS = {
    "a.txt": "The otter 🦦 eats fish.\r\nIt swims.\n",
    "sub/b.md": "Badgers dig.",
}
OTTER = {"doc": "a.txt", "start": 4, "end": 11, "text": "otter 🦦"}
SWIMS = {"doc": "a.txt", "start": 24, "end": 33, "text": "It swims."}
GOOD = {"question_id": "q1", "question": "What eats fish?", "references": [OTTER]}
DELETED = object()

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of lines: bytes as they are, anything else as JSON."""

    def made(*lines: Any, name: str = "lines.jsonl") -> Path:
        path = tmp_path / name
        found = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
        path.write_bytes(b"".join(line + b"\n" for line in found))
        return path

    return made


def with_(line: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {key: value for key, value in (line | changed).items() if value is not DELETED}


def stretch(**changed: Any) -> dict[str, Any]:
    return with_({"doc": "a.txt", "start": 4, "end": 11}, **changed)


def refused(read: Callable[[], Any], path: Path, line: int, *says: str) -> None:
    """It is an error in one line that names the file, the line and the fault."""
    with pytest.raises(UsageError) as caught:
        read()
    message = caught.value.message
    assert message.startswith(f"{path}, line {line}: ")
    assert "\n" not in str(caught.value)
    for each in says:
        assert each in message.removeprefix(f"{path}, line {line}: ")


# --- questions ---------------------------------------------------------------------------------


def test_questions_are_read_in_order_with_all_they_say(write: Write) -> None:
    path = write(
        with_(GOOD, corpus="animals", answer="fish", kind="left alone"),
        b"",
        {"question_id": "q0", "question": "Why?", "references": []},
        b" \t ",
        with_(GOOD, question_id="q2", references=[SWIMS, OTTER, OTTER]),
    )
    otter, swims = Located("a.txt", 4, 11), Located("a.txt", 24, 33)
    assert read_questions(path, TEXTS) == [
        Question("q1", "What eats fish?", (otter,), "animals", ("fish",)),
        Question("q0", "Why?", ()),
        Question("q2", "What eats fish?", (swims, otter, otter)),
    ]


def test_the_last_line_needs_no_line_end_and_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    second = with_(GOOD, question_id="q2")
    path.write_bytes(json.dumps(GOOD).encode() + b"\r\n" + json.dumps(second).encode())
    assert [each.id for each in read_questions(path, TEXTS)] == ["q1", "q2"]


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("fish", ("fish",)),
        (["fish", "trout", " ", 3], ("fish", "trout")),
        ({"text": "fish", "start": 3}, ("fish",)),
        ({"text": ["fish", "trout"]}, ("fish", "trout")),
        ({"start": 3}, ()),
        ("", ()),
        (None, ()),
        (DELETED, ()),
    ],
)
def test_right_answers_are_read_however_a_set_writes_them(
    write: Write, answer: Any, wanted: tuple[str, ...]
) -> None:
    (question,) = read_questions(write(with_(GOOD, answer=answer)))
    assert question.answers == wanted


BAD_REFERENCES = [
    (stretch(start=-1), "references[0].start"),
    (stretch(end=4), "references[0]: the span [4, 4) of a.txt is empty"),
    (stretch(end=3), "references[0]: the span [4, 3) of a.txt is empty"),
    (stretch(start=4.0), "references[0].start"),
    (stretch(end=11.5), "references[0].end"),
    (stretch(start=True), "references[0].start"),
    (stretch(end="11"), "references[0].end"),
    (stretch(end=None), "references[0].end"),
    (stretch(doc=7), "references[0].doc"),
    (stretch(doc=""), "references[0].doc"),
    (stretch(doc=DELETED), "references[0].doc"),
    (stretch(start=DELETED), "references[0].start"),
    (stretch(end=DELETED), "references[0].end"),
    (stretch(text=5), "references[0].text"),
    (["a.txt", 4, 11], "references[0]"),
]


@pytest.mark.parametrize(("reference", "says"), BAD_REFERENCES)
def test_a_bad_reference_is_named_by_its_place(write: Write, reference: Any, says: str) -> None:
    path = write(with_(GOOD, question_id="q0"), with_(GOOD, references=[reference]))
    refused(lambda: read_questions(path), path, 2, says)


def test_the_second_of_two_references_is_named(write: Write) -> None:
    path = write(with_(GOOD, references=[OTTER, stretch(start=-5)]))
    refused(lambda: read_questions(path), path, 1, "references[1].start")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"question_id": "q2", "question"', "JSON"),
        (b"not JSON", "JSON"),
        (b'{"question_id": "q2"} trailing', "JSON"),
        (b"[]", ""),
        (b"null", ""),
        (b'"text"', ""),
        (b'{"question_id": "\xff\xfe", "question": "?", "references": []}', ""),
        ('{"question_id": "ä", "question": "?", "references": []}'.encode("latin-1"), ""),
        (b"\xef\xbb\xbf" + json.dumps(with_(GOOD, question_id="q2")).encode(), ""),
        (b"\x00" * 8, ""),
        (b"[" * 5_000, ""),
        (with_(GOOD, question_id=DELETED), "question_id"),
        (with_(GOOD, question_id=2), "question_id"),
        (with_(GOOD, question_id=""), "question_id"),
        (with_(GOOD, question_id="q2", question=DELETED), "question"),
        (with_(GOOD, question_id="q2", question=""), "question"),
        (with_(GOOD, question_id="q2", question=["?"]), "question"),
        (with_(GOOD, question_id="q2", references=DELETED), "references"),
        (with_(GOOD, question_id="q2", references=OTTER), "references"),
        (with_(GOOD, question_id="q2", references=None), "references"),
        (with_(GOOD, question_id="q2", corpus=3), "corpus"),
        (GOOD, "question q1 comes twice"),
    ],
)
def test_a_bad_line_is_an_error_that_names_file_line_and_fault(
    write: Write, line: Any, says: str
) -> None:
    path = write(GOOD, b"", line, with_(GOOD, question_id="q9"))
    refused(lambda: read_questions(path, TEXTS), path, 3, says)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (stretch(doc="b.md"), "no document b.md in the corpus"),
        (stretch(doc="A.TXT"), "no document A.TXT in the corpus"),
        (stretch(end=35), "span [4, 35) of a.txt, but the document ends at 34"),
        (stretch(start=34, end=10**12), "but the document ends at 34"),
        (with_(OTTER, text="otter"), "not what stands at [4, 11) of a.txt"),
        (with_(OTTER, text="otter \U0001f99d"), "not what stands"),
        (with_(SWIMS, start=23, end=32), "not what stands"),  # line ends counted as one
        (with_(OTTER, text=""), "not what stands"),
    ],
)
def test_a_reference_that_the_corpus_does_not_hold_is_refused(
    write: Write, reference: Any, says: str
) -> None:
    path = write(with_(GOOD, question_id="q0"), with_(GOOD, references=[reference]))
    refused(lambda: read_questions(path, TEXTS), path, 2, says)


def test_a_reference_may_end_with_its_document_and_need_not_say_its_text(write: Write) -> None:
    path = write(with_(GOOD, references=[stretch(start=0, end=34), stretch()]))
    assert len(read_questions(path, TEXTS)[0].references) == 2


def test_without_texts_a_references_document_is_looked_for_among_the_chunks(write: Write) -> None:
    chunks = ChunkMap([Located("a.txt", 0, 5)])
    path = write(with_(GOOD, references=[stretch(doc="gone.txt")]))
    refused(lambda: read_questions(path, chunks=chunks), path, 1, "no document gone.txt")
    assert len(read_questions(path)) == 1


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\n")
    assert len(read_questions(path)) == 1


def test_without_the_corpus_no_reference_is_checked_against_it(write: Write) -> None:
    path = write(with_(GOOD, references=[stretch(doc="elsewhere", end=10_000, text="anything")]))
    assert read_questions(path)[0].references == (Located("elsewhere", 4, 10_000),)


@pytest.mark.parametrize("content", [b"", b"\n\n  \n"])
def test_a_file_without_a_question_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="holds no question") as caught:
        read_questions(path)
    assert str(path) in caught.value.message


READERS: dict[str, Callable[[Path], Any]] = {
    "questions": read_questions,
    "chunks": read_chunks,
    "retrieved": lambda path: read_retrieved(path, []),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_file_that_is_not_there_is_named(read: Callable[[Path], Any], tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.jsonl", tmp_path):
        with pytest.raises(UsageError, match="cannot read") as caught:
            read(path)
        assert str(path) in caught.value.message


# --- chunks ------------------------------------------------------------------------------------


def test_chunks_are_read_as_they_stand_overlapping_or_not(write: Write) -> None:
    path = write(stretch(), stretch(start=0, extra="left alone"), stretch(doc="sub/b.md"))
    assert read_chunks(path, TEXTS) == [
        Located("a.txt", 4, 11), Located("a.txt", 0, 11), Located("sub/b.md", 4, 11),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (stretch(end=4), "empty"),
        (stretch(start=-1), "start"),
        (stretch(end=3.0), "end"),
        (stretch(doc=DELETED), "doc"),
        (stretch(doc="b.md"), "no document b.md in the corpus"),
        (stretch(doc="sub/b.md", end=13), "but the document ends at 12"),
        (b"{", "JSON"),
    ],
)
def test_a_bad_chunk_is_an_error_that_names_file_line_and_fault(
    write: Write, line: Any, says: str
) -> None:
    path = write(stretch(), stretch(), line)
    refused(lambda: read_chunks(path, TEXTS), path, 3, says)


def test_an_offset_beyond_all_documents_is_refused_without_a_corpus_too(write: Write) -> None:
    path = write(stretch(), stretch(end=2**64))
    refused(lambda: ChunkMap(read_chunks(path)), path, 2, "end")


def test_a_file_without_a_chunk_is_refused(write: Write) -> None:
    path = write()
    with pytest.raises(UsageError, match="holds no chunk") as caught:
        read_chunks(path)
    assert str(path) in caught.value.message


# --- retrieved ---------------------------------------------------------------------------------

QUESTIONS = [
    Question("q1", "What eats fish?", (Located("a.txt", 4, 11),)),
    Question("q2", "What digs?", (Located("sub/b.md", 0, 12),)),
    Question("q3", "Why?", ()),
]


def of(question: Any, *spans: Any) -> dict[str, Any]:
    return {"question_id": question, "spans": list(spans)}


def test_what_was_retrieved_keeps_its_order_and_may_be_nothing(write: Write) -> None:
    path = write(of("q2", stretch(start=9), stretch(), stretch()), of("q1"))
    assert read_retrieved(path, QUESTIONS, TEXTS) == {
        "q2": [Located("a.txt", 9, 11), Located("a.txt", 4, 11), Located("a.txt", 4, 11)],
        "q1": [],
    }


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (of("q9", stretch()), "question q9 is not among the questions"),
        (of("q1"), "question q1 comes twice"),
        (of(2), "question_id"),
        ({"question_id": "q2"}, "spans"),
        ({"spans": []}, "question_id"),
        (of("q2", stretch(), stretch(end=4)), "spans[1]: the span [4, 4) of a.txt is empty"),
        (of("q2", stretch(start=-1)), "spans[0].start"),
        (of("q2", stretch(start=1.0)), "spans[0].start"),
        (of("q2", stretch(end=False)), "spans[0].end"),
        (of("q2", stretch(doc="c.txt")), "no document c.txt in the corpus"),
        (of("q2", stretch(end=35)), "span [4, 35) of a.txt, but the document ends at 34"),
        (b'{"question_id": "q2", "spans": [', "JSON"),
        (b"\xff", ""),
    ],
)
def test_a_bad_retrieval_is_an_error_that_names_file_line_and_fault(
    write: Write, line: Any, says: str
) -> None:
    path = write(of("q1", stretch()), line)
    refused(lambda: read_retrieved(path, QUESTIONS, TEXTS), path, 2, says)


CHUNKS = ChunkMap([Located("a.txt", 0, 9), Located("a.txt", 5, 20), Located("c.txt", 0, 5)])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (of("q2", stretch(end=21)), "span [4, 21) of a.txt, but its last chunk ends at 20"),
        (of("q2", stretch(doc="d.txt")), "no document d.txt in the corpus"),
    ],
)
def test_without_texts_retrieval_is_checked_against_the_chunks(
    write: Write, line: Any, says: str
) -> None:
    path = write(of("q1", stretch(end=20)), line)
    refused(lambda: read_retrieved(path, QUESTIONS, chunks=CHUNKS), path, 2, says)


def test_a_reference_is_part_of_the_corpus_even_where_no_chunk_holds_it(write: Write) -> None:
    path = write(of("q1", stretch(doc="sub/b.md", start=0, end=12), stretch(doc="c.txt", end=5)))
    assert len(read_retrieved(path, QUESTIONS, chunks=CHUNKS)["q1"]) == 2


def test_texts_go_before_chunks(write: Write) -> None:
    path = write(of("q1", stretch(end=34)))
    assert read_retrieved(path, QUESTIONS, TEXTS, CHUNKS)["q1"] == [Located("a.txt", 4, 34)]
