from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.datasets import Question
from eval.located import Located
from eval.runs import Citing, DocumentRecord, Header, QuestionRecord, Run, StageRecord, read_run
from rag.errors import UsageError

TEXTS = {"a.txt": "Otters 🦦 eat zander.\r\n", "sub/ä.md": "Badgers dig."}
HEADER = Header(
    label="ours, ä",
    token_unit="all-MiniLM-L6-v2",
    made="2026-01-01T00:00:00+00:00",
    config_hash="0123456789ab",
    split="test",
    sources={"questions": "/q.jsonl", "corpora": "/corpora"},
    manifest={"embedder": "MiniLM:1", "nothing": None},
    settings={"selection": {"budget": 0}, "models": {"path": None}, "ignore": ["*.tmp"]},
    notes={"calibration": {"reached": False, "recall": 0.1}},
)
DOCUMENTS = (
    DocumentRecord.of("a.txt", TEXTS["a.txt"], [(0, 12), (8, 22)]),
    DocumentRecord.of("sub/ä.md", TEXTS["sub/ä.md"], []),
)
ANSWERED = QuestionRecord(
    Question(
        "q1", "Was frisst der Otter? 🦦", (Located("a.txt", 0, 8),), "animals", ("fish", "trout")
    ),
    (
        StageRecord("retrieve", (Located("a.txt", 0, 12), Located("a.txt", 8, 22)), 31, 0.1 + 0.2),
        StageRecord("select", (), 0, 1e-9, degraded="RuntimeError: gone"),
        StageRecord("generate", None, 5, 1.5, 2, 345),
        StageRecord("verify", (Located("a.txt", 0, 8),)),
    ),
    'They eat "fish"\n\u2028and 👍🏽 [1].',
    citations=(Citing(Located("a.txt", 0, 8), True), Citing(Located("a.txt", 8, 9), False)),
    dropped_citations=3,
)
ABSTAINED = QuestionRecord(
    Question("q2", "Why?", ()), (StageRecord("retrieve", ()),), "No.", abstained=True
)
FAILED = QuestionRecord(Question("q3", "How?", ()), (), failed="the model is gone")
RUN = Run(HEADER, DOCUMENTS, (ANSWERED, ABSTAINED, FAILED))

spans = st.builds(
    lambda doc, start, length: Located(doc, start, start + length),
    st.text(min_size=1, max_size=5),
    st.integers(0, 10**9),
    st.integers(0, 10**6),
)
texts = st.text(max_size=8)
records = st.builds(
    QuestionRecord,
    st.builds(
        Question, texts, texts, st.lists(spans, max_size=2).map(tuple), texts,
        st.lists(texts, max_size=2).map(tuple),
    ),
    st.lists(
        st.builds(
            StageRecord, texts, st.none() | st.lists(spans, max_size=3).map(tuple),
            st.integers(0, 9), st.floats(0, 1e6), st.integers(0, 9), st.integers(0, 9), texts,
        ),
        max_size=3,
    ).map(tuple),
    texts, st.booleans(), st.lists(st.builds(Citing, spans, st.booleans()), max_size=2).map(tuple),
    st.integers(0, 9), texts,
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "ours.jsonl"


@pytest.fixture
def lines(path: Path) -> list[str]:
    """The lines of a run that was written."""
    RUN.write(path)
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


# --- writing and reading -----------------------------------------------------------------------


def test_what_is_read_is_what_was_written(path: Path) -> None:
    RUN.write(path)
    assert read_run(path) == RUN
    assert read_run(path).header.settings == HEADER.settings


@given(st.lists(records, max_size=3).map(tuple))
def test_any_record_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, questions: tuple[QuestionRecord, ...]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    run = Run(HEADER, DOCUMENTS, questions)
    run.write(path)
    assert read_run(path) == run


def test_the_same_run_is_the_same_file(path: Path) -> None:
    RUN.write(path)
    before = path.read_bytes()
    read_run(path).write(path)
    assert path.read_bytes() == before
    assert b"\r" not in before


def test_every_line_is_one_object_and_a_document_is_its_coordinates_alone(
    lines: list[str],
) -> None:
    kinds = [set(json.loads(line)) for line in lines]
    assert kinds == [{"run"}, {"document"}, {"document"}, {"question"}, {"question"}, {"question"}]
    document = json.loads(lines[1])["document"]
    assert set(document) == {"doc", "length", "digest", "chunks"}
    assert (document["length"], document["chunks"]) == (22, [[0, 12], [8, 22]])
    assert not [line for line in lines if "zander" in line]


def test_a_write_that_fails_leaves_the_file_that_was_there(path: Path, lines: list[str]) -> None:
    before = path.read_bytes()
    unwritable = replace(FAILED, answer="\ud800")  # half a character has no bytes
    with pytest.raises(ValueError):
        Run(HEADER, DOCUMENTS, (ANSWERED, unwritable)).write(path)
    assert path.read_bytes() == before
    assert len(lines) == 6


def test_what_a_killed_write_left_behind_harms_nothing(path: Path) -> None:
    path.parent.mkdir()
    part = path.with_name(f"{path.name}.part")
    part.write_text('{"run": {"label": "half a')
    with pytest.raises(UsageError):
        read_run(path)
    RUN.write(path)
    assert read_run(path) == RUN
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_to_is_a_usage_error(path: Path) -> None:
    path.parent.write_text("a file where a folder should be")
    with pytest.raises(UsageError, match="cannot write") as caught:
        RUN.write(path)
    assert str(path) in caught.value.message


# --- what is no run ----------------------------------------------------------------------------


def refused(path: Path, lines: list[str], says: str) -> None:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_run(path)
    assert str(path) in caught.value.message
    assert says in caught.value.message
    assert caught.value.hint


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.jsonl", tmp_path):
        with pytest.raises(UsageError, match="cannot read") as caught:
            read_run(path)
        assert str(path) in caught.value.message


@pytest.mark.parametrize(
    "line", ["", "text", "[]", "{}", '{"question_id": "q", "question": "?", "references": []}']
)
def test_a_file_that_is_no_run_is_said_to_be_none(path: Path, lines: list[str], line: str) -> None:
    refused(path, [line, *lines[1:]], "is not a recorded run")


def test_an_empty_file_and_one_without_its_header_are_no_run(path: Path, lines: list[str]) -> None:
    refused(path, [], "is not a recorded run")
    refused(path, lines[1:], "is not a recorded run")


def changed(line: str, change: Callable[[dict[str, Any]], Any]) -> str:
    found = json.loads(line)
    change(found)
    return json.dumps(found)


def test_a_run_of_another_schema_is_refused_by_both_numbers(path: Path, lines: list[str]) -> None:
    later = changed(lines[0], lambda line: line["run"].update(schema=7))
    refused(path, [later, *lines[1:]], "has schema 7, this version reads 1")


def test_a_run_of_a_later_schema_is_known_for_one_whatever_else_it_holds(
    path: Path, lines: list[str]
) -> None:
    later = changed(lines[0], lambda line: line["run"].update(schema=7, machine="a new field"))
    refused(path, [later, *lines[1:]], "has schema 7, this version reads 1")


DAMAGED: dict[str, Callable[[str], str]] = {
    "cut": lambda line: line[: len(line) // 2],
    "blank": lambda line: "",
    "empty": lambda line: "{}",
    "unknown": lambda line: '{"chunk": {"doc": "a.txt"}}',
    "without id": lambda line: changed(line, lambda found: found["question"]["question"].pop("id")),
    "backwards": lambda line: changed(
        line, lambda found: found["question"]["stages"][0]["spans"][0].update(start=99)
    ),
    "text for a number": lambda line: changed(
        line, lambda found: found["question"]["stages"][0].update(tokens="many")
    ),
    "another field": lambda line: changed(line, lambda found: found["question"].update(more=1)),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_is_named(
    path: Path, lines: list[str], damage: Callable[[str], str]
) -> None:
    lines[3] = damage(lines[3])
    refused(path, lines, "line 4")


def test_a_run_cut_in_the_middle_of_a_line_is_refused(path: Path, lines: list[str]) -> None:
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UsageError, match="line 6"):
        read_run(path)


# --- digests -----------------------------------------------------------------------------------


def test_a_run_that_ends_early_is_refused(path: Path, lines: list[str]) -> None:
    refused(path, lines[:-1], "cut short")
    refused(path, lines[:1], "cut short")


def test_chunks_outside_their_document_are_refused(path: Path, lines: list[str]) -> None:
    for edges in ([0, 10**9], [5, 5], [-1, 4]):
        bad = changed(lines[1], lambda line, edges=edges: line["document"]["chunks"].append(edges))
        refused(path, [lines[0], bad, *lines[2:]], "line 2")


def with_texts(texts: dict[str, str]) -> Run:
    return replace(RUN, documents=tuple(DocumentRecord.of(*each, []) for each in texts.items()))


def test_the_corpus_digest_is_of_names_and_texts_and_nothing_else() -> None:
    same = Run(Header("other", "other"), tuple(reversed(with_texts(TEXTS).documents)), ())
    assert same.corpus_digest == RUN.corpus_digest
    others: list[dict[str, str]] = [
        {**TEXTS, "a.txt": TEXTS["a.txt"] + " "},
        {**TEXTS, "a.txt": TEXTS["a.txt"].replace("\r\n", "\n")},
        {**TEXTS, "b.txt": "more"},
        {"a.txt": TEXTS["a.txt"]},
        {"A.txt": TEXTS["a.txt"], "sub/ä.md": TEXTS["sub/ä.md"]},
        {"a.txt": TEXTS["sub/ä.md"], "sub/ä.md": TEXTS["a.txt"]},
    ]
    digests = [with_texts(each).corpus_digest for each in others]
    assert len({RUN.corpus_digest, *digests}) == len(others) + 1


QUESTION = ANSWERED.question


def asking(*questions: Question) -> str:
    return replace(
        RUN, questions=tuple(QuestionRecord(each, ()) for each in questions)
    ).questions_digest


def test_the_questions_digest_is_of_what_was_asked_and_of_its_references() -> None:
    twice = replace(QUESTION, references=(Located("a.txt", 0, 8), Located("b.txt", 0, 8)))
    turned = replace(QUESTION, references=(Located("b.txt", 0, 8), Located("a.txt", 0, 8)))
    other = replace(QUESTION, id="q2")
    assert asking(twice, other) == asking(other, turned)
    assert asking(QUESTION) == asking(replace(QUESTION, corpus="", answers=()))
    different = [
        replace(QUESTION, id="q"),
        replace(QUESTION, text="?"),
        replace(QUESTION, references=()),
        replace(QUESTION, references=(Located("a.txt", 0, 9),)),
        replace(QUESTION, references=(Located("b.txt", 0, 8),)),
        twice,
    ]
    digests = [asking(QUESTION), asking(QUESTION, other), *map(asking, different)]
    assert len(set(digests)) == len(digests)


def test_digests_survive_the_file(path: Path) -> None:
    RUN.write(path)
    read = read_run(path)
    assert read.corpus_digest == RUN.corpus_digest
    assert read.questions_digest == RUN.questions_digest


# --- what a run knows --------------------------------------------------------------------------


def test_a_run_knows_its_chunks_and_its_stages_in_order() -> None:
    assert RUN.chunks == (Located("a.txt", 0, 12), Located("a.txt", 8, 22))
    assert RUN.stages == ("retrieve", "select", "generate", "verify")
    later_first = replace(RUN, questions=(ABSTAINED, ANSWERED))
    assert later_first.stages == RUN.stages


def test_the_stages_that_let_spans_through_are_told_from_those_that_write() -> None:
    assert RUN.narrowing == ("retrieve", "select", "verify")
    assert RUN.context_stage == "select"
    assert replace(RUN, questions=(ABSTAINED,)).context_stage == "retrieve"
    assert replace(RUN, questions=()).context_stage == ""


def test_a_stage_a_question_never_came_to_let_nothing_through() -> None:
    assert ABSTAINED.stage("verify") == StageRecord("verify", ())
    assert ANSWERED.stage("verify").spans == (Located("a.txt", 0, 8),)


def test_texts_that_are_not_those_of_the_run_are_refused_by_name() -> None:
    RUN.require_texts({**TEXTS, "more.txt": "is no harm"})
    with pytest.raises(UsageError, match=r"no longer holds sub/ä\.md"):
        RUN.require_texts({"a.txt": TEXTS["a.txt"]})
    with pytest.raises(UsageError, match=r"a\.txt is not what it was"):
        RUN.require_texts({**TEXTS, "a.txt": TEXTS["a.txt"].replace("zander", "salmon")})
