"""What a generator is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from rag.ledger import Entry
from rag.types import Context, Grounding

__all__ = ["Generation", "Generator", "Prompt", "Summariser", "Writer"]


class Prompt(NamedTuple):
    """What a model is given: orders and a request, or, with orders "", a text to complete."""

    orders: str
    request: str


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

    def generate(self, question: str, context: Context) -> Generation:
        """Answer the question from the context alone.

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
        prompt_with: Callable[[Context], Prompt],
        context: Context,
        *,
        schema: dict[str, Any] | None = None,
        temperature: float | None = None,
    ) -> Generation:
        """One call, with as many of the context's passages as fit, the first ones.

        Args:
            prompt_with: makes the prompt from the context, or from what of it fits.
            context: may be empty, where the prompt needs none.
            schema: a JSON schema that the answer is to meet; held where the engine can.
            temperature: in place of the settings'.

        Raises:
            ModelError: it failed, or the prompt does not fit its window.
        """
