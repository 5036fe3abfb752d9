"""Opening a model's folder: whose code may run.

The `modules.json` of a sentence-transformers model names a class for each of its modules, and
loading the model imports them. That library's own are harmless; any other name is code that the
folder's author chose. A fixed few of ours are allowed here, by name; everything else is refused,
and `trust_remote_code` is never set, so that no file of the folder is run either.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ModelError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

__all__ = ["OURS", "class_refs", "load_model"]

OURS = frozenset(
    {
        "rag.embedding.decoder.ContextualDecoder",
        "rag.embedding.gem.BottleneckDecoder",
        "rag.embedding.joint.LexicalPart",
        "rag.embedding.pooling.LatentAttentionPooling",
        "rag.embedding.pooling.LayerAttentionPooling",
    }
)
"""Modules of ours that a folder may name, where they are defined."""

_THEIRS = "sentence_transformers."


def class_refs(folder: Path) -> list[str]:
    """What classes a model's folder names, in order; none where it has no `modules.json`.

    Raises:
        OSError, ValueError, KeyError, TypeError: the file is not what it should be.
    """
    file = folder / "modules.json"
    if not file.is_file():
        return []
    return [str(each["type"]) for each in json.loads(file.read_text(encoding="utf-8"))]


def load_model(folder: Path, *, device: str, dtype: torch.dtype) -> SentenceTransformer:
    """The model in a folder.

    Args:
        folder: of a sentence-transformers model, or of a bare Hugging Face one.
        device: a torch device.
        dtype: of the weights.

    Raises:
        ModelError: it names a class that is neither sentence-transformers' nor one of ours.
        OSError, ValueError, RuntimeError, ImportError, KeyError, TypeError, SafetensorError: its
            files are not what they should be.
    """
    from sentence_transformers import SentenceTransformer

    refs = class_refs(folder)
    for ref in refs:
        if ref not in OURS and not ref.startswith(_THEIRS):
            raise ModelError(
                f"the model in {folder} names the class {ref}, neither sentence-transformers' nor"
                " one of ours",
                hint="to load it would run its author's code: choose a model that brings none",
            )
    options: dict[str, Any] = {"dtype": dtype}
    if OURS.isdisjoint(refs):
        return SentenceTransformer(
            str(folder), device=device, local_files_only=True, model_kwargs=options
        )
    return SentenceTransformer(
        modules=_modules(folder, options), device=device, local_files_only=True, **_saved(folder)
    )


def _modules(folder: Path, options: dict[str, Any]) -> list[Any]:
    """Every module, by its own class; sentence-transformers itself would refuse ours."""
    from sentence_transformers.util import import_from_string

    found: list[Any] = []
    for each in json.loads((folder / "modules.json").read_text(encoding="utf-8")):
        ref = each["type"]
        module, _, name = ref.rpartition(".")
        kind: Any = getattr(import_module(module), name) if ref in OURS else import_from_string(ref)
        found.append(
            kind.load(
                str(folder),
                subfolder=each["path"],
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs=dict(options),
            )
        )
    return found


def _saved(folder: Path) -> dict[str, Any]:
    """What the model as a whole was saved with: its prompts, and how long its vectors are."""
    file = folder / "config_sentence_transformers.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    wanted = ("prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim")
    return {name: config[name] for name in wanted if config.get(name) is not None}
