"""`rag adapt` as a command: what is refused before any work, and what a run prints."""

from __future__ import annotations

from dataclasses import fields
from inspect import signature
from pathlib import Path

import pytest

from pipelines.adapt.recipe import Recipe
from pipelines.cli.adapt import adapt

NAMES = tuple("Alder Brack Corvo Dunmore Eskel Fallow Garrow Hestia Ilmen Jorund Keld".split())
SENTENCES = (
    "The {name} station recorded {n} storms in the winter of {y}. According to {who}, the mast at "
    "{name} needs new stays before spring. The {name} tower was built by {who} in {y}. To reach "
    "the {name} hut in fog, follow the iron posts. Crews should check the {name} cable to prevent "
    "damage by ice. The {name} generator was replaced in {y} because its bearings failed. {name} "
    "is a weather station on the western ridge."
)
DOCUMENTS = Path(__file__).parents[2] / "pipelines" / "demo" / "documents"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "magic"), "no method magic"),
        (("--pooling", "max"), "no pooling max"),
        (("--dims", "64,x"), "cannot read --dims"),
        (("--lexical-dims", "64", "--dims", "64"), "cannot be cut short"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(rag, tmp_path: Path, options, said) -> None:
    ran = rag("adapt", str(DOCUMENTS), "--out", str(tmp_path / "model"), *options, "--json")
    assert ran.code == 2
    assert said in ran.error["message"]


def test_what_the_command_is_not_told_is_the_recipe_s_to_say() -> None:
    recipe = {each.name: each.default for each in fields(Recipe)}
    told = {name: each.default for name, each in signature(adapt).parameters.items()}
    shared = told.keys() & recipe.keys() - {"dims"}  # which are text there
    assert {"method", "interpolation", "lexical_dims", "steps"} <= shared
    for name in shared:
        assert told[name] in (None, recipe[name]), name


@pytest.mark.slow
def test_without_questions_they_are_made_and_a_refusal_is_exit_code_7(rag, tmp_path: Path) -> None:
    """A rate of nought changes nothing, and nothing is no gain."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for at, name in enumerate(NAMES):
        for part in range(2):
            who = f"{NAMES[at - 1]}a {name}son"
            text = SENTENCES.format(
                name=name, n=31 + at * 7 + part, y=1950 + 2 * at + part, who=who
            )
            (corpus / f"{name}-{part}.txt").write_text(text + "\n", encoding="utf-8")
    ran = rag(
        "adapt", str(corpus), "--out", str(tmp_path / "model"), "--n", "24", "--steps", "1",
        "--batch", "4", "--rate", "0", "--lexical-dims", "0", "--json",
    )  # fmt: skip
    assert ran.code == 7, ran.stderr
    found = ran.json
    assert found["accepted"] is False
    assert found["synthetic"] is True
    assert found["questions"] >= 20
    assert found["ci"] == found["gains"]["dense"]["ndcg@10"]
    assert set(found["before"]) == {"dense", "served", "words"}
    assert not (tmp_path / "model").exists()
