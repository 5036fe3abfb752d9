"""The forward pass written out is the model's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from rag.attribution.encoder import FrozenEncoder
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import bundled_model
from rag.errors import ModelError

TEXTS = ["Net revenue fell 12%.", "No.", "A much longer sentence about Köln, 東京 and 🙂 emoji."]


def test_hidden_states_are_those_of_the_model(tiny: FrozenEncoder) -> None:
    model = AutoModel.from_pretrained(tiny.folder, dtype=torch.float64).eval()
    encoded = tiny.encode(TEXTS)
    trace = tiny.trace(encoded)
    for row, each in enumerate(encoded):
        ids, types = torch.tensor([each.ids]), torch.tensor([each.types])
        # Positions of RoBERTa depend on padding, so the model is asked one text at a time.
        with torch.no_grad():
            wanted = model(input_ids=ids, token_type_ids=types if types.any() else None)[0][0]
        assert torch.allclose(trace.hidden[row, : len(each.ids)], wanted, atol=1e-10)


def test_pooled_vectors_are_the_embedders(minilm: FrozenEncoder) -> None:
    embedder = SentenceTransformerEmbedder(bundled_model(), precision="float32", device="cpu")
    assert np.allclose(minilm.pooled(TEXTS).numpy(), embedder.embed_documents(TEXTS), atol=1e-5)


def test_offsets_lead_into_the_text_each_token_is_of(minilm: FrozenEncoder) -> None:
    (single,) = minilm.encode(["Köln grew 4.2%"])
    assert single.tokens[0] == "[CLS]"
    assert single.offsets[0].tolist() == [0, 0]
    assert single.ranked.tolist() == [False, *[True] * (len(single.ids) - 2), False]
    start, end = single.offsets[1]
    assert "Köln grew 4.2%"[start:end] == "Köln"
    (pair,) = minilm.encode(["What grew?"], ["Köln grew"])
    ranked = ["Köln grew"[start:end] for start, end in pair.offsets[pair.ranked].tolist()]
    assert ranked == ["Köln", "grew"]
    assert pair.types[pair.ranked.argmax()] == 1


def test_what_is_longer_than_the_model_reads_is_refused(tiny: FrozenEncoder) -> None:
    with pytest.raises(ModelError, match="positions"):
        tiny.encode(["word " * 200])


def test_an_encoder_of_another_build_is_refused(tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    DistilBertModel(
        DistilBertConfig(vocab_size=50, dim=16, n_layers=1, n_heads=2, hidden_dim=16)
    ).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="not built as BERT is"):
        _ = FrozenEncoder(tmp_path).layers


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot load"):
        _ = FrozenEncoder(tmp_path).layers
    with pytest.raises(ModelError, match="tokenizer"):
        FrozenEncoder(tmp_path).encode(["text"])
