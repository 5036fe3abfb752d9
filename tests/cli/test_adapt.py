"""`rag adapt` as a command: what is refused before any work, and what a run prints."""

from __future__ import annotations

from pathlib import Path

import pytest

DOCUMENTS = Path(__file__).parents[2] / "pipelines" / "demo" / "documents"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "magic"), "no method magic"),
        (("--pooling", "max"), "no pooling max"),
        (("--dims", "64,x"), "cannot read --dims"),
        (("--lexical-dims", "64"), "only --method dupmae"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(rag, tmp_path: Path, options, said) -> None:
    ran = rag("adapt", str(DOCUMENTS), "--out", str(tmp_path / "model"), *options, "--json")
    assert ran.code == 2
    assert said in ran.error["message"]


@pytest.mark.slow
def test_without_questions_they_are_made_and_a_refusal_is_exit_code_7(rag, tmp_path: Path) -> None:
    """A rate of nought changes nothing, and nothing is no gain."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for at, year in enumerate(range(1980, 2004)):
        (corpus / f"harbour {year}.txt").write_text(
            "\n\n".join(
                f"The harbour office of bay {at}-{bay} counted {at * 7 + bay} ships in {year}. "
                f"Director Ann Olsen{at} opened pier {bay} of bay {at} in {year}."
                for bay in range(4)
            ),
            encoding="utf-8",
        )
    ran = rag(
        "adapt", str(corpus), "--out", str(tmp_path / "model"), "--n", "24", "--steps", "1",
        "--batch", "4", "--rate", "0", "--json",
    )  # fmt: skip
    assert ran.code == 7, ran.stderr
    found = ran.json
    assert found["accepted"] is False
    assert found["synthetic"] is True
    assert found["questions"] >= 20
    assert found["ci"] == found["gains"]["dense"]["ndcg@10"]
    assert set(found["before"]) == {"dense", "served", "words"}
    assert not (tmp_path / "model").exists()
