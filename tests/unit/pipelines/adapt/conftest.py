from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import pytest

from pipelines.adapt.passages import Passage
from rag.embedding.dense import SentenceTransformerEmbedder

WORDS = (
    "otter badger heron river forest trout sett earthworm nest pine burrow marsh fox vole owl pond"
)


@pytest.fixture(scope="session")
def passages() -> list[Passage]:
    """One passage for each of sixteen animals and places, three sentences each."""
    found: list[Passage] = []
    for at, word in enumerate(WORDS.split()):
        text = (
            f"The {word} was studied by the Nordic Wildlife Trust (NWT) in {1990 + at}. "
            f"Numbers of the {word} increased by {at + 3} percent in the north. "
            f"Observers of the NWT will count every {word} again next year."
        )
        found.append(Passage(f"{word}.txt", f"{word} report\n", text))
    return found


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights over letters, and a mean over its tokens."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    bare = tmp_path_factory.mktemp("bare")
    letters = string.ascii_lowercase + string.digits + ".():"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, "##port"]
    vocabulary += [f"##{letter}" for letter in letters] + WORDS.split()
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


@pytest.fixture
def tiny_embedder(tiny_folder: Path) -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(tiny_folder, device="cpu", precision="float32")


@pytest.fixture
def tiny(tiny_folder: Path) -> Any:
    """The model itself, in float32; a new one each time, for it is trained in place."""
    import torch

    from rag.embedding.modules import load_model

    return load_model(tiny_folder, device="cpu", dtype=torch.float32)
