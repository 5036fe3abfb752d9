"""Recorded runs: what every stage of every question let through, as a file.

JSON Lines: the header, then each document of the corpus with all its chunks, then each question
with its stages. A run holds coordinates, and no document text but what answers quote, so it is
small, can be scored again without a model, and says by digests what it was made on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from eval.datasets import Question, Texts
from eval.files import writing_whole
from eval.located import Located
from rag.errors import UsageError
from rag.ids import digest

__all__ = [
    "Citing",
    "DocumentRecord",
    "Header",
    "QuestionRecord",
    "RoundRecord",
    "Run",
    "StageRecord",
    "identity",
    "read_run",
]

SCHEMA = 1

_MADE_BY = "`rag eval run` makes one"
_RUN_AGAIN = "run the evaluation again, or name the folder it was made on with --corpora"


@dataclass(frozen=True, slots=True)
class Header:
    """What a run was made with.

    Args:
        label: what reports call it.
        token_unit: the tokenizer that tokens are counted with.
        made: when, in ISO 8601.
        config_hash: a digest of the settings.
        split: which side of the document-level split was asked.
        sources: where questions and corpus lay: the paths "questions" and "corpora".
        manifest: what the index was built with.
        settings: all of them, secrets left out; of another system, whatever describes it.
        notes: what else the runner has to say, such as a calibration.
    """

    label: str
    token_unit: str
    made: str = ""
    config_hash: str = ""
    split: str = "all"
    sources: dict[str, str] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict, repr=False)
    notes: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA
    documents: int = 0
    """How many follow in the file, and how many questions: a file cut short is told by them."""
    questions: int = 0


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A document of the corpus: its length, what its text digests to, and its chunks.

    Raises:
        ValueError: a chunk is empty or does not lie in the document.
    """

    doc: str
    length: int
    digest: str
    chunks: tuple[tuple[int, int], ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not all(0 <= start < end <= self.length for start, end in self.chunks):
            raise ValueError(f"a chunk of {self.doc} does not lie in it")

    @classmethod
    def of(cls, doc: str, text: str, chunks: Sequence[tuple[int, int]]) -> DocumentRecord:
        """The record of a document with this text."""
        return cls(doc, len(text), digest(text), tuple(chunks))


@dataclass(frozen=True, slots=True)
class StageRecord:
    """What one stage of one question let through and cost: a ledger entry with coordinates.

    `spans` are in the order in which the stage ranked them, those of one passage in text order;
    None of a stage that lets no spans through: it writes.
    """

    stage: str
    spans: tuple[Located, ...] | None
    tokens: int = 0
    seconds: float = 0.0
    llm_calls: int = 0
    llm_tokens: int = 0
    degraded: str = ""
    note: str = ""
    overruled: int = 0
    llm_cached: int = 0


@dataclass(frozen=True, slots=True)
class Citing:
    """A citation of an answer: where its quote stands, and whether it was found to support it."""

    at: Located
    verified: bool


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One stage of SIFT: the answer from its sticker alone, and from sticker and context."""

    stage: str
    from_sticker: str
    from_both: str
    agreed: bool
    rule: str


@dataclass(frozen=True, slots=True)
class QuestionRecord:
    """A question and all that became of it.

    `failed` says why no answer could be written, or ""; `agreed` whether two ways led to it (SIFT),
    None where nobody looked; `rounds` are the stages in which that was looked for.
    """

    question: Question
    stages: tuple[StageRecord, ...]
    answer: str = ""
    abstained: bool = False
    citations: tuple[Citing, ...] = ()
    dropped_citations: int = 0
    failed: str = ""
    agreed: bool | None = None
    rounds: tuple[RoundRecord, ...] = ()

    def stage(self, name: str) -> StageRecord:
        """What a stage let through; nothing, where the question never came so far."""
        found = (each for each in self.stages if each.stage == name)
        return next(found, StageRecord(name, ()))


@dataclass(frozen=True)
class Run:
    """A recorded run: its header, the whole corpus, and the questions that were asked, in order."""

    header: Header
    documents: tuple[DocumentRecord, ...] = field(repr=False)
    questions: tuple[QuestionRecord, ...] = field(repr=False)

    @cached_property
    def corpus_digest(self) -> str:
        """The same for two runs exactly where their documents have the same names and texts."""
        return digest(sorted((each.doc, each.digest) for each in self.documents))

    @cached_property
    def questions_digest(self) -> str:
        """The same for two runs exactly where they asked the same, with the same references."""
        return digest(sorted(identity(each.question) for each in self.questions))

    @cached_property
    def chunks(self) -> tuple[Located, ...]:
        """Every chunk of the corpus."""
        return tuple(Located(each.doc, *edges) for each in self.documents for edges in each.chunks)

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """The names of the stages, in the order in which they ran."""
        names = (stage.stage for each in self.questions for stage in each.stages)
        return tuple(dict.fromkeys(names))

    @cached_property
    def narrowing(self) -> tuple[str, ...]:
        """Those of the stages that let spans through; the others write."""
        writing = {s.stage for each in self.questions for s in each.stages if s.spans is None}
        return tuple(stage for stage in self.stages if stage not in writing)

    @property
    def context_stage(self) -> str:
        """The stage whose spans the generator was given; "" where there are none."""
        given = ""
        for stage in self.stages:
            if stage not in self.narrowing:
                break
            given = stage
        return given

    def require_texts(self, texts: Texts) -> None:
        """Refuse texts that the run was not made on.

        Raises:
            UsageError: naming the first document that is missing or has changed.
        """
        for record in self.documents:
            text = texts.get(record.doc)
            if text is None:
                raise UsageError(f"the corpus no longer holds {record.doc}", hint=_RUN_AGAIN)
            if digest(text) != record.digest:
                raise UsageError(f"{record.doc} is not what it was at the run", hint=_RUN_AGAIN)

    def write(self, path: Path) -> None:
        """Write the run. A file that is there already is replaced whole, at the end.

        Raises:
            UsageError: it cannot be written there.
        """
        with writing_whole(path) as stream:
            for line in self._lines():
                stream.write(line.model_dump_json(exclude_unset=True) + "\n")

    def _lines(self) -> Iterator[_Line]:
        documents, questions = len(self.documents), len(self.questions)
        yield _Line(run=replace(self.header, documents=documents, questions=questions))
        for document in self.documents:
            yield _Line(document=document)
        for record in self.questions:
            yield _Line(question=record)


class _Line(BaseModel):
    """A line of the file: one of the three."""

    model_config = ConfigDict(extra="forbid")

    run: Header | None = None
    document: DocumentRecord | None = None
    question: QuestionRecord | None = None

    @model_validator(mode="after")
    def _one_of_the_three(self) -> _Line:
        if len(self.model_fields_set) != 1:
            raise ValueError("a line holds one thing")
        return self


class _Version(BaseModel):
    """What is read of a header before anything else of it is: which schema it has."""

    class _Header(BaseModel):
        schema_: int = Field(alias="schema")

    run: _Header


def read_run(path: Path) -> Run:
    """Read a recorded run.

    Raises:
        UsageError: there is no such file, or it is not a run this version can read.
    """
    header: Header | None = None
    documents: list[DocumentRecord] = []
    questions: list[QuestionRecord] = []
    try:
        with path.open("rb") as stream:
            for number, text in enumerate(stream, start=1):
                line = _read_line(text, path, number)
                header = header or line.run
                if line.document:
                    documents.append(line.document)
                if line.question:
                    questions.append(line.question)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="check the path") from None
    if header is None:
        raise UsageError(f"{path} is not a recorded run", hint=_MADE_BY)
    if (len(documents), len(questions)) != (header.documents, header.questions):
        raise UsageError(
            f"{path} is cut short: {len(questions)} of {header.questions} questions",
            hint="run the evaluation again",
        )
    return Run(replace(header, documents=0, questions=0), tuple(documents), tuple(questions))


def _read_line(text: bytes, path: Path, number: int) -> _Line:
    if number == 1:
        _require_schema(text, path)
    try:
        return _Line.model_validate_json(text)
    except ValidationError:
        if number == 1:
            raise UsageError(f"{path} is not a recorded run", hint=_MADE_BY) from None
        raise UsageError(
            f"{path}, line {number}: not a line of a recorded run", hint="run the evaluation again"
        ) from None


def _require_schema(text: bytes, path: Path) -> None:
    """Another schema may have other fields, so it is looked at alone."""
    try:
        found = _Version.model_validate_json(text).run.schema_
    except ValidationError:
        raise UsageError(f"{path} is not a recorded run", hint=_MADE_BY) from None
    if found != SCHEMA:
        raise UsageError(
            f"{path} has schema {found}, this version reads {SCHEMA}",
            hint="run the evaluation again",
        )


def identity(question: Question) -> list[Any]:
    """All that makes two questions the same, as JSON."""
    places = sorted((each.doc, each.start, each.end) for each in question.references)
    return [question.id, question.text, places]
