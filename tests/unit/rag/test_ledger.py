from __future__ import annotations

from rag.ledger import Entry, TokenLedger


def test_entries_stand_in_the_order_their_stages_ran() -> None:
    ledger = TokenLedger("model")
    for stage in ("retrieve", "select", "generate"):
        ledger.add(Entry(stage))
    assert [entry.stage for entry in ledger] == ["retrieve", "select", "generate"]


def test_the_seconds_of_a_ledger_are_those_of_its_stages() -> None:
    ledger = TokenLedger("model")
    assert ledger.seconds == 0
    ledger.add(Entry("retrieve", seconds=0.25))
    ledger.add(Entry("generate", seconds=1.5))
    assert ledger.seconds == 1.75


def test_two_ledgers_share_no_entries() -> None:
    TokenLedger("model").add(Entry("retrieve"))
    assert list(TokenLedger("model")) == []
