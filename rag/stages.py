"""What a stage of the query path is."""

from __future__ import annotations

from typing import Protocol

from rag.types import Context

__all__ = ["Stage"]


class Stage(Protocol):
    """Narrows a context. It may reorder passages and shrink what is kept of them, no more.

    A stage that raises is passed over: the engine hands its input on and books it as degraded.
    """

    @property
    def name(self) -> str:
        """As the ledger shows it."""

    def __call__(self, question: str, context: Context) -> Context:
        """The narrower context."""
