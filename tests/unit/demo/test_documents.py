from __future__ import annotations

import re
from pathlib import Path

import pypdfium2
import pytest

from pipelines.demo import make_filing
from pipelines.demo.questions import QUESTIONS, UNANSWERABLE

DOCUMENTS = Path(make_filing.__file__).parent / "documents"
ITEMS = [
    "Item 1. Business",
    "Item 1A. Risk Factors",
    "Item 7. Management's Discussion and Analysis",
    "Item 7A. Quantitative and Qualitative Disclosures About Market Risk",
    "Item 8. Financial Statements and Supplementary Data",
    "Notes to Consolidated Financial Statements",
]


def read_text(path: Path) -> str:
    """The text of a document with every run of white space made one space."""
    if path.suffix == ".pdf":
        with pypdfium2.PdfDocument(path) as pdf:
            text = " ".join(page.get_textpage().get_text_range() for page in pdf)
    else:
        text = path.read_text("utf-8")
    return " ".join(text.split())


@pytest.fixture(scope="module")
def filing():
    with pypdfium2.PdfDocument(make_filing.TARGET) as pdf:
        yield pdf


def test_the_filing_is_what_the_script_makes():
    assert make_filing.TARGET.read_bytes() == make_filing.make_filing()


def test_the_filing_has_its_pages(filing):
    assert len(filing) == 16


def test_the_outline_leads_to_every_heading(filing):
    entries = list(filing.get_toc())
    assert [entry.get_title() for entry in entries if entry.level == 0] == ITEMS
    for entry in entries:
        page = filing[entry.get_dest().get_index()]
        assert entry.get_title() in page.get_textpage().get_text_range()


def test_there_is_a_question_for_each_domain():
    assert [Path(question.document).parts[0] for question in QUESTIONS] == [
        "filings",
        "biomedical",
        "threat",
    ]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.document)
def test_the_answer_is_one_sentence_of_its_document_alone(question):
    holders = [
        path.relative_to(DOCUMENTS).as_posix()
        for path in sorted(DOCUMENTS.rglob("*.*"))
        if question.answer in read_text(path)
    ]
    assert holders == [question.document]
    assert not re.search(r"[.?!] [A-Z]", question.answer)


def test_the_last_question_is_answered_nowhere():
    words = set(re.findall(r"[A-Z]\w+", UNANSWERABLE)[1:])
    assert words == {"Aida"}
    assert not any("Aida" in read_text(path) for path in DOCUMENTS.rglob("*.*"))


def test_every_document_says_that_it_is_fictional():
    for path in DOCUMENTS.rglob("*.*"):
        assert re.search(r"fictional|does not exist", read_text(path), re.IGNORECASE), path
