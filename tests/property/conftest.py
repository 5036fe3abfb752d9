from __future__ import annotations

import pytest

from rag.embedding.registry import bundled_tokenizer
from rag.tokens import TokenCounter


@pytest.fixture(scope="session")
def counter() -> TokenCounter:
    return TokenCounter.from_file(bundled_tokenizer(), "all-MiniLM-L6-v2")
