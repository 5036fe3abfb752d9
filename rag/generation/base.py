"""What a generator is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rag.types import Context

__all__ = ["Generation", "Generator", "Summariser"]


@dataclass(frozen=True, slots=True)
class Generation:
    """What a generator wrote. Sources are marked `[S1]`, numbered as the context's passages.

    `degraded` says what it had to leave out, or is "".
    """

    text: str
    llm_calls: int = 0
    llm_tokens: int = 0
    degraded: str = ""


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
