"""Training by the real trainer, on a real model that is tiny."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pipelines.adapt.recipe import Recipe
from pipelines.adapt.train import train
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.modules import load_model

SHORT = {"steps": 3, "first_steps": 2, "batch": 8, "first_batch": 4, "rate": 1e-3}


class Counted:
    total = done = 0

    def start(self, total: int) -> None:
        self.total = total

    def advance(self, count: float, tokens: int = 0) -> None:
        self.done += int(count)


def reloaded(model: Any, folder: str) -> SentenceTransformerEmbedder:
    model.save_pretrained(folder, create_model_card=False)
    return SentenceTransformerEmbedder(folder, device="cpu", precision="float32")


@pytest.mark.parametrize(
    ("options", "dimension"),
    [
        ({}, 32),
        ({"dims": (16,), "focal": 0.5, "mixing": 2.0, "negatives": 2}, 32),
        ({"method": "dupmae", "lexical_dims": 24}, 56),
        ({"method": "lem", "pooling": "latent"}, 32),
        ({"method": "text2token", "pooling": "layers"}, 32),
    ],
)
def test_what_is_saved_is_what_was_trained(
    options, dimension, tiny, tiny_embedder, passages, tmp_path
) -> None:
    watch = Counted()
    recipe = Recipe(**SHORT, **options)
    trained = train(tiny, tiny_embedder, passages, recipe, progress=watch)
    assert watch.done == watch.total == recipe.all_steps
    again = reloaded(trained, str(tmp_path / "model"))
    texts = [each.whole for each in passages]
    vectors = again.embed_documents(texts)
    assert vectors.shape == (len(texts), dimension)
    direct = trained.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    assert np.abs(vectors - direct).max() < 2e-4
    if dimension == 32:
        assert np.abs(vectors - tiny_embedder.embed_documents(texts)).max() > 1e-3
    assert again.max_tokens == tiny_embedder.max_tokens
    load_model(tmp_path / "model", device="cpu", dtype=torch.float32)


def test_the_same_recipe_trains_the_same_model(tiny_folder, tiny_embedder, passages) -> None:
    found = [
        train(
            load_model(tiny_folder, device="cpu", dtype=torch.float32),
            tiny_embedder, passages, Recipe(**SHORT),
        ).encode(["an otter"], show_progress_bar=False)
        for _ in range(2)
    ]  # fmt: skip
    assert np.array_equal(*found)


def test_training_brings_a_query_nearer_to_its_own_passage(tiny, tiny_embedder, passages) -> None:
    """Names are tokens of the tiny model, so which passage an animal is in can be learned."""

    def own_rank(embedder: Any) -> float:
        asked = embedder.encode(
            [each.doc.removesuffix(".txt") for each in passages],
            normalize_embeddings=True, show_progress_bar=False,
        )  # fmt: skip
        read = embedder.encode(
            [each.whole for each in passages], normalize_embeddings=True, show_progress_bar=False
        )
        similar = asked @ read.T
        return float((similar > similar.diagonal()[:, None]).sum(axis=1).mean())

    before = own_rank(tiny)
    recipe = Recipe(steps=60, batch=16, rate=3e-3, shifted=0)
    assert own_rank(train(tiny, tiny_embedder, passages, recipe)) < before / 2
