"""What the demo asks of its documents, with the answers a test looks for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QUESTIONS", "UNANSWERABLE", "DemoQuestion"]


@dataclass(frozen=True, slots=True)
class DemoQuestion:
    """A question that one sentence of one document answers.

    Attributes:
        text: what is asked.
        answer: the phrase an answer must hold, as it stands in the document but for line breaks.
        document: where the sentence stands, relative to `pipelines/demo/documents`.
    """

    text: str
    answer: str
    document: str


QUESTIONS = (
    DemoQuestion(
        text="What was Halden's gross margin in 2025?",
        answer="47.3% of revenue in 2025",
        document="filings/halden-instruments-10k-2025.pdf",
    ),
    DemoQuestion(
        text="Which dose of tamrezumab was chosen for phase 3?",
        answer="140 mg dose was chosen for phase 3",
        document="biomedical/tamrezumab-severe-asthma.txt",
    ),
    DemoQuestion(
        text="Which version of Fennway Gateway mitigates CVE-2099-41873?",
        answer="upgrade Fennway Gateway to version 7.4.2 or later",
        document="threat/brass-otter-fennway-gateway.md",
    ),
)

# Far from every document, so that abstaining is plainly right.
UNANSWERABLE = "Which composer wrote the opera Aida?"
