from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_index import TinyEmbedder

from rag.embedding.lexical import LexicalEncoder
from rag.errors import ConfigError, IndexMismatch, UsageError
from rag.routing import RouteClassifier, Router, Routes
from rag.routing.features import HASHED, features

WIDTH = TinyEmbedder.dimension + HASHED


def made(**changed: Any) -> Routes:
    chance = np.random.default_rng(3)
    classifier = RouteClassifier(
        routes=("law", "finance", "cyber"),
        embedder="tiny:1",
        language="english",
        weights=tuple(map(tuple, chance.normal(size=(3, WIDTH)).tolist())),
        bias=(0.1, 1 / 3, -0.7),
        temperature=0.4321,
    )
    indexes = {name: f"/data/{name}" for name in classifier.routes}
    return Routes.model_validate({"indexes": indexes, "classifier": classifier} | changed)


def test_what_is_written_is_read_again_to_the_last_bit(tmp_path: Path) -> None:
    routes = made(coverage=0.8, most=2, about={"seen": [1, 2]})
    routes.write(tmp_path / "routes.json")
    again = Routes.read(tmp_path / "routes.json")
    assert again == routes
    questions = features(["Who sued whom?"], TinyEmbedder(), LexicalEncoder())
    before, after = (each.classifier.probabilities(questions) for each in (routes, again))
    assert (before == after).all()


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.json: No such file"):
        Routes.read(tmp_path / "none.json")


@pytest.mark.parametrize("written", ["", "{}", "[1]", '{"indexes": {}, "classifier": 3}'])
def test_a_file_of_something_else_is_a_config_error(tmp_path: Path, written: str) -> None:
    (tmp_path / "routes.json").write_text(written)
    with pytest.raises(ConfigError, match=r"routes\.json holds no routes.*rag route fit"):
        Routes.read(tmp_path / "routes.json")


def test_a_route_without_an_index_is_a_config_error(tmp_path: Path) -> None:
    found = json.loads(made().model_dump_json())
    del found["indexes"]["law"]
    (tmp_path / "routes.json").write_text(json.dumps(found))
    with pytest.raises(ConfigError, match="holds no routes"):
        Routes.read(tmp_path / "routes.json")


def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        made().write(tmp_path / "no" / "routes.json")


def test_what_could_not_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "routes.json").mkdir()
    with pytest.raises(UsageError, match="cannot write"):
        made().write(tmp_path / "routes.json")
    assert [each.name for each in tmp_path.iterdir()] == ["routes.json"]


def test_a_place_below_a_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot write .*: Not a directory"):
        made().write(tmp_path / "file" / "routes.json")


def test_a_question_goes_to_the_most_probable_routes() -> None:
    routes = made(coverage=0.7, most=2)
    routing = Router(routes, TinyEmbedder()).route("Who sued whom, and for what?")
    assert set(routing.probabilities) == set(routes.indexes)
    found = list(routing.probabilities.values())
    assert found == sorted(found, reverse=True)
    assert sum(found) == pytest.approx(1)
    assert routing.chosen == tuple(routing.probabilities)[: len(routing.chosen)]
    assert len(routing.chosen) == 1 + (found[0] < 0.7)


def test_a_router_refuses_another_embedder() -> None:
    other = TinyEmbedder()
    other.fingerprint = "tiny:2"
    with pytest.raises(IndexMismatch):
        Router(made(), other)


def test_features_are_a_vector_and_words_of_the_same_length() -> None:
    texts = ["Otters eat trout and otters swim", "the of and", ""]
    matrix = features(texts, TinyEmbedder(), LexicalEncoder())
    assert matrix.shape == (3, WIDTH)
    vectors, words = np.split(matrix, [TinyEmbedder.dimension], axis=1)
    assert (vectors == TinyEmbedder().embed_queries(texts)).all()
    assert np.linalg.norm(words, axis=1) == pytest.approx([1, 0, 0])  # stop words are none
    assert np.count_nonzero(words[0]) == 4  # otter (twice), eat, trout, swim
