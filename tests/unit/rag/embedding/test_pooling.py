"""Poolings: what they are at first, that they are trained and kept, and who may read them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, StaticEmbedding

from rag.attribution import encoder_of
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.pooling import Kind, LatentAttentionPooling, with_pooling
from rag.embedding.registry import bundled_model
from rag.errors import ConfigError, ModelError, UsageError

TEXTS = ["a", "net sales rose", "costs fell " * 9, "the cat sat on the mat. it rained."]
LEARNED: tuple[Kind, ...] = ("latent", "layers")


def trained(model: SentenceTransformer, seed: int = 0) -> SentenceTransformer:
    """The model with the pooling's weights moved off their beginning."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model[1].parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def vectors(model: SentenceTransformer) -> Any:
    return model.encode(TEXTS, batch_size=len(TEXTS), convert_to_tensor=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", LEARNED)
def test_a_learned_pooling_begins_as_the_mean_exactly(
    tiny_model: Path, kind: Kind, dtype: torch.dtype
) -> None:
    model = SentenceTransformer(str(tiny_model), device="cpu", model_kwargs={"dtype": dtype})
    mean = vectors(model)
    assert mean.dtype == dtype
    assert torch.equal(vectors(with_pooling(model, kind, latents=4)), mean)


@pytest.mark.parametrize("kind", LEARNED)
def test_the_bundled_model_is_the_same_under_a_new_head(kind: Kind) -> None:
    model = SentenceTransformer(str(bundled_model()), device="cpu")
    assert torch.equal(vectors(with_pooling(model, kind)), vectors(model))


@pytest.mark.parametrize("kind", LEARNED)
def test_padding_does_not_count(tiny_model: Path, kind: Kind) -> None:
    model = trained(with_pooling(SentenceTransformer(str(tiny_model), device="cpu"), kind))
    alone = torch.stack([model.encode(text, convert_to_tensor=True) for text in TEXTS])
    assert torch.allclose(vectors(model), alone, atol=1e-5)
    plain = SentenceTransformer(str(tiny_model), device="cpu")
    assert not torch.allclose(vectors(model), vectors(plain), atol=1e-2)


@pytest.mark.parametrize("kind", LEARNED)
def test_every_weight_of_a_head_learns(tiny_model: Path, kind: Kind) -> None:
    model = with_pooling(SentenceTransformer(str(tiny_model), device="cpu"), kind)
    before = {name: weight.clone() for name, weight in model[1].named_parameters()}
    optimiser = torch.optim.SGD(model[1].parameters(), lr=0.5)
    for _ in range(3):  # what lies behind the zeros moves from the second step on
        features = model.preprocess(TEXTS)
        loss = model(features)["sentence_embedding"][:, 0].sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    still = [name for name, w in model[1].named_parameters() if torch.equal(w, before[name])]
    assert still == []


def test_layers_are_all_read(tiny_model: Path) -> None:
    model = trained(with_pooling(SentenceTransformer(str(tiny_model), device="cpu"), "layers"))
    features = model[0](model.preprocess(TEXTS))
    states = features["all_layer_embeddings"]
    assert len(states) == 3
    assert torch.equal(states[-1], features["token_embeddings"])

    noise = torch.randn(32)

    def pooled(moved: int) -> Any:
        given = [state + noise * (number == moved) for number, state in enumerate(states)]
        read = {"all_layer_embeddings": given, "token_embeddings": given[-1]}
        return model[1]({**features, **read})["sentence_embedding"]

    plain = pooled(-1)
    assert torch.equal(pooled(0), plain)  # what goes into the first layer is not read
    for layer in (1, 2):
        assert not torch.allclose(pooled(layer), plain, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "mode"), [("mean", "mean"), ("cls", "cls"), ("last", "lasttoken")]
)
def test_plain_poolings_are_the_librarys_own(tiny_model: Path, kind: Kind, mode: str) -> None:
    base = SentenceTransformer(str(tiny_model), device="cpu")
    model = with_pooling(with_pooling(base, "latent"), kind)
    assert isinstance(model[1], Pooling)
    features = model[0](model.preprocess(TEXTS))
    hidden, mask = features["token_embeddings"], features["attention_mask"]
    wanted = {
        "mean": torch.stack([h[m.bool()].mean(0) for h, m in zip(hidden, mask, strict=True)]),
        "cls": hidden[:, 0],
        "lasttoken": torch.stack([h[m.sum() - 1] for h, m in zip(hidden, mask, strict=True)]),
    }[mode]
    assert torch.allclose(vectors(model), wanted, atol=1e-5)


def test_the_rest_of_the_model_stays(tiny_model: Path) -> None:
    base = SentenceTransformer(
        str(tiny_model), device="cpu", prompts={"query": "ask "}, truncate_dim=8
    )
    model = with_pooling(base, "latent")
    assert model[0] is base[0]
    assert len(model) == len(base)
    assert model.prompts["query"] == "ask "
    assert model.encode("a").shape == (8,)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", LEARNED)
def test_a_saved_head_is_loaded_by_the_embedder(
    tiny_model: Path, tmp_path: Path, kind: Kind, precision: Any
) -> None:
    base = SentenceTransformer(
        str(tiny_model), device="cpu", prompts={"query": "ask ", "document": "say "}
    )
    model = trained(with_pooling(base, kind))
    model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    embedder = SentenceTransformerEmbedder(
        tmp_path / "saved", name="tiny", device="cpu", precision=precision
    )
    found = embedder.embed_documents(TEXTS)
    wanted = model.encode(TEXTS, prompt="say ", normalize_embeddings=True)
    assert (found * wanted).sum(axis=1).min() > (0.99999 if precision == "float32" else 0.999)
    asked = model.encode(TEXTS, prompt="ask ", normalize_embeddings=True)
    assert (embedder.embed_queries(TEXTS) * asked).sum(axis=1).min() > 0.999
    assert embedder.dimension == 32
    # And again: what was loaded by hand can be saved like any other.
    embedder.model.save_pretrained(str(tmp_path / "again"), create_model_card=False)
    again = SentenceTransformerEmbedder(
        tmp_path / "again", name="tiny", device="cpu", precision=precision
    )
    np.testing.assert_allclose(again.embed_documents(TEXTS), found, atol=1e-6)


@pytest.mark.skipif(find_spec("openvino") is None, reason="the openvino extra is not installed")
def test_openvino_hands_on_every_layer(tiny_model: Path, tmp_path: Path) -> None:
    model = trained(with_pooling(SentenceTransformer(str(tiny_model), device="cpu"), "layers"))
    model.save_pretrained(str(tmp_path), create_model_card=False)
    compiled = SentenceTransformerEmbedder(tmp_path, device="cpu", backend="openvino")
    wanted = model.encode(TEXTS, normalize_embeddings=True)
    assert (compiled.embed_documents(TEXTS) * wanted).sum(axis=1).min() > 0.999


@pytest.mark.parametrize(("kind", "known"), [("cls", True), ("mean", True), ("last", False),
                                             ("latent", False), ("layers", False)])  # fmt: skip
def test_attribution_knows_mean_and_first_token_only(
    tiny_model: Path, tmp_path: Path, kind: Kind, known: bool
) -> None:
    model = with_pooling(SentenceTransformer(str(tiny_model), device="cpu"), kind)
    model.save_pretrained(str(tmp_path), create_model_card=False)
    embedder = SentenceTransformerEmbedder(tmp_path, device="cpu", precision="float32")
    if known:
        pooled = encoder_of(embedder).pooled(TEXTS).numpy()
        np.testing.assert_allclose(pooled, embedder.embed_documents(TEXTS), atol=1e-5)
    else:
        with pytest.raises(ConfigError, match="pools") as caught:
            encoder_of(embedder)
        assert caught.value.hint


def test_what_cannot_be_is_refused(tiny_model: Path) -> None:
    model = SentenceTransformer(str(tiny_model), device="cpu")
    with pytest.raises(UsageError, match="no pooling max"):
        with_pooling(model, "max")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="5 heads"):
        with_pooling(model, "latent", heads=5)
    static = SentenceTransformer(
        modules=[StaticEmbedding(model.tokenizer, embedding_dim=32)], device="cpu"
    )
    with pytest.raises(ModelError, match="no pooling"):
        with_pooling(static, "latent")


def test_a_head_whose_weights_are_of_another_is_a_model_error(
    tiny_model: Path, tmp_path: Path
) -> None:
    model = with_pooling(SentenceTransformer(str(tiny_model), device="cpu"), "latent")
    model.save_pretrained(str(tmp_path), create_model_card=False)
    file = tmp_path / f"1_{LatentAttentionPooling.__name__}" / "config.json"
    for broken in ({"latents": 3}, {"latents": 32, "unknown": 1}):
        file.write_text(json.dumps(json.loads(file.read_text()) | broken))
        with pytest.raises(ModelError, match="cannot load"):
            SentenceTransformerEmbedder(tmp_path, device="cpu").load()
