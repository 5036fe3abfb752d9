"""What an engine hands over: a question that is not yet checked, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pipelines.synthesize.windows import Window
from rag.settings import QuestionKind
from rag.spans import SpanSet

__all__ = ["CAUSES", "UNUSED", "Draft", "Engine", "Rejected", "Task", "Usage"]

CAUSES = {
    "nothing to ask": "the text gave no question of any kind",
    "malformed": "the model did not write what it was asked for",
    "no answer": "the model failed at this text, and not at others",
    "quote not found": "an excerpt does not stand in the text that was shown",
    "too many excerpts": "more than a question may have",
    "repeated text": "an excerpt stands in the document more than once",
    "not a question": "it has no question mark, no question word, or is too short or too long",
    "vague": "it points at something that only a reader of the page can see",
    "leakage": "it holds its answer, or repeats its evidence",
    "unlike its evidence": "an excerpt is too far from the question",
    "duplicate": "it was asked before, or nearly",
    "ambiguous": "another passage answers as well",
    "unanswerable": "the excerpts alone do not give the answer",
}
"""Every cause of a rejection, in the order in which they are looked for."""


class Usage(NamedTuple):
    """What a language model was asked."""

    calls: int = 0
    tokens: int = 0

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(self.calls + other.calls, self.tokens + other.tokens)


UNUSED = Usage()


class Task(NamedTuple):
    """One attempt: its number, the text to ask about, what to ask for, and as whom."""

    number: int
    window: Window
    kind: QuestionKind
    persona: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A question about the task's document, and the spans of it that answer it."""

    task: Task
    question: str
    answer: str
    kind: QuestionKind
    references: SpanSet
    usage: Usage = UNUSED
    persona: str = ""
    """Whom the model was told to be."""

    @property
    def excerpts(self) -> list[str]:
        """The text of each reference, as the document has it."""
        text = self.task.window.document.text
        return [span.text_in(text) for span in self.references]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why an attempt came to nothing, and the question, if there was one."""

    task: Task
    cause: str
    question: str = ""
    usage: Usage = UNUSED


class Engine(Protocol):
    """Who writes the questions."""

    @property
    def name(self) -> str:
        """As the command line has it."""

    @property
    def signature(self) -> str:
        """The model and prompts, or the rules: all that decides what it writes."""

    @property
    def batch(self) -> int:
        """How many drafts it makes at a time."""

    def draft(self, tasks: Sequence[Task]) -> list[Draft | Rejected]:
        """A question for each task.

        Raises:
            ModelError: the language model does not answer.
        """

    def remember(self, document: str, question: str) -> None:
        """This question was asked about the document with this id, by an earlier run."""

    def confirm(self, draft: Draft) -> tuple[bool, Usage]:
        """Whether the excerpts alone give the draft's answer.

        Raises:
            ModelError: the language model does not answer.
        """
