"""The scorer's file, and that what ships was trained on the tuning side alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eval.datasets import Question, read_questions
from eval.located import Located
from eval.split import split_questions
from pipelines.train.examples import TRAINING_SETS
from pipelines.train.scorer import Rows, about_reader, fit
from rag.errors import ConfigError
from rag.evidence.features import FEATURES, READER_FEATURES
from rag.evidence.scorer import BUNDLED_SCORER, BUNDLED_SCORER_READ, Scorer

ALL = (*FEATURES, *READER_FEATURES)


def test_a_fitted_scorer_gives_the_shares_it_saw(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    matrices = drawn.normal(size=(200, 100, 2)).astype(np.float32)
    shares = 1 / (1 + np.exp(-(2.0 * matrices[:, :, 0] - 5)))  # the second column means nothing
    rows = [Rows(matrix, share) for matrix, share in zip(matrices, shares, strict=True)]
    scorer = fit(rows, ("near", "noise"), {})
    found = np.stack([scorer.probabilities(matrix) for matrix in matrices])
    assert np.abs(found - shares).max() < 0.02
    path = tmp_path / "scorer.json"
    path.write_text(scorer.model_dump_json(), encoding="utf-8")
    assert Scorer.read(path, ("near", "noise")) == scorer


def _question(drawn: np.random.Generator, level: float, rivals: int) -> Rows:
    """A sentence of evidence, some rivals, and a column that only says which corpus it is."""
    near = np.append(drawn.normal(size=rivals), drawn.normal() + 3)
    matrix = np.stack((near, np.full(rivals + 1, level)), axis=1).astype(np.float32)
    return Rows(matrix, np.append(np.zeros(rivals), 1.0))


def test_what_only_sets_corpora_apart_teaches_no_ranking() -> None:
    drawn = np.random.default_rng(0)
    rows = [_question(drawn, level=at % 2, rivals=4 + 36 * (at % 2)) for at in range(200)]
    scorer = fit(rows, ("near", "corpus"), {})
    assert scorer.weights[0] > 1
    assert abs(scorer.weights[1]) < 0.01


def test_a_sentence_among_stronger_ones_is_less_likely_evidence() -> None:
    drawn = np.random.default_rng(0)
    scorer = fit([_question(drawn, 0, 10) for _ in range(200)], ("near", "corpus"), {})
    weak = np.array([[2, 0], [0, 0]], np.float32)
    strong = np.array([[2, 0], [4, 0]], np.float32)
    assert scorer.among > 0
    assert scorer.probabilities(weak)[0] > 1.5 * scorer.probabilities(strong)[0]


def test_a_file_without_standing_is_a_plain_logistic_regression() -> None:
    plain = Scorer(features=("a",), means=(1.0,), scales=(2.0,), weights=(3.0,), bias=-1.0)
    found = plain.probabilities(np.array([[1.0], [3.0]], np.float32))
    assert found == pytest.approx([1 / (1 + np.exp(1.0)), 1 / (1 + np.exp(-2.0))])


@pytest.mark.parametrize("content", [None, "", "{}", '{"features": ["a"]}'])
def test_what_is_no_scorer_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "scorer.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot read the scorer"):
        Scorer.read(path, FEATURES)


def test_a_scorer_of_other_features_is_refused() -> None:
    with pytest.raises(ConfigError, match="other features"):
        Scorer.read(BUNDLED_SCORER, FEATURES[1:])


def test_what_ships_learned_from_the_tuning_side_as_its_documents_names_say() -> None:
    # Needs no data: the split is a digest of a document's name.
    learned = [about_reader(), Scorer.read(BUNDLED_SCORER, FEATURES).about]
    learned.append(Scorer.read(BUNDLED_SCORER_READ, ALL).about)
    for about in learned:
        asked = [Question(doc, "?", (Located(doc, 0, 1),)) for doc in about["documents"]]
        assert split_questions(asked, "tune") == asked


@pytest.fixture(scope="session")
def tested_on(shared: Path) -> set[str]:
    """The documents of the testing side of every training set."""
    return {
        reference.doc
        for name in TRAINING_SETS
        for question in split_questions(
            read_questions(shared / "data" / name / "questions.jsonl"), "test"
        )
        for reference in question.references
    }


def test_nothing_that_ships_was_trained_on_a_document_that_is_tested_on(
    tested_on: set[str],
) -> None:
    seen = about_reader()
    plain = Scorer.read(BUNDLED_SCORER, FEATURES).about
    read = Scorer.read(BUNDLED_SCORER_READ, ALL).about
    for about in (seen, plain, read):
        assert about["documents"]
        assert set(about["sets"]) <= set(TRAINING_SETS)
        assert not tested_on & set(about["documents"])
    # What the scorer on top learns from, the reader has not read.
    assert not set(seen["documents"]) & set(read["documents"])


def test_the_bundled_files_are_small() -> None:
    folder = BUNDLED_SCORER.parent
    assert sum(file.stat().st_size for file in folder.iterdir()) < 4 << 20
    assert json.loads(BUNDLED_SCORER.read_text(encoding="utf-8"))["features"] == list(FEATURES)
