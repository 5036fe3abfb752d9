"""`rag query --grounding`: the sticker, where its facts stand, and whether two ways agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rag.generation.bundled import model_file

QUESTION = "How much fish does an otter eat in a day?"
FACT = "An adult otter eats about one kilogram of fish a day: mostly trout (Äschen)."
UNKNOWN = "Who won the chess world cup of 1996?"
BUNDLED = ("--set", "generation.kind=bundled")

needs_model = pytest.mark.skipif(
    not model_file().is_file(), reason="no bundled model: run `rag models pull`"
)


def ask(library: Any, *arguments: str, question: str = QUESTION, anew: bool = False) -> Any:
    ran = library.rag("query", question, *arguments, "--json", anew=anew)
    assert ran.code == 0, ran.stderr
    return ran.json


@pytest.fixture(scope="module")
def grounded(library) -> dict[str, Any]:
    """Mode to the bundled model's answer; asking costs seconds."""
    return {mode: ask(library, "--grounding", mode, *BUNDLED) for mode in ("extractive", "sift")}


def standing(library: Any, evidence: dict[str, Any]) -> str:
    """What the file itself holds where a fact says that it stands."""
    path = Path(library.root) / evidence["source"]
    text = path.read_bytes().decode("utf-8")
    return text[evidence["start"] : evidence["end"]]


def timeless(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "ledger": [{**entry, "seconds": 0} for entry in found["ledger"]]}


def stages(found: dict[str, Any]) -> list[str]:
    return [entry["stage"] for entry in found["ledger"]]


def test_without_grounding_its_fields_are_null(library) -> None:
    found = ask(library)
    assert (found["sticker"], found["agreed"], found["grounding_stage"]) == (None, None, None)
    assert not [stage for stage in stages(found) if stage.startswith("sift")]


def test_a_quoting_generator_gets_a_sticker_and_nothing_to_agree_on(library) -> None:
    found = ask(library, "--grounding", "extractive")
    assert found["agreed"] is None
    assert found["sticker"]["question"] == QUESTION
    texts = {fact["text"] for fact in found["sticker"]["facts"]}
    assert FACT in texts
    for fact in found["sticker"]["facts"]:
        (evidence,) = fact["evidence"]
        if evidence["source"].endswith(".txt"):
            assert " ".join(standing(library, evidence).split()) == fact["text"]


def test_a_sticker_written_by_no_model_is_a_settings_error(library) -> None:
    ran = library.rag("query", QUESTION, "--grounding", "sift", "--json")
    assert ran.code == 3
    assert "language model" in ran.error["message"]
    assert "generation.kind" in ran.error["hint"]


def test_a_mode_that_is_none_is_a_usage_error(library) -> None:
    ran = library.rag("query", QUESTION, "--grounding", "glue", "--json")
    assert ran.code == 2
    assert "sift" in ran.error["message"]


def test_what_the_documents_do_not_hold_is_asked_of_no_model(library) -> None:
    found = ask(library, "--grounding", "extractive", *BUNDLED, question=UNKNOWN)
    assert found["abstained"]
    assert found["sticker"] is None
    assert sum(entry["llm_calls"] for entry in found["ledger"]) == 0


@needs_model
@pytest.mark.parametrize(("mode", "fewest"), [("extractive", 2), ("sift", 3)])
def test_every_fact_stands_where_it_says_and_every_call_is_booked(
    library, grounded, mode: str, fewest: int
) -> None:
    found = grounded[mode]
    assert set(found["sticker"]) == {"question", "facts", "dropped"}
    for fact in found["sticker"]["facts"]:
        assert set(fact) == {"text", "evidence"}
        assert fact["evidence"]
        for evidence in fact["evidence"]:
            assert set(evidence) == {"source", "doc_id", "start", "end"}
            assert standing(library, evidence).strip()
    assert isinstance(found["agreed"], bool)
    assert found["grounding_stage"] in ("sticker", "forward", "inverse", "plain")
    steps = [entry for entry in found["ledger"] if entry["stage"].startswith("sift: ")]
    assert sum(entry["llm_calls"] for entry in steps) >= fewest
    for entry in steps:
        assert entry["llm_cached"] < entry["llm_tokens"]
        assert bool(entry["llm_calls"]) == bool(entry["llm_tokens"])
    # Prompts about one question begin alike; the engine reads what they share once.
    assert sum(entry["llm_cached"] for entry in steps) > 0


@needs_model
def test_the_same_question_is_answered_the_same_way_twice(library, grounded) -> None:
    again = ask(library, "--grounding", "sift", *BUNDLED, anew=True)
    assert timeless(grounded["sift"]) == timeless(again)


@needs_model
def test_answers_drawn_several_times_are_the_same_ones_on_every_run(library) -> None:
    drawing = ("--set", "grounding.samples=3", "--grounding", "extractive", *BUNDLED)
    first, second = (ask(library, *drawing, anew=anew) for anew in (False, True))
    assert first["answer"] == second["answer"]
    (step,) = (entry for entry in first["ledger"] if entry["stage"] == "sift: sticker")
    assert step["llm_calls"] == 6


@needs_model
def test_the_terminal_shows_facts_places_and_agreement(library) -> None:
    ran = library.rag("query", QUESTION, "--grounding", "extractive", *BUNDLED)
    assert ran.code == 0, ran.stderr
    lead = "The facts alone lead to this answer too:"
    other = "Not agreed: the facts alone lead to another answer:"
    assert (lead in ran.stdout) != (other in ran.stdout)
    assert f"  - {FACT}  (docs/otter.txt" in ran.stdout
    assert "sift: sticker" in ran.stdout
