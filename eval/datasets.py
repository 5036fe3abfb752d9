"""Question sets and other people's retrievals: JSON Lines in, typed values out.

A bad line is one error that names file, line and fault; nothing is read past it.

    questions  {"question_id", "question", "references": [{"doc", "start", "end", "text"?}], ...}
    retrieved  {"question_id", "spans": [{"doc", "start", "end"}]}
    chunks     {"doc", "start", "end"}
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from eval.located import Located
from eval.metrics.overlap import ChunkMap
from rag.errors import UsageError

__all__ = ["Question", "Texts", "read_chunks", "read_questions", "read_retrieved"]

Texts = Mapping[str, str]
"""Document name to text, of a whole corpus."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question and where its answer stands.

    Args:
        id: unique in its set.
        text: what is asked.
        references: the evidence; may lie in several documents and overlap. Empty where the corpus
            holds no answer.
        corpus: which part of the documents it is about; figures are also given for each.
        answers: right answers, if somebody wrote any down.
    """

    id: str
    text: str
    references: tuple[Located, ...]
    corpus: str = ""
    answers: tuple[str, ...] = ()


_LONGEST = 2**53  # of a document: what every reader of JSON holds exactly


class _Stretch(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    doc: str = Field(min_length=1)
    start: int = Field(ge=0)
    end: int = Field(le=_LONGEST)

    @model_validator(mode="after")
    def _not_empty(self) -> _Stretch:
        if self.end <= self.start:
            raise ValueError(f"the span [{self.start}, {self.end}) of {self.doc} is empty")
        return self

    @property
    def located(self) -> Located:
        return Located(self.doc, self.start, self.end)


class _Reference(_Stretch):
    text: str | None = None


class _QuestionLine(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    question_id: str = Field(min_length=1)
    question: str = Field(min_length=1)
    references: list[_Reference]
    corpus: str = ""
    answer: Any = None


class _RetrievedLine(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    question_id: str
    spans: list[_Stretch]


def read_questions(
    path: Path, texts: Texts | None = None, chunks: ChunkMap | None = None
) -> list[Question]:
    """The questions of a file, in order.

    Args:
        path: a file of question lines.
        texts: the corpus; references are then checked against it.
        chunks: of the corpus; without texts, documents are looked for among them.

    Raises:
        UsageError: naming file and line: it is not such a line, an id comes twice, a document is
            not in the corpus, a span ends behind its document, or its `text` is not what stands
            there.
    """
    questions: list[Question] = []
    seen: set[str] = set()
    for where, line in _lines(path, _QuestionLine):
        if line.question_id in seen:
            raise UsageError(f"{where}: question {line.question_id} comes twice")
        seen.add(line.question_id)
        if texts is not None:
            for reference in line.references:
                _check_reference(where, reference, texts)
        elif chunks is not None:
            for reference in line.references:
                _check_end(where, reference.located, chunks.end(reference.doc), None)
        questions.append(
            Question(
                line.question_id,
                line.question,
                tuple(reference.located for reference in line.references),
                line.corpus,
                _answers(line.answer),
            )
        )
    if not questions:
        raise UsageError(f"{path} holds no question")
    return questions


def read_chunks(path: Path, texts: Texts | None = None) -> list[Located]:
    """Every chunk of a corpus.

    Raises:
        UsageError: as `read_questions`.
    """
    chunks: list[Located] = []
    for where, line in _lines(path, _Stretch):
        if texts is not None:
            _check(where, line.located, texts)
        chunks.append(line.located)
    if not chunks:
        raise UsageError(f"{path} holds no chunk")
    return chunks


def read_retrieved(
    path: Path,
    questions: list[Question],
    texts: Texts | None = None,
    chunks: ChunkMap | None = None,
) -> dict[str, list[Located]]:
    """What was retrieved, by question id; a question without a line has nothing.

    Documents and ends are checked against the texts, or where there are none, against the chunks
    (and the references): what was retrieved is made of those.

    Raises:
        UsageError: as `read_questions`, or a question is not among `questions`.
    """
    asked = {question.id for question in questions}
    ends: dict[str, int] = {}
    for question in questions:
        for each in question.references:
            ends[each.doc] = max(ends.get(each.doc, 0), each.end)
    found: dict[str, list[Located]] = {}
    for where, line in _lines(path, _RetrievedLine):
        if line.question_id not in asked:
            raise UsageError(f"{where}: question {line.question_id} is not among the questions")
        if line.question_id in found:
            raise UsageError(f"{where}: question {line.question_id} comes twice")
        for stretch in line.spans:
            if texts is not None:
                _check(where, stretch.located, texts)
            elif chunks is not None:
                end = max(chunks.end(stretch.doc), ends.get(stretch.doc, 0))
                _check_end(where, stretch.located, end, "its last chunk ends")
        found[line.question_id] = [stretch.located for stretch in line.spans]
    return found


def _check_reference(where: str, reference: _Reference, texts: Texts) -> None:
    _check(where, reference.located, texts)
    stands = reference.located.span.text_in(texts[reference.doc])
    if reference.text not in (None, stands):
        raise UsageError(
            f"{where}: the text of the reference is not what stands at "
            f"[{reference.start}, {reference.end}) of {reference.doc}",
            hint="offsets count characters, with line ends as they are in the file",
        )


def _check(where: str, stretch: Located, texts: Texts) -> None:
    text = texts.get(stretch.doc)
    _check_end(where, stretch, 0 if text is None else len(text), "the document ends")


def _check_end(where: str, stretch: Located, end: int, what: str | None) -> None:
    if not end:
        raise UsageError(
            f"{where}: no document {stretch.doc} in the corpus",
            hint="a document's name is its path below the corpus's folder",
        )
    if what is not None and stretch.end > end:
        raise UsageError(
            f"{where}: span [{stretch.start}, {stretch.end}) of {stretch.doc}, but {what} at {end}"
        )


_Line = TypeVar("_Line", bound=BaseModel)


def _lines(path: Path, model: type[_Line]) -> Iterator[tuple[str, _Line]]:
    """Each line that is not blank, with "file, line n"."""
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line.strip():
                    where = f"{path}, line {number}"
                    try:
                        yield where, model.model_validate_json(line)
                    except ValidationError as error:
                        raise UsageError(f"{where}: {_fault(error)}") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="check the path") from None


def _fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ").replace(" at line 1 column", " at column")
    return f"{place.lstrip('.')}: {message}" if place else message


def _answers(answer: Any) -> tuple[str, ...]:
    """The answers a line names: a string, a list of them, or an object with a `text`."""
    if isinstance(answer, Mapping):
        answer = answer.get("text")
    given = answer if isinstance(answer, list) else [answer]
    return tuple(each for each in given if isinstance(each, str) and each.strip())
