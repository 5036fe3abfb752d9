"""What a new user does first: `rag demo`; and the same on real filings."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from forked import run_forked

from pipelines.demo.questions import QUESTIONS, UNANSWERABLE, DemoQuestion


def rag(*arguments: str, cwd: Path, cache: Path | None = None) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
    if cache is not None:
        env["XDG_CACHE_HOME"] = str(cache)
    code, out, err = run_forked(arguments, cwd, env, b"", timeout=240)
    assert code == 0, err.decode()
    return out.decode()


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def answers(home: Path) -> dict[str, Any]:
    found = json.loads(rag("demo", "--json", cwd=home, cache=home))["answers"]
    return {answer["question"]: answer for answer in found}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.document)
def test_the_demo_answers_with_the_expected_phrase(
    question: DemoQuestion, answers: dict[str, Any]
) -> None:
    answer = answers[question.text]
    assert not answer["abstained"]
    assert words(question.answer) in words(answer["answer"])


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.document)
def test_the_demo_cites_the_expected_document_with_a_verified_quote(
    question: DemoQuestion, answers: dict[str, Any]
) -> None:
    quotes = [
        words(citation["quote"])
        for citation in answers[question.text]["citations"]
        if citation["doc"] == question.document and citation["verified"]
    ]
    assert [quote for quote in quotes if words(question.answer) in quote]


def test_a_citation_of_the_demo_leads_to_its_quote(answers: dict[str, Any]) -> None:
    checked = 0
    for answer in answers.values():
        for citation in answer["citations"]:
            if citation["source"].endswith((".txt", ".md")):
                with open(citation["source"], newline="", encoding="utf-8") as file:
                    text = file.read()
                assert text[citation["start"] : citation["end"]] == citation["quote"]
                checked += 1
    assert checked


def test_a_second_demo_adds_nothing(home: Path, answers: dict[str, Any]) -> None:
    said = rag("demo", cwd=home, cache=home)
    (counted,) = re.findall(r"^(\d+) documents, .*\(0 added, (\d+) unchanged,", said, re.MULTILINE)
    assert counted[0] == counted[1]
    assert int(counted[0]) >= len(QUESTIONS)
    for question in QUESTIONS:
        assert f"> {question.text}" in said
        assert words(question.answer) in words(said)


def test_what_no_document_says_is_not_answered(home: Path, answers: dict[str, Any]) -> None:
    (index,) = (home / "spanrag").glob("demo-*")
    found = json.loads(rag("query", UNANSWERABLE, "--where", str(index), "--json", cwd=home))
    assert (found["abstained"], found["citations"]) == (True, [])


def test_the_demo_leaves_the_users_own_folder_alone(home: Path, answers: dict[str, Any]) -> None:
    assert [path.name for path in home.iterdir()] == ["spanrag"]


@pytest.mark.slow
def test_every_citation_of_a_filing_stands_on_its_page(shared: Path, tmp_path: Path) -> None:
    filings = ("BESTBUY_2023_10K.pdf", "ULTABEAUTY_2023Q4_EARNINGS.pdf")
    places = [str(shared / "data/pdf" / name) for name in filings]
    report = json.loads(rag("ingest", *places, "--json", cwd=tmp_path))
    assert report["added"] == len(filings)
    checked = set()
    for question in (
        "What were Best Buy's domestic comparable sales in fiscal 2023?",
        "What did Ulta Beauty's net sales come to in the fourth quarter of fiscal 2023?",
    ):
        answer = json.loads(rag("query", question, "--json", cwd=tmp_path))
        assert answer["citations"], question
        for citation in answer["citations"]:
            with pypdfium2.PdfDocument(citation["source"]) as pdf:
                page = pdf[citation["page"] - 1].get_textpage().get_text_bounded()
            assert as_parsed(citation["quote"]) in as_parsed(page), citation
            checked.add(citation["doc"])
    assert len(checked) > 1


def as_parsed(text: str) -> str:
    """Without what the parser changes: line ends, and pdfium's marks of hyphens."""
    return words(re.sub("[\x02\ufffe]", "-", text))
