"""The token ledger: what every stage of a query took in, let through and cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Entry", "TokenLedger"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One stage of one query.

    `degraded` says why an optional stage was passed over, or is ""; `note` is what a stage says of
    itself, and `overruled` how many units of text only protection kept. `llm_cached` of the
    `llm_tokens` an engine remembered from the call before and did not read again.
    """

    stage: str
    tokens_in: int = 0
    tokens_out: int = 0
    llm_calls: int = 0
    llm_tokens: int = 0
    seconds: float = 0.0
    degraded: str = ""
    note: str = ""
    overruled: int = 0
    llm_cached: int = 0


@dataclass(slots=True)
class TokenLedger:
    """The entries of one query, in the order its stages ran.

    Context tokens are counted with the tokenizer named by `unit`; `llm_tokens` are the
    generator's own count of prompt and completion.
    """

    unit: str
    entries: list[Entry] = field(default_factory=list)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def add(self, entry: Entry) -> Entry:
        """Book one stage; the entry comes back."""
        self.entries.append(entry)
        return entry

    @property
    def seconds(self) -> float:
        """Wall seconds of all stages together."""
        return sum(entry.seconds for entry in self.entries)
