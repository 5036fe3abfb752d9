"""Training by the real trainer, on a real model that is tiny."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pipelines.adapt.recipe import Recipe
from pipelines.adapt.train import fitted, train
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.modules import load_model
from rag.errors import ConfigError, ModelError, UsageError

SHORT = {
    "steps": 3,
    "first_steps": 2,
    "batch": 8,
    "first_batch": 4,
    "rate": 1e-3,
    "lexical_dims": 0,
}


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
    recipe = Recipe(**{**SHORT, **options})
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


def test_texts_are_read_with_the_prompts_they_are_used_with(
    tiny, tiny_embedder, passages, monkeypatch
) -> None:
    tiny.prompts = {"query": "otter: ", "document": "owl: "}
    read: list[str] = []
    tokenize = tiny.tokenizer.__class__.__call__

    def told(self: Any, text: Any, *args: Any, **options: Any) -> Any:
        read.extend([text] if isinstance(text, str) else text)
        return tokenize(self, text, *args, **options)

    monkeypatch.setattr(tiny.tokenizer.__class__, "__call__", told)
    recipe = Recipe(**{**SHORT, "method": "dupmae", "lexical_dims": 8})
    trained = train(tiny, tiny_embedder, passages, recipe)
    assert any(each.startswith("otter: ") for each in read)
    assert any(each.startswith("owl: ") for each in read)
    rarity = trained[-1].rarity
    ids = tiny.tokenizer.convert_tokens_to_ids(["otter", "owl", ":", "badger"])
    assert rarity[ids[:3]].tolist() == [0.0, 0.0, 0.0]
    assert rarity[ids[3]] > 0


def test_figures_and_punctuation_are_no_words(tiny, tiny_embedder, passages) -> None:
    trained = train(tiny, tiny_embedder, passages, Recipe(**{**SHORT, "lexical_dims": 8}))
    rarity = trained[-1].rarity
    for token, at in tiny.tokenizer.get_vocab().items():
        if not any(letter.isalpha() for letter in token) or token.startswith("["):
            assert rarity[at] == 0, token
    assert rarity[tiny.tokenizer.convert_tokens_to_ids("badger")] > 0


@pytest.mark.parametrize(
    "options",
    [{"method": "dupmae"}, {"method": "text2token"}, {"dims": (16,)}, {"lexical_dims": 8}],
)
def test_a_model_with_a_lexical_part_is_not_given_another(
    options, tiny, tiny_embedder, passages
) -> None:
    recipe = Recipe(**{**SHORT, "method": "dupmae", "lexical_dims": 8})
    joint = train(tiny, tiny_embedder, passages, recipe)
    fitted(joint, Recipe())
    with pytest.raises(ConfigError, match="lexical part"):
        fitted(joint, Recipe(**options))


@pytest.mark.parametrize(
    ("options", "dims"),
    [({}, 768), ({"lexical_dims": 0}, 0), ({"lexical_dims": 8}, 8), ({"dims": (16,)}, 0)],
)
def test_words_are_added_unless_something_speaks_against_it(options, dims, tiny) -> None:
    assert fitted(tiny, Recipe(**options)).lexical_dims == dims


def test_a_model_that_cuts_its_vectors_takes_no_words(tiny) -> None:
    tiny.truncate_dim = 16
    assert fitted(tiny, Recipe()).lexical_dims == 0
    with pytest.raises(ConfigError, match="cuts its vectors to 16"):
        fitted(tiny, Recipe(lexical_dims=8))


def test_a_model_that_has_words_keeps_its_own(tiny, tiny_embedder, passages) -> None:
    joint = train(tiny, tiny_embedder, passages, Recipe(**{**SHORT, "lexical_dims": 8}))
    assert fitted(joint, Recipe()).lexical_dims == 0
    again = train(joint, tiny_embedder, passages, Recipe(**{**SHORT, "lexical_dims": None}))
    assert again.get_embedding_dimension() == 40


def test_a_method_that_hides_words_needs_a_mask(tiny) -> None:
    tiny.tokenizer.mask_token = None
    fitted(tiny, Recipe())
    with pytest.raises(ConfigError, match="no mask"):
        fitted(tiny, Recipe(method="lem"))


def test_vectors_of_another_length_than_words_have_no_token_head(tiny) -> None:
    from sentence_transformers.sentence_transformer.modules import Dense

    tiny.append(Dense(32, 16))
    fitted(tiny, Recipe())
    fitted(tiny, Recipe(method="lem"))
    with pytest.raises(ConfigError, match="as long as"):
        fitted(tiny, Recipe(method="text2token"))


def test_weights_that_are_no_numbers_are_an_error(tiny, tiny_embedder, passages) -> None:
    with pytest.raises(ModelError, match="out of bounds"):
        train(tiny, tiny_embedder, passages, Recipe(**{**SHORT, "rate": float("inf")}))


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
    """A sentence that all passages have, but for the animal's name, which is one token."""

    def own_rank(embedder: Any) -> float:
        asked = embedder.encode(
            [each.sentences[2] for each in passages],
            normalize_embeddings=True, show_progress_bar=False,
        )  # fmt: skip
        read = embedder.encode(
            [each.whole for each in passages], normalize_embeddings=True, show_progress_bar=False
        )
        similar = asked @ read.T
        return float((similar > similar.diagonal()[:, None]).sum(axis=1).mean())

    before = own_rank(tiny)
    recipe = Recipe(steps=100, batch=8, rate=6e-3, temperature=0.15, shifted=0, interpolation=1)
    assert own_rank(train(tiny, tiny_embedder, passages, recipe)) < before / 2


def test_weights_go_a_share_of_the_way_from_the_base_to_the_trained(
    tiny, tiny_embedder, tiny_folder, passages
) -> None:
    def weights(share: float) -> dict[str, torch.Tensor]:
        model = load_model(tiny_folder, device="cpu", dtype=torch.float32)
        recipe = Recipe(**{**SHORT, "lexical_dims": 8, "interpolation": share})
        return dict(train(model, tiny_embedder, passages, recipe).named_parameters())

    start, end = dict(tiny.named_parameters()), weights(1)
    for share in (0, 0.25):
        for name, weight in weights(share).items():
            wanted = start[name] * (1 - share) + end[name] * share if name in start else end[name]
            assert torch.allclose(weight, wanted, atol=1e-7), name
    assert end.keys() - start.keys()  # the lexical part was not there to go back to
    moved = [name for name in start if not torch.equal(start[name], end[name])]
    assert len(moved) > 10


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_an_interpolation_lies_between_the_two(share: float) -> None:
    with pytest.raises(UsageError, match="no interpolation"):
        Recipe(interpolation=share)
