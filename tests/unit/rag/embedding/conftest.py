from __future__ import annotations

from collections.abc import Callable
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
def tiny_model(tiny_bert: Callable[[str], Path]) -> Path:
    """A BERT of letters with random weights, and a mean over its tokens; not normalised."""
    return tiny_bert("")
