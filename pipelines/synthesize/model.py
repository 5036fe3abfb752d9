"""Questions by a language model: any that the settings name.

A chat model is shown passages of one document and writes question, answer and excerpts; then it is
asked to answer from the excerpts alone. A model that completes examples is too small for that: it
is given a fact, a sentence that was chosen for it, and writes the question that this answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from eval.metrics.answer import contained, token_f1
from pipelines.synthesize.draft import UNUSED, Draft, Rejected, Task, Usage
from pipelines.synthesize.grammar import one_line, subject
from pipelines.synthesize.locate import locate, merged, shown
from pipelines.synthesize.prompts import (
    VERSION,
    answer_of_fact,
    ask_of_fact,
    ask_of_passages,
    read_written,
    schema,
)
from rag.generation.base import Generation, PromptWith, Summariser, Writer
from rag.generation.prompt import chat_answer
from rag.grounding.answers import DENIES
from rag.grounding.consensus import agree
from rag.grounding.support import content_words, figures
from rag.grounding.values import values_of
from rag.sentences import is_row
from rag.settings import QuestionKind, SynthesisSettings
from rag.types import Context, Passage

__all__ = ["ModelEngine"]

_FEWEST_WORDS, _MOST_WORDS = 8, 45  # of a fact
_SHOWN_AGAIN = 5  # questions about a document that a model is told of
_ENOUGH = 0.4  # F1 of two answers that say the same in words of their own
_HELD = 0.6  # share of a question's words that its fact must hold
_NAME = re.compile(r"\b[A-Z]\w+")
_FORMS: tuple[tuple[str, QuestionKind], ...] = (
    ("how many", "numeric"),
    ("how much", "numeric"),
    ("what percentage", "numeric"),
    ("how can", "procedure"),
    ("how do", "procedure"),
    ("how should", "procedure"),
    ("who", "attribution"),
    ("what is", "definition"),
    ("what are", "definition"),
)


class ModelEngine:
    """Has a language model write questions.

    Args:
        writer: the model.
        settings: how many excerpts, how long a window.
        batch: drafts that are asked for at a time, as many as the engine answers side by side.
    """

    name = "llm"

    def __init__(self, writer: Writer, settings: SynthesisSettings, batch: int = 1) -> None:
        self._writer = writer
        self._settings = settings
        self.batch = batch
        self._asked: dict[str, list[str]] = {}

    @property
    def signature(self) -> str:
        """The model and the version of the prompts."""
        writer = self._writer
        name = writer.signature if isinstance(writer, Summariser) else writer.name
        return f"{name}, {VERSION}"

    def draft(self, tasks: Sequence[Task]) -> list[Draft | Rejected]:
        """A question for each task.

        Raises:
            ModelError: the model does not answer.
        """
        drafts = self._of_facts(tasks) if self._writer.few_shot else self._of_passages(tasks)
        for each in drafts:
            if each.question:
                self.remember(each.task.window.document.id, each.question)
        return drafts

    def remember(self, document: str, question: str) -> None:
        """The model is told of it, where it is one of the last about its document."""
        self._asked.setdefault(document, []).append(question)

    def confirm(self, draft: Draft) -> tuple[bool, Usage]:
        """Whether the model, shown the excerpts alone, gives the draft's answer again.

        Raises:
            ModelError: the model does not answer.
        """
        if self._writer.few_shot:  # it wrote the answer from nothing else
            return True, UNUSED
        passages = tuple(shown(draft.task.window, draft.references))
        asked: PromptWith = lambda context: chat_answer(draft.question, context)  # noqa: E731
        (again,) = self._writer.write([asked], Context(passages))
        return _same(draft.question, draft.answer, again.text), _usage([again])

    def _of_passages(self, tasks: Sequence[Task]) -> list[Draft | Rejected]:
        passages = [
            shown(task.window, task.window.pieces(apart=task.kind == "comparison"))
            for task in tasks
        ]
        asked = [self._asking(*pair) for pair in zip(tasks, passages, strict=True)]
        replies = self._writer.write(asked, Context(), schema=schema(self._settings.max_references))
        return [
            self._read(task, pieces, reply)
            for task, pieces, reply in zip(tasks, passages, replies, strict=True)
        ]

    def _asking(self, task: Task, passages: Sequence[Passage]) -> PromptWith:
        document = task.window.document
        known = self._asked.get(document.id, [])[-_SHOWN_AGAIN:]
        texts = [passage.chunk.text for passage in passages]
        most = self._settings.max_references
        prompt = ask_of_passages(document.name, texts, task.kind, task.persona, most, known)
        return lambda context: prompt

    def _read(self, task: Task, passages: Sequence[Passage], reply: Generation) -> Draft | Rejected:
        used = _usage([reply])
        written = read_written(reply.text)
        if written is None:
            return Rejected(task, "malformed", usage=used)
        if not written.question:
            return Rejected(task, "nothing to ask", usage=used)
        if not written.answer:
            return Rejected(task, "malformed", written.question, used)
        found = locate(written.excerpts, task.window, passages)
        if found is None:
            return Rejected(task, "quote not found", written.question, used)
        if len(found.spans) > self._settings.max_references:
            return Rejected(task, "too many excerpts", written.question, used)
        kind = task.kind
        if kind == "comparison" and len(found.spans) < 2:  # it asked for something else
            kind = _kind_of(written.question)
        return Draft(
            task, written.question, written.answer, kind, found, used, persona=task.persona
        )

    def _of_facts(self, tasks: Sequence[Task]) -> list[Draft | Rejected]:
        return [self._of_fact(task) for task in tasks]

    def _of_fact(self, task: Task) -> Draft | Rejected:
        sentences = _facts(task)
        if not sentences:
            return Rejected(task, "nothing to ask")
        number = sentences[task.number % len(sentences)]
        reading = task.window.reading
        fact = one_line(reading.text(number))
        asking = ask_of_fact(fact)
        (asked,) = self._writer.write([lambda context: asking], Context())
        question = asked.text.strip()
        if not question.endswith("?"):
            return Rejected(task, "not a question", question, _usage([asked]))
        answering = answer_of_fact(fact, question)
        (answered,) = self._writer.write([lambda context: answering], Context())
        used = _usage([asked, answered])
        if not _told(question, answered.text, fact):
            return Rejected(task, "unanswerable", question, used)
        references = merged([reading.sentences[number]], task.window.document.text)
        return Draft(task, question, answered.text, _kind_of(question), references, used)


def _same(question: str, answer: str, again: str) -> bool:
    """Whether two answers say the same: by their kind, or in most words, all figures and names."""
    told = agree(question, answer, again)
    if told.agreed or told.rule in ("abstained", "unparseable"):
        return told.agreed and told.rule != "abstained"
    words, others = content_words(answer), content_words(again)
    names = {word.lower() for word in _NAME.findall(answer)} & words
    return (
        bool(token_f1(again, [answer]) >= _ENOUGH or contained(again, [answer]))
        and figures(words) <= others
        and names <= {word.lower() for word in re.findall(r"\w+", again)}
        and bool(DENIES.search(answer)) == bool(DENIES.search(again))
    )


def _usage(replies: Sequence[Generation]) -> Usage:
    return Usage(sum(each.llm_calls for each in replies), sum(each.llm_tokens for each in replies))


def _facts(task: Task) -> list[int]:
    """The sentences of a window that say something by themselves; with figures, if asked for."""
    found = [number for number in range(task.window.first, task.window.last) if _says(task, number)]
    if task.kind == "numeric":
        told = [number for number in found if values_of(task.window.reading.text(number))]
        return told or found
    return found


def _says(task: Task, number: int) -> bool:
    text = one_line(task.window.reading.text(number))
    opening = " ".join(text.split()[:2])
    return (
        _FEWEST_WORDS <= len(text.split()) <= _MOST_WORDS
        and text[-1] == "."
        and text[0].isupper()
        and bool(subject(opening))
        and not is_row(text)
    )


def _told(question: str, answer: str, fact: str) -> bool:
    """Whether a question keeps to a fact, and its answer stands there and says something new.

    A very small model drifts off: most words of the question must stand in the fact, all figures,
    and the answer word for word.
    """
    known, asked, words = (content_words(text) for text in (fact, question, answer))
    return (
        bool(words - asked)
        and bool(contained(fact, [answer]))
        and len(asked & known) >= _HELD * len(asked)
        and figures(asked) <= known
    )


def _kind_of(question: str) -> QuestionKind:
    asked = question.lower()
    return next((kind for form, kind in _FORMS if asked.startswith(form)), "explanation")
