from __future__ import annotations

import numpy as np
import pytest

from rag.embedding.lexical import LexicalEncoder
from rag.routing.vocabulary import COLUMNS, counted, evidence

LEXICAL = LexicalEncoder()


def test_a_word_is_counted_once_a_sentence() -> None:
    counts = counted(["Otters, otters!", "An otter eats fish.", "Bonds."], LEXICAL)
    assert counts.shape == (COLUMNS,)
    assert sorted(counts[counts > 0].tolist()) == [1, 1, 1, 2]  # bond, eat, fish; otter


def test_the_evidence_by_hand() -> None:
    zoo = counted(["The otter swims.", "An otter eats fish."], LEXICAL)  # otter 2, three others 1
    bank = counted(["Bonds pay interest."], LEXICAL)  # three words
    asked = ["Otter bonds?", "Otter, otter!", "", "Kowalczyk?"]
    found = evidence(np.stack([zoo, bank]), asked, LEXICAL)
    totals = 5 + 0.3 * COLUMNS, 3 + 0.3 * COLUMNS
    otter = np.log(2.3 / totals[0]), np.log(0.3 / totals[1])
    bonds = np.log(0.3 / totals[0]), np.log(1.3 / totals[1])
    assert found[0] == pytest.approx([otter[0] + bonds[0], otter[1] + bonds[1]])
    assert found[1] == pytest.approx(otter)
    assert found[2].tolist() == [0.0, 0.0]
    assert found[3].tolist() == [0.0, 0.0]  # who no route knows is nobody's


def test_no_text_has_no_row() -> None:
    assert evidence(np.ones((2, COLUMNS), dtype=np.int64), [], LEXICAL).shape == (0, 2)
