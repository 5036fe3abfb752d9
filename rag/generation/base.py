"""What a generator is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from rag.ledger import Entry
from rag.types import Context, Grounding

__all__ = ["Generation", "Generator", "Prompt", "PromptWith", "Summariser", "Watch", "Writer"]


class Prompt(NamedTuple):
    """What a model is given: orders and a request, or, with orders "", a text to complete."""

    orders: str
    request: str


PromptWith = Callable[[Context], Prompt]
"""Makes a prompt from a context, or from what of it fits."""

Watch = Callable[[str], None]
"""Told an answer part by part while it is written, as the model writes it, marks and all."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What a generator wrote. Sources are marked `[S1]`, numbered as the context's passages.

    `degraded` says what it had to leave out, or is "". `llm_tokens` are those of prompts and
    answers, `cached_tokens` those of them that an engine remembered and did not read again.
    `abstains` says why there is no answer, or is "". `steps` are the parts of a long way to an
    answer, booked apart.
    """

    text: str
    llm_calls: int = 0
    llm_tokens: int = 0
    degraded: str = ""
    cached_tokens: int = 0
    abstains: str = ""
    grounding: Grounding | None = None
    steps: tuple[Entry, ...] = ()


class Generator(Protocol):
    """Writes an answer from a context, marking the sources it used."""

    @property
    def name(self) -> str:
        """As reports show it."""

    @property
    def reading_speed(self) -> float:
        """Prompt tokens a second; infinite where there is no prompt, 0 where it is not known."""

    def generate(
        self, question: str, context: Context, *, watch: Watch | None = None
    ) -> Generation:
        """Answer the question from the context alone.

        Args:
            question: what is asked.
            context: what may be told.
            watch: told the answer as it is written, by generators that write one at once; those
                that call a model several times tell "" before each. What it raises that is no
                `Exception` ends the work.

        Raises:
            ModelError: it does not answer.
        """


@runtime_checkable
class Summariser(Protocol):
    """Writes one text for several: those generators that are language models."""

    @property
    def signature(self) -> str:
        """The model and all else that decides what it writes; summaries are remembered by it."""

    def summarise(self, texts: Sequence[str], words: int) -> Generation:
        """Say what these texts say together, in about so many words.

        Raises:
            ModelError: it does not answer.
        """


@runtime_checkable
class Writer(Generator, Protocol):
    """A generator that any prompt can be put to: a language model."""

    @property
    def few_shot(self) -> bool:
        """Whether it completes worked examples instead of following orders."""

    def write(
        self,
        prompts_with: Sequence[PromptWith],
        context: Context,
        *,
        schema: dict[str, Any] | None = None,
        temperature: float | None = None,
    ) -> list[Generation]:
        """A call for each prompt, with as many of the context's passages as fit, the first ones.

        Together, where the engine can: in one batch, or side by side.

        Args:
            prompts_with: make the prompts.
            context: may be empty, where the prompts need none.
            schema: a JSON schema that the answers are to meet; held where the engine can.
            temperature: in place of the settings'. The same prompt given several times is then
                answered from different seeds, the same ones each time.

        Raises:
            ModelError: one failed, or does not fit the model's window.
        """
