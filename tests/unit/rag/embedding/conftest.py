from __future__ import annotations

import string
from pathlib import Path

import pytest

from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model


@pytest.fixture(scope="session")
def bundled() -> SentenceTransformerEmbedder:
    """The bundled model in float32: what every other precision and backend is compared with."""
    return SentenceTransformerEmbedder(
        bundled_model(), name=BUNDLED, device="cpu", precision="float32"
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights, and a mean over its tokens; not normalised."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    bare = tmp_path_factory.mktemp("bare")
    letters = f"{string.ascii_lowercase}.:"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    vocabulary += [f"##{letter}" for letter in letters]
    (bare / "vocab.txt").write_text("\n".join(vocabulary))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=128,
    )  # fmt: skip
    BertModel(config).save_pretrained(bare)
    BertTokenizerFast(str(bare / "vocab.txt"), model_max_length=128).save_pretrained(bare)
    folder = tmp_path_factory.mktemp("tiny")
    model = SentenceTransformer(modules=[Transformer(str(bare)), Pooling(32)], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder
