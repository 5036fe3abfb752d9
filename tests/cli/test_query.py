"""`rag search` and `rag query`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pypdfium2
import pytest

HIT = {
    "doc": str, "source": str, "start": int, "end": int, "text": str, "score": float,
    "page": (int, type(None)), "section": str,
}  # fmt: skip
CITATION = {"doc": str, "source": str, "start": int, "end": int, "quote": str, "verified": bool}
ENTRY = {
    "stage": str, "tokens_in": int, "tokens_out": int, "llm_calls": int, "llm_tokens": int,
    "seconds": float, "degraded": str,
}  # fmt: skip


def check_shape(found: dict[str, Any], shape: dict[str, Any]) -> None:
    assert set(found) >= set(shape)
    wrong = {key: found[key] for key, kind in shape.items() if not isinstance(found[key], kind)}
    assert wrong == {}


def at_source(root: Path, found: dict[str, Any]) -> str:
    """What stands in the file itself where a hit or a citation says."""
    with open(root / found["source"], newline="", encoding="utf-8") as file:
        return file.read()[found["start"] : found["end"]]


@pytest.fixture(scope="module")
def searched(library) -> Any:
    ran = library.rag("search", "what does a badger eat", "--json")
    assert ran.code == 0, ran.stderr
    return ran.json


@pytest.fixture(scope="module")
def answered(library) -> Any:
    ran = library.rag("query", "How much fish does an otter eat in a day?", "--json")
    assert ran.code == 0, ran.stderr
    return ran.json


def test_search_prints_hits_best_first(searched) -> None:
    assert set(searched) == {"question", "hits"}
    assert searched["question"] == "what does a badger eat"
    for hit in searched["hits"]:
        check_shape(hit, HIT)
    scores = [hit["score"] for hit in searched["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert searched["hits"][0]["doc"] == "badger.md"


def test_a_hit_is_what_stands_in_the_file_at_its_place(library, searched) -> None:
    texts = [hit for hit in searched["hits"] if not hit["source"].endswith(".pdf")]
    assert {hit["source"] for hit in texts} == {"docs/badger.md", "docs/otter.txt"}
    assert [hit["text"] for hit in texts] == [at_source(library.root, hit) for hit in texts]


def test_a_hit_in_a_pdf_names_its_page(library, searched) -> None:
    (hit,) = (hit for hit in searched["hits"] if hit["doc"] == "birds/heron.pdf")
    with pypdfium2.PdfDocument(library.root / hit["source"]) as pdf:
        page = pdf[hit["page"] - 1].get_textpage().get_text_bounded()
    assert hit["text"].splitlines()[0] in page


def test_a_filter_keeps_only_what_meets_it(library) -> None:
    ran = library.rag(
        "search", "what does a badger eat", "--filter", "doc=otter.txt|birds/heron.pdf",
        "--filter", "doc!=birds/heron.pdf", "--json",
    )  # fmt: skip
    assert (ran.code, [hit["doc"] for hit in ran.json["hits"]]) == (0, ["otter.txt"])


def test_query_prints_the_answer_its_citations_and_the_ledger(answered) -> None:
    shape = {"question": str, "answer": str, "abstained": bool, "citations": list, "ledger": list}
    check_shape(answered, shape)
    for citation in answered["citations"]:
        check_shape(citation, CITATION)
    for entry in answered["ledger"]:
        check_shape(entry, ENTRY)
    assert answered["abstained"] is False
    assert "one kilogram of fish a day" in answered["answer"]
    assert answered["ledger"][0]["stage"] == "retrieve"
    assert {entry["degraded"] for entry in answered["ledger"]} == {""}
    by_stage = {entry["stage"]: entry for entry in answered["ledger"]}
    assert by_stage["select"]["tokens_out"] < by_stage["select"]["tokens_in"]


def test_a_quote_is_what_stands_in_the_file_at_its_place(library, answered) -> None:
    first = answered["citations"][0]
    assert (first["doc"], first["source"], first["verified"]) == (
        "otter.txt", "docs/otter.txt", True,
    )  # fmt: skip
    assert "one kilogram of fish a day" in first["quote"]
    texts = [each for each in answered["citations"] if not each["source"].endswith(".pdf")]
    assert [each["quote"] for each in texts] == [at_source(library.root, each) for each in texts]


def test_a_question_is_read_from_stdin_and_the_answer_is_printed_for_people(library) -> None:
    ran = library.rag("query", "-", text="How much fish does an otter eat in a day?\n")
    assert ran.code == 0, ran.stderr
    assert "one kilogram of fish a day" in ran.stdout
    assert "[1] docs/otter.txt, characters " in ran.stdout
    assert "retrieve" in ran.stdout


def test_abstaining_is_an_exit_code_of_its_own_where_that_is_asked_for(library) -> None:
    ran = library.rag(
        "query", "Who won the chess world championship of 1972?", "--fail-on-abstain", "--json"
    )
    assert (ran.code, ran.json["abstained"], ran.json["citations"]) == (8, True, [])


def test_a_language_model_that_is_not_there_is_a_model_error(library) -> None:
    ran = library.rag(
        "query", "How much fish does an otter eat in a day?", "--json",
        "--set", "generation.kind=bundled", "--set", "models.path=/nowhere",
    )  # fmt: skip
    assert (ran.code, ran.error["code"]) == (6, "model")
    assert "/nowhere/" in ran.error["message"]
    assert "rag models pull" in ran.error["hint"]


@pytest.mark.parametrize("command", ["query", "search"])
@pytest.mark.parametrize(("question", "text"), [("", ""), ("  ", ""), ("-", "\n \n")])
def test_an_empty_question_is_a_usage_error(rag, command: str, question: str, text: str) -> None:
    ran = rag(command, question, "--json", text=text)
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert ran.error["message"] == "the question is empty"


@pytest.mark.parametrize(
    "options", [["--filter", "year"], ["--filter", "year>old"], ["--top-k", "0"]]
)
def test_an_option_that_cannot_be_read_is_a_usage_error(rag, options: list[str]) -> None:
    ran = rag("search", "otters", *options, "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")


@pytest.mark.parametrize("command", ["query", "search"])
def test_without_an_index_there_is_nothing_to_ask(rag, command: str, tmp_path: Path) -> None:
    ran = rag(command, "otters", "--json")
    assert (ran.code, ran.error["code"]) == (5, "index_missing")
    assert list(tmp_path.iterdir()) == []
