"""Decoders as embedders, on a Llama of two layers with random weights."""

from __future__ import annotations

import json
import string
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers import PreTrainedTokenizerFast as MakeTokenizer

from rag.attribution import encoder_of
from rag.embedding.decoder import Variant, decoder_embedder
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.gem import GemLoss, bottleneck
from rag.embedding.modules import load_model
from rag.errors import ModelError, UsageError

TEXTS = ["a", "net sales rose", "costs fell " * 3, "the cat sat on the mat. it rained."]
VARIANTS: tuple[Variant, ...] = ("causal", "bidirectional", "causal2vec", "gem")
VOCABULARY = ["<unk>", "<s>", "<eos>", *string.ascii_lowercase, " ", "."]


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal model that reads letters; its tokenizer begins every text with <s>."""
    folder = tmp_path_factory.mktemp("llama")
    vocabulary = {letter: number for number, letter in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    make: Any = MakeTokenizer
    make(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="<eos>",
        model_max_length=64,
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=64, eos_token_id=2, bos_token_id=1,
        initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def made(llama: Path, tiny_model: Path, variant: Variant, tokens: int = 3) -> SentenceTransformer:
    torch.manual_seed(1)
    encoder = SentenceTransformer(str(tiny_model), device="cpu")
    return decoder_embedder(llama, variant, encoder=encoder, tokens=tokens, max_tokens=40)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_saved_decoder_is_an_embedder(
    llama: Path, tiny_model: Path, tmp_path: Path, variant: Variant
) -> None:
    model = made(llama, tiny_model, variant)
    wanted = model.encode(TEXTS)
    model.save_pretrained(str(tmp_path), create_model_card=False)
    embedder = SentenceTransformerEmbedder(tmp_path, device="cpu", precision="float32")
    np.testing.assert_allclose(embedder.embed_documents(TEXTS), wanted, atol=1e-5)
    assert embedder.dimension == (64 if variant == "causal2vec" else 32)
    assert embedder.max_tokens == 40
    appended = {"causal": 1, "bidirectional": 0, "causal2vec": 1, "gem": 3}[variant]
    assert embedder.reserved_tokens == 1 + appended
    half = SentenceTransformerEmbedder(tmp_path, device="cpu", precision="bfloat16")
    assert (half.embed_documents(TEXTS) * wanted).sum(axis=1).min() > 0.99


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_text_has_one_vector_whatever_stands_beside_it(
    llama: Path, tiny_model: Path, variant: Variant
) -> None:
    model = made(llama, tiny_model, variant)
    together = model.encode(TEXTS)
    alone = np.stack([model.encode(text) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=2e-5)
    assert np.abs(together[0] - together[1]).max() > 0.01


@pytest.mark.parametrize(("variant", "sees"), [("causal", False), ("bidirectional", True)])
def test_the_mask_is_on_or_off(
    llama: Path, tiny_model: Path, tmp_path: Path, variant: Variant, sees: bool
) -> None:
    made(llama, tiny_model, variant).save_pretrained(str(tmp_path), create_model_card=False)
    model: Any = SentenceTransformerEmbedder(tmp_path, device="cpu", precision="float32").model
    one, other = model.encode(["abc", "abd"], output_value="token_embeddings")
    assert torch.allclose(one[0], other[0], atol=1e-6) != sees


def test_the_causal_vector_is_the_last_state_at_the_end_of_the_text(
    llama: Path, tiny_model: Path
) -> None:
    model = made(llama, tiny_model, "causal")
    ids = torch.tensor([[1, 3, 4, 5, 2]])  # <s> a b c <eos>
    assert model.preprocess(["abc"])["input_ids"].tolist() == ids.tolist()
    plain: Any = AutoModelForCausalLM.from_pretrained(llama)
    last = plain.model(ids).last_hidden_state[0, -1]
    wanted = torch.nn.functional.normalize(last, dim=0)
    assert torch.allclose(model.encode("abc", convert_to_tensor=True), wanted, atol=1e-5)
    long = model.preprocess(["abc" * 40])["input_ids"][0].tolist()
    assert len(long) == 40
    assert long[-1] == 2


def test_the_contextual_token_tells_the_first_token_of_the_rest(
    llama: Path, tiny_model: Path
) -> None:
    model = made(llama, tiny_model, "causal2vec")
    one, other = (model.encode(text, convert_to_tensor=True) for text in ("abc", "abd"))
    # The first half is read before the text: only the encoder can have told it.
    assert (one[:32] - other[:32]).abs().max() > 1e-3
    loss = model(model.preprocess(TEXTS))["sentence_embedding"].square()[:, 0].sum()
    loss.backward()
    reached = [p.grad is not None for p in (*model[0].project.parameters(),)]  # type: ignore[operator]
    assert all(reached)
    assert any(p.grad is not None for p in model[0].encoder.parameters())  # type: ignore[operator]


def test_special_tokens_are_a_bottleneck() -> None:
    special = torch.tensor([[0, 0, 1, 1, 0, 0], [0, 1, 1, 0, 0, 0]]).bool()
    real = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]]).bool()
    first, second = bottleneck(special, real).int().tolist()
    assert first == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],  # special: the text, itself, not the other special
        [1, 1, 0, 1, 0, 0],
        [0, 0, 1, 1, 1, 0],  # what follows: the special ones, not the text before them
        [0, 0, 1, 1, 1, 1],
    ]
    assert second[3] == [0, 1, 1, 1, 0, 0]
    assert [row[at] for at, row in enumerate(second)] == [1] * 6  # padding too sees itself
    assert second[4][3] == 1
    assert all(row[5] == 0 for row in second[:5])
    none = torch.zeros(1, 3, dtype=torch.bool)
    assert bottleneck(none, ~none)[0].int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_gem_embeds_by_its_special_tokens_alone(llama: Path, tiny_model: Path) -> None:
    model = made(llama, tiny_model, "gem")
    features = model[0](model.preprocess(TEXTS))
    assert features["attention_mask"].sum(dim=1).tolist() == [3] * len(TEXTS)
    # Without the mask between them, a model of one token is that of several: it is alone anyway.
    alone = made(llama, tiny_model, "gem", tokens=1)
    ids = alone.preprocess(["abc"])["input_ids"]
    plain: Any = alone[0].model  # type: ignore[union-attr]
    last = plain.model(ids).last_hidden_state[0, -1]
    wanted = torch.nn.functional.normalize(last, dim=0)
    assert torch.allclose(alone.encode("abc", convert_to_tensor=True), wanted, atol=1e-5)


def test_a_text_that_spells_gems_special_tokens_out_means_their_letters(
    llama: Path, tiny_model: Path, tmp_path: Path
) -> None:
    model = made(llama, tiny_model, "gem")
    model.save_pretrained(str(tmp_path), create_model_card=False)
    for each in (model, load_model(tmp_path, device="cpu", dtype=torch.float32)):
        ids = each.preprocess(["see <|embed_0|> here"])["input_ids"][0].tolist()
        special = each[0].special_ids  # type: ignore[union-attr]
        assert [token for token in ids if token in special] == special
        assert ids[-len(special) :] == special


def test_the_folder_of_a_gem_answers_as_the_model_did(
    llama: Path, tiny_model: Path, tmp_path: Path
) -> None:
    made(llama, tiny_model, "gem").save_pretrained(str(tmp_path), create_model_card=False)
    before: Any = AutoModelForCausalLM.from_pretrained(llama)
    after: Any = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = torch.tensor([[1, 3, 4, 5]])
    assert torch.allclose(before(ids).logits, after(ids).logits[..., : len(VOCABULARY)], atol=1e-5)


def test_gem_learns_to_write_through_its_special_tokens(llama: Path, tiny_model: Path) -> None:
    model = made(llama, tiny_model, "gem")
    texts = [letter * 12 for letter in "abcdefgh"]  # what follows is told by what went before
    loss = GemLoss(model, alpha=0.0, share=1.0)
    features = model.preprocess(texts)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        value = loss([features, features])
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        losses.append(value.item())
    # <s> and the first letter cannot be told: 1 of 12 predictions, of 8 letters.
    assert np.mean(losses[:3]) > 3
    assert np.mean(losses[-3:]) < 0.5


def test_gems_loss_is_that_of_the_text_alone(llama: Path, tiny_model: Path) -> None:
    model = made(llama, tiny_model, "gem")
    decoder: Any = model[0]
    plain = decoder.model
    texts = (torch.tensor([[1, 3, 4, 5, 6]]), torch.tensor([[1, 3, 4]]))
    wanted = sum(plain(input_ids=ids, labels=ids).loss * (ids.shape[1] - 1) for ids in texts) / 6
    features = model.preprocess(["abcd", "ab"])
    found = GemLoss(model, alpha=0.0, share=0.0).next_tokens(features)
    assert torch.allclose(found, wanted, atol=1e-5)


def test_gems_loss_reads_through_the_last_special_token(llama: Path, tiny_model: Path) -> None:
    model = made(llama, tiny_model, "gem")
    decoder: Any = model[0]
    # Of "<s> a" there is one way to put tokens inside. The last sees <s> and itself, at place 3.
    seen = {
        "input_ids": torch.tensor([[1, decoder.special_ids[-1]]]),
        "position_ids": torch.tensor([[0, 3]]),
        "attention_mask": torch.ones(1, 2, dtype=torch.long),
    }
    wanted = -decoder.model(**seen).logits[0, -1].log_softmax(dim=0)[3]
    loss = GemLoss(model, alpha=0.0, share=1.0)
    assert torch.allclose(loss.next_tokens(model.preprocess(["a"])), wanted, atol=1e-5)


def test_gems_loss_is_a_mixture(llama: Path, tiny_model: Path) -> None:
    model = made(llama, tiny_model, "gem")
    features = [model.preprocess(TEXTS), model.preprocess(TEXTS)]
    one, half, other = (
        GemLoss(model, alpha=alpha, share=1.0)(features) for alpha in (0.0, 0.5, 1.0)
    )
    assert torch.allclose(half, (one + other) / 2, atol=1e-5)
    assert other > 0


def test_what_cannot_be_is_refused(llama: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no variant"):
        decoder_embedder(llama, "other")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="encoder"):
        decoder_embedder(llama, "causal2vec")
    with pytest.raises(ModelError, match="cannot load"):
        decoder_embedder(tmp_path)
    with pytest.raises(ModelError):
        decoder_embedder(tiny_model, "gem")
    with pytest.raises(UsageError, match="GEM"):
        GemLoss(made(llama, tiny_model, "causal"), alpha=0.0)


@pytest.mark.parametrize("variant", ["causal2vec", "gem"])
def test_who_looks_inside_an_encoder_refuses_a_decoder(
    llama: Path, tiny_model: Path, tmp_path: Path, variant: Variant
) -> None:
    made(llama, tiny_model, variant).save_pretrained(str(tmp_path), create_model_card=False)
    if find_spec("openvino"):
        compiled = SentenceTransformerEmbedder(tmp_path, device="cpu", backend="openvino")
        with pytest.raises(ModelError, match="no plain encoder"):
            compiled.load()
    embedder = SentenceTransformerEmbedder(tmp_path, device="cpu", precision="float32")
    with pytest.raises(ModelError, match="not built as BERT is"):
        encoder_of(embedder).pooled(TEXTS)


def test_the_encoder_inside_a_decoders_folder_runs_nobodys_code(
    llama: Path, tiny_model: Path, tmp_path: Path
) -> None:
    made(llama, tiny_model, "causal2vec").save_pretrained(str(tmp_path), create_model_card=False)
    file = tmp_path / "encoder" / "modules.json"
    modules = json.loads(file.read_text())
    modules[-1]["type"] = "os.system"
    file.write_text(json.dumps(modules))
    with pytest.raises(ModelError, match=r"names the class os\.system"):
        SentenceTransformerEmbedder(tmp_path, device="cpu").load()
