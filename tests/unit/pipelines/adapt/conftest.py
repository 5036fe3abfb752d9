from __future__ import annotations

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
def tiny_folder(tiny_bert) -> Path:
    return tiny_bert(f"{WORDS} port")


@pytest.fixture
def tiny_embedder(tiny_folder: Path) -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(tiny_folder, device="cpu", precision="float32")


@pytest.fixture
def tiny(tiny_folder: Path) -> Any:
    """The model itself, in float32; a new one each time, for it is trained in place."""
    import torch

    from rag.embedding.modules import load_model

    return load_model(tiny_folder, device="cpu", dtype=torch.float32)
