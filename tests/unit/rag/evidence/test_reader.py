"""The joint reader: what it reads is placed right, and its adapter is what was trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel

from eval.datasets import Question
from eval.located import Located
from pipelines.train.examples import Asked
from pipelines.train.reader import Recipe, train
from rag.embedding.registry import bundled_tokenizer
from rag.errors import ModelError
from rag.evidence.adapter import adapted_maps, merge
from rag.evidence.reader import JointReader, load_tokenizer, pieces_of
from rag.spans import Span
from rag.types import Chunk, ScoredChunk

SIZES = {
    "vocab_size": 30_522,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT with random weights."""
    made = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model("bert", **SIZES)).save_pretrained(made)
    shutil.copy(bundled_tokenizer(), made)
    return made


def chunk(text: str, ordinal: int) -> ScoredChunk:
    made = Chunk("d", "r", ordinal, Span(ordinal * 100, ordinal * 100 + len(text)), text, name="d")
    return ScoredChunk(made, 1.0, ordinal + 1)


@pytest.fixture(scope="module")
def weights(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained until it knows one question's evidence."""
    found = [chunk("The harbour counted ships.", 0), chunk("Kidneys filter blood well.", 1)]
    question = Question("q", "What filters blood?", (Located("d", 100, 126),))
    recipe = Recipe(rank=4, epochs=150, passages=2, rate=5e-3)
    trained = train([Asked(question, found)], folder, recipe)
    path = tmp_path_factory.mktemp("reader") / "reader.safetensors"
    about = {"scale": recipe.alpha / recipe.rank, "documents": ["d"]}
    save_file(trained, path, metadata={"about": json.dumps(about)})
    return path


def test_a_trained_reader_finds_what_it_was_shown(folder: Path, weights: Path) -> None:
    texts = ["The harbour counted ships.", "Kidneys filter blood well."]
    wrong, right = JointReader(folder, weights).read("What filters blood?", texts)
    assert right.passage > wrong.passage
    assert right.logits.min() > wrong.logits.max()
    assert "".join(texts[1][s:e] for s, e in right.offsets) == texts[1].replace(" ", "")


def test_passages_are_read_alike_alone_and_together(folder: Path, weights: Path) -> None:
    reader = JointReader(folder, weights)
    texts = ["Short.", "A longer passage about kidneys and ships. " * 3, "", "Blood."]
    together = reader.read("What filters blood?", texts)
    for text, reading in zip(texts, together, strict=True):
        (alone,) = reader.read("What filters blood?", [text])
        assert alone.passage == pytest.approx(reading.passage, abs=1e-5)
        assert np.allclose(alone.logits, reading.logits, atol=1e-5)
        assert len(reading.offsets) == len(reading.logits)


def test_a_long_passage_is_read_in_parts_that_cover_it(folder: Path, weights: Path) -> None:
    text = " ".join(f"word{number}" for number in range(900))
    pieces = pieces_of(load_tokenizer(folder), "Which word? " * 60, [text])
    assert all(len(piece.ids) <= 512 for piece in pieces)
    assert len(pieces) > 1
    (reading,) = JointReader(folder, weights).read("Which word?", [text])
    covered = "".join(text[s:e] for s, e in reading.offsets)
    assert covered == text.replace(" ", "")


def test_merging_is_adding_the_product(folder: Path) -> None:
    plain, adapted = (AutoModel.from_pretrained(folder) for _ in range(2))
    maps = dict(adapted_maps(plain))
    drawn = {
        f"{name}.{side}": torch.randn(
            (2, linear.weight.shape[1]) if side == "a" else (linear.weight.shape[0], 2)
        )
        for name, linear in maps.items()
        for side in "ab"
    }
    merge(adapted, drawn, 0.5)
    for name, linear in adapted_maps(adapted):
        added = 0.5 * drawn[f"{name}.b"] @ drawn[f"{name}.a"]
        assert torch.allclose(linear.weight, maps[name].weight + added, atol=1e-5)


@pytest.mark.parametrize("broken", ["absent", "garbage", "of another model"])
def test_weights_that_do_not_fit_are_a_model_error(
    folder: Path, tmp_path: Path, broken: str
) -> None:
    path = tmp_path / "reader.safetensors"
    if broken == "garbage":
        path.write_bytes(b"no safetensors")
    if broken == "of another model":
        shapes = {"0.query.a": torch.zeros((2, 7)), "0.query.b": torch.zeros((7, 2))}
        save_file(shapes, path, metadata={"about": json.dumps({"scale": 1.0})})
    with pytest.raises(ModelError, match="cannot load the joint reader"):
        JointReader(folder, path).read("Who?", ["text"])
