"""`rag query --explain`: what was kept of each passage, what each stage dropped, and why."""

from __future__ import annotations

from typing import Any

import pytest

ASKED = ("query", "What does a badger eat?")
PRUNED = ("--set", "pruning.mode=on", "--set", "pruning.retention=0.4")
CLUSTERED = (
    "--set", "clustering.mode=extractive", "--set", "clustering.min_redundancy=0",
    "--set", "clustering.budget=40",
)  # fmt: skip


@pytest.fixture(scope="module")
def explained(library) -> Any:
    ran = library.rag(*ASKED, *CLUSTERED, *PRUNED, "--explain", "--json")
    assert ran.code == 0, ran.stderr
    return ran.json


@pytest.fixture(scope="module")
def printed(library) -> str:
    ran = library.rag(*ASKED, *CLUSTERED, *PRUNED, "--explain")
    assert ran.code == 0, ran.stderr
    return ran.stdout


def test_explain_shows_what_was_kept_and_what_was_left_out(library) -> None:
    asked = (*ASKED, "--filter", "doc=badger.md", *PRUNED)
    found = library.rag(*asked, "--explain", "--json").json
    (passage, *_) = found["passages"]
    assert passage["text"][0 : passage["end"] - passage["start"]] == passage["text"]
    kept = sum(span["end"] - span["start"] for span in passage["kept"])
    assert 0 < kept < len(passage["text"])
    assert [entry["stage"] for entry in found["ledger"]][1:4] == ["cluster", "select", "prune"]
    ran = library.rag(*asked, "--explain")
    for word in passage["text"].split():
        assert word in ran.stdout, "nothing of a passage is lost"


def test_the_ledger_says_why_nothing_was_pruned(library) -> None:
    entry = library.rag(*ASKED, "--set", "pruning.mode=auto", "--json").json["ledger"][3]
    assert (entry["stage"], entry["tokens_in"]) == ("prune", entry["tokens_out"])
    assert entry["note"].startswith("not pruned: ")


def test_only_who_asks_for_an_explanation_gets_one(library, explained) -> None:
    assert {"passages", "dropped"} <= set(explained)
    plain = library.rag(*ASKED, "--json").json
    assert not {"passages", "dropped"} & set(plain)
    assert set(explained) - {"passages", "dropped"} == set(plain)


def test_a_passage_is_whole_and_what_was_kept_of_it_lies_inside(explained) -> None:
    for passage in explained["passages"]:
        assert set(passage) == {"doc", "start", "end", "text", "kept", "score"}
        assert len(passage["text"]) == passage["end"] - passage["start"]
        assert passage["kept"]
        for span in passage["kept"]:
            assert passage["start"] <= span["start"] < span["end"] <= passage["end"]


def test_each_loss_names_its_stage_its_place_and_its_reason(explained) -> None:
    stages = [entry["stage"] for entry in explained["ledger"]]
    assert explained["dropped"]
    for loss in explained["dropped"]:
        assert set(loss) == {"stage", "doc", "start", "end", "whole", "spans", "why"}
        assert loss["stage"] in {"cluster", "select", "prune"} & set(stages)
        assert loss["spans"]
        for span in loss["spans"]:
            assert loss["start"] <= span["start"] < span["end"] <= loss["end"]
    order = [stages.index(loss["stage"]) for loss in explained["dropped"]]
    assert order == sorted(order)


def test_what_is_kept_and_what_was_dropped_do_not_overlap(explained) -> None:
    kept = {
        (passage["doc"], at)
        for passage in explained["passages"]
        for span in passage["kept"]
        for at in range(span["start"], span["end"])
    }
    lost = [
        (loss["doc"], at)
        for loss in explained["dropped"]
        for span in loss["spans"]
        for at in range(span["start"], span["end"])
    ]
    assert len(lost) == len(set(lost)), "something was dropped twice"
    assert not kept & set(lost)


def test_the_first_stage_after_a_selection_that_keeps_everything_drops_nothing(library) -> None:
    found = library.rag(
        *ASKED, "--set", "selection.keep=everything", "--explain", "--json"
    ).json  # fmt: skip
    assert found["dropped"] == []
    for passage in found["passages"]:
        (span,) = passage["kept"]
        assert (span["start"], span["end"]) == (passage["start"], passage["end"])


def test_an_abstention_is_explained_too(library) -> None:
    ran = library.rag(
        "query", "Who won the chess world championship of 1972?", "--explain", "--json"
    )
    assert (ran.code, ran.json["abstained"]) == (0, True)
    assert ran.json["passages"]


def test_people_read_each_passage_and_then_what_each_stage_dropped(printed, explained) -> None:
    for number in range(1, len(explained["passages"]) + 1):
        assert f"\nS{number} docs/" in printed
    for stage in {loss["stage"] for loss in explained["dropped"]}:
        of_stage = [loss for loss in explained["dropped"] if loss["stage"] == stage]
        whole = sum(loss["whole"] for loss in of_stage)
        head = f"{stage} dropped {whole} passages whole, and parts of {len(of_stage) - whole}"
        (section,) = (part for part in printed.split("\n\n") if part.startswith(head))
        assert section.count("\n- docs/") == len(of_stage)
        for loss in of_stage:
            assert loss["why"] in section
            length = sum(span["end"] - span["start"] for span in loss["spans"])
            assert f"{length:,} of {loss['end'] - loss['start']:,} characters" in section


def test_no_loss_is_quoted_with_nothing_to_read(printed) -> None:
    assert '\n  "' in printed
    assert '\n  ""\n' not in printed


def test_summaries_need_a_language_model_and_it_is_said(library) -> None:
    asked = (*ASKED, "--set", "clustering.mode=abstractive")
    ran = library.rag(*asked, "--json")
    assert (ran.code, ran.error["code"]) == (3, "config")
    assert ran.error["message"] == "clustering.mode = abstractive needs a language model"
    assert "clustering.mode = extractive" in ran.error["hint"]
    plain = library.rag(*asked, "--explain")
    assert (plain.code, plain.stdout, len(plain.stderr.splitlines())) == (3, "", 1)
