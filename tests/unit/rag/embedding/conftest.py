from __future__ import annotations

import pytest

from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model


@pytest.fixture(scope="session")
def bundled() -> SentenceTransformerEmbedder:
    """The bundled model in float32: what every other precision and backend is compared with."""
    return SentenceTransformerEmbedder(
        bundled_model(), name=BUNDLED, device="cpu", precision="float32"
    )
