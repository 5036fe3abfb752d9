"""Small encoders with random weights, of three families, in float64."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rag.attribution.encoder import FrozenEncoder
from rag.embedding.registry import bundled_model, bundled_tokenizer

SIZES = {
    "vocab_size": 30_522,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 80,
}


@pytest.fixture(scope="session", params=["bert", "roberta", "electra"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FrozenEncoder:
    """An encoder whose LayerNorms and biases are anything but neutral."""
    import torch
    from transformers import AutoConfig, AutoModel

    folder: Path = tmp_path_factory.mktemp(request.param)
    extra = {"embedding_size": 16} if request.param == "electra" else {}
    config = AutoConfig.for_model(request.param, **SIZES, **extra, pad_token_id=0)
    torch.manual_seed(3)
    model = AutoModel.from_config(config, dtype=torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    shutil.copy(bundled_tokenizer(), folder)
    return FrozenEncoder(folder, name=request.param, dtype="float64")


@pytest.fixture(scope="session")
def minilm() -> FrozenEncoder:
    return FrozenEncoder(bundled_model(), name="all-MiniLM-L6-v2")
