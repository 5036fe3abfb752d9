from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag.embedding.base import Vectors
from rag.embedding.dense import SentenceTransformerEmbedder, _batches
from rag.embedding.registry import bundled_model
from rag.errors import ModelError

TEXTS = [
    "Net sales rose by four percent.",
    "x",
    "The cat sat on the mat. " * 12,
    "Costs fell.",
    "",
    "Operating income of the segment decreased. " * 40,  # longer than the model reads
    "\U0001f44d \u6771\u4eac e\u0301tude",
    "Net sales rose by four percent.",
]
PROMPTS = {"query": "question: ", "document": "passage: "}
MakeModel = Callable[..., Path]


def cosines(some: Vectors, others: Vectors) -> Any:
    """Of the vectors, row by row; both are of unit length."""
    return (some * others).sum(axis=1)


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """A tiny BERT with random weights, saved as a sentence-transformers model."""

    def make(folder: str = "tiny", prompts: dict[str, str] | None = None, seed: int = 0) -> Path:
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.models import Pooling, Transformer
        from transformers import BertConfig, BertModel, BertTokenizerFast

        letters = "abcdefghijklmnopqrstuvwxyz.:"
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
        vocabulary += [f"##{letter}" for letter in letters]
        bare = tmp_path / f"{folder}-bare"
        bare.mkdir()
        (bare / "vocab.txt").write_text("\n".join(vocabulary))
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2,
            num_attention_heads=2, intermediate_size=64, max_position_embeddings=128,
        )  # fmt: skip
        BertModel(config).save_pretrained(bare)
        BertTokenizerFast(str(bare / "vocab.txt"), model_max_length=128).save_pretrained(bare)
        transformer = Transformer(str(bare))
        modules = [transformer, Pooling(transformer.get_embedding_dimension())]
        model = SentenceTransformer(modules=modules, prompts=prompts, device="cpu")
        model.save_pretrained(str(tmp_path / folder), create_model_card=False)
        return tmp_path / folder

    return make


def tiny(folder: Path, **arguments: Any) -> SentenceTransformerEmbedder:
    arguments = {"name": "tiny", "device": "cpu", "precision": "float32", **arguments}
    return SentenceTransformerEmbedder(folder, **arguments)


def test_vectors_have_length_one(bundled: SentenceTransformerEmbedder) -> None:
    vectors = bundled.embed_documents(TEXTS)
    assert vectors.shape == (len(TEXTS), bundled.dimension) == (8, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_vectors_stand_in_the_order_of_their_texts_whatever_the_lengths(
    bundled: SentenceTransformerEmbedder,
) -> None:
    together = bundled.embed_documents(TEXTS)
    alone = np.concatenate([bundled.embed_documents([text]) for text in TEXTS])
    assert cosines(together, alone).min() > 0.9999
    np.testing.assert_allclose(together[0], together[-1], atol=1e-6)


def test_a_question_is_nearest_to_the_text_that_answers_it(
    bundled: SentenceTransformerEmbedder,
) -> None:
    passages = ["Net sales rose by four percent.", "The cat sat on the mat.", "Rain is expected."]
    questions = ["How much did revenue grow?", "Where was the cat?", "What is the weather like?"]
    nearest = bundled.embed_queries(questions) @ bundled.embed_documents(passages).T
    assert nearest.argmax(axis=1).tolist() == [0, 1, 2]


def test_no_texts_have_no_vectors(bundled: SentenceTransformerEmbedder) -> None:
    assert bundled.embed_documents([]).shape == (0, 384)
    assert bundled.embed_queries([]).shape == (0, 384)


def test_the_bundled_model_says_what_it_reads(bundled: SentenceTransformerEmbedder) -> None:
    assert bundled.max_tokens == 256
    assert bundled.reserved_tokens == 2
    assert bundled.counter.count("net sales") == 2


def test_bfloat16_agrees_with_float32(bundled: SentenceTransformerEmbedder) -> None:
    import torch

    half = SentenceTransformerEmbedder(bundled_model(), device="cpu", precision="bfloat16")
    assert half.dtype == torch.bfloat16
    vectors = half.embed_documents(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert cosines(vectors, bundled.embed_documents(TEXTS)).min() > 0.999


@pytest.mark.skipif(find_spec("openvino") is None, reason="the openvino extra is not installed")
def test_openvino_agrees_with_torch(bundled: SentenceTransformerEmbedder) -> None:
    compiled = SentenceTransformerEmbedder(bundled_model(), device="cpu", backend="openvino")
    vectors = compiled.embed_documents(TEXTS)
    assert cosines(vectors, bundled.embed_documents(TEXTS)).min() > 0.999
    questions = compiled.embed_queries(TEXTS[:2])
    assert cosines(questions, bundled.embed_queries(TEXTS[:2])).min() > 0.999


def test_automatic_precision_is_one_the_processor_has() -> None:
    import torch

    automatic = SentenceTransformerEmbedder(bundled_model(), device="cpu")
    assert automatic.dtype in (torch.float32, torch.bfloat16)
    assert SentenceTransformerEmbedder(bundled_model(), device="mps").dtype == torch.float32


def test_questions_and_passages_are_read_under_their_prompts(make_model: MakeModel) -> None:
    embedder = tiny(make_model(prompts=PROMPTS))
    plain = tiny(make_model("plain"))
    text = ["net sales rose"]
    assert cosines(embedder.embed_queries(text), embedder.embed_documents(text))[0] < 0.9999
    for embedded, prompt in (
        (embedder.embed_queries(text), PROMPTS["query"]),
        (embedder.embed_documents(text), PROMPTS["document"]),
    ):
        assert cosines(embedded, plain.embed_documents([prompt + text[0]]))[0] > 0.9999
    assert cosines(plain.embed_queries(text), plain.embed_documents(text))[0] > 0.9999


def test_a_prompt_takes_room_of_the_window(make_model: MakeModel) -> None:
    plain, prompted = tiny(make_model("plain")), tiny(make_model("prompted", PROMPTS))
    assert plain.max_tokens == prompted.max_tokens == 128
    assert plain.reserved_tokens == 2
    assert prompted.reserved_tokens == 2 + prompted.counter.count("passage:")


@pytest.mark.parametrize("name", ["no/such-model", "/no/such/folder", "not a name!"])
def test_a_model_that_is_not_there_is_a_model_error_with_a_hint(name: str) -> None:
    embedder = SentenceTransformerEmbedder(name, device="cpu")
    with pytest.raises(ModelError, match="no embedding model") as caught:
        embedder.embed_documents(["x"])
    assert "embedding.model" in caught.value.hint
    with pytest.raises(ModelError):
        _ = embedder.fingerprint


def empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def without_weights(folder: Path) -> None:
    for path in folder.rglob("*.safetensors"):
        path.unlink()


def with_broken_weights(folder: Path) -> None:
    for path in folder.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])


def with_broken_config(folder: Path) -> None:
    (folder / "modules.json").write_text("[")


@pytest.mark.parametrize("spoil", [empty, without_weights, with_broken_weights, with_broken_config])
def test_a_folder_that_holds_no_model_is_a_model_error(
    make_model: MakeModel, spoil: Callable[[Path], None]
) -> None:
    folder = make_model()
    spoil(folder)
    with pytest.raises(ModelError) as caught:
        tiny(folder).embed_documents(["x"])
    assert caught.value.hint


def test_the_fingerprint_is_known_without_loading_the_model() -> None:
    embedder = SentenceTransformerEmbedder(bundled_model(), name="MiniLM", device="cpu")
    assert embedder.fingerprint.startswith("MiniLM:")
    assert "model" not in vars(embedder)


def test_loading_reads_the_weights(make_model: MakeModel) -> None:
    embedder = tiny(make_model())
    assert "model" not in vars(embedder)
    embedder.load()
    assert "model" in vars(embedder)


def test_the_fingerprint_changes_with_precision_backend_and_name() -> None:
    variants: list[dict[str, Any]] = [
        {"name": "a", "precision": "float32"},
        {"name": "a", "precision": "bfloat16"},
        {"name": "a", "backend": "openvino"},
        {"name": "b", "precision": "float32"},
    ]
    prints = [
        SentenceTransformerEmbedder(bundled_model(), device="cpu", **variant).fingerprint
        for variant in variants
    ]
    assert len(set(prints)) == len(variants)


def test_the_fingerprint_is_that_of_the_files_wherever_they_are(
    make_model: MakeModel, tmp_path: Path
) -> None:
    folder = make_model()
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert tiny(copy).fingerprint == tiny(folder).fingerprint


def test_retrained_weights_have_another_fingerprint(make_model: MakeModel) -> None:
    first, second = make_model("first", seed=0), make_model("second", seed=1)
    assert tiny(first).fingerprint != tiny(second).fingerprint


def test_another_prompt_of_the_same_length_has_another_fingerprint(make_model: MakeModel) -> None:
    folder = make_model(prompts=PROMPTS)
    before = tiny(folder).fingerprint
    file = folder / "config_sentence_transformers.json"
    config = json.loads(file.read_text())
    assert config["prompts"] == PROMPTS
    file.write_text(file.read_text().replace("question: ", "requests: "))
    assert tiny(folder).fingerprint != before


def test_a_model_without_a_tokenizer_file_is_measured_by_its_own_tokenizer(
    make_model: MakeModel,
) -> None:
    embedder = tiny(make_model())
    (embedder.folder / "tokenizer.json").unlink()
    shutil.copy(f"{embedder.folder}-bare/vocab.txt", embedder.folder)
    assert embedder.counter.count("abc def") == 6


def test_batches_hold_every_text_once_longest_first_and_bounded() -> None:
    lengths = [3, 5_000, 0, 250, 250, 250, 17, 4_096, 0, 1] * 9
    batches = list(_batches(lengths, 256))
    assert sorted(at for batch in batches for at in batch) == list(range(len(lengths)))
    flat = [lengths[at] for batch in batches for at in batch]
    assert flat == sorted(lengths, reverse=True)
    padded = [len(batch) * min(max(lengths[at] for at in batch), 256) for batch in batches]
    assert max(padded) <= 4_096
    assert list(_batches([], 256)) == []
