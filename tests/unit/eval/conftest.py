from __future__ import annotations

import pytest

from eval.datasets import Question
from eval.located import Located
from eval.runs import Citing, DocumentRecord, Header, QuestionRecord, Run, StageRecord

TEXTS = {
    "a": ("The otter weighs 12 kg. " * 5)[:100],
    "b": ("Badgers dig setts in May. " * 2)[:50],
}


@pytest.fixture
def texts() -> dict[str, str]:
    """The documents of the worked run."""
    return dict(TEXTS)


@pytest.fixture
def worked() -> Run:
    """Four questions whose every figure can be worked out by hand.

    `a` has five chunks of 20 characters, `b` two of 25.
    """
    questions = (
        # Evidence across two chunks; all of it is found, and half of it is kept.
        QuestionRecord(
            Question("q1", "How heavy?", (Located("a", 10, 30),), "x", ("12 kg", "twelve")),
            (
                StageRecord("retrieve", (Located("a", 0, 20), Located("a", 20, 40)), 40, 0.5),
                StageRecord("select", (Located("a", 10, 20),), 10, 0.25),
                StageRecord("generate", None, 8, 2.0, 1, 300),
                StageRecord("verify", (Located("a", 10, 20),), 10, 0.25),
            ),
            "12 kg of 99",
            citations=(Citing(Located("a", 12, 18), True),),
        ),
        # Evidence in two documents; one piece is found, and nothing is kept.
        QuestionRecord(
            Question("q2", "Who digs?", (Located("b", 0, 10), Located("a", 95, 100)), "y"),
            (
                StageRecord("retrieve", (Located("b", 0, 25), Located("a", 0, 20)), 50, 0.5),
                StageRecord("select", (), 0, 0.25, degraded="RuntimeError: gone"),
                StageRecord("generate", None, 4, 1.0, 1, 100),
                StageRecord("verify", (Located("b", 20, 25),)),
            ),
            "In May 2019.",
            citations=(Citing(Located("b", 20, 25), False), Citing(Located("a", 99, 100), True)),
        ),
        # Nothing of the evidence is found: no answer, so neither writing nor verifying.
        QuestionRecord(
            Question("q3", "Where?", (Located("a", 50, 60),), "x", ("river",)),
            (
                StageRecord("retrieve", (Located("b", 25, 50),), 30, 0.5),
                StageRecord("select", (Located("b", 30, 40),), 10, 0.25),
            ),
            "No river is known",
            abstained=True,
        ),
        # The corpus holds no answer.
        QuestionRecord(
            Question("q4", "Why?", ()),
            (
                StageRecord("retrieve", (Located("a", 0, 20),), 999, 8.0),
                StageRecord("select", (Located("a", 0, 20),), 999, 8.0, degraded="again"),
            ),
            "None.",
            abstained=True,
        ),
    )
    documents = (
        DocumentRecord.of("a", TEXTS["a"], [(at, at + 20) for at in range(0, 100, 20)]),
        DocumentRecord.of("b", TEXTS["b"], [(0, 25), (25, 50)]),
    )
    return Run(Header("worked", "all-MiniLM-L6-v2", config_hash="cafe"), documents, questions)
