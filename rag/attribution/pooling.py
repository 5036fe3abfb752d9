"""How a model makes one vector of many, as its folder says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rag.errors import ModelError, first_line

__all__ = ["read_pooling"]

_FILE = "1_Pooling/config.json"  # where it is, in a folder that does not list its modules


def read_pooling(folder: Path) -> str:
    """A mode ("mean", "cls", ...; several with + between them), or the class of another pooling.

    A folder that says nothing pools by the mean, as sentence-transformers then does.

    Raises:
        ModelError: what it says cannot be read.
    """
    try:
        listed = folder / "modules.json"
        modules = _read(listed) if listed.is_file() else []
        poolings = [each for each in modules if each["type"].endswith("Pooling")]
        for each in poolings:
            name: str = each["type"].rpartition(".")[2]
            if name != "Pooling":
                return name
        file = folder / poolings[0]["path"] / "config.json" if poolings else folder / _FILE
        return _mode(_read(file)) if file.is_file() else "mean"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"cannot read how the model in {folder} pools: {first_line(error)}",
            hint="save the model again",
        ) from error


def _mode(config: dict[str, Any]) -> str:
    """The mode of sentence-transformers' own pooling, as version 6 or one before it wrote it."""
    modes = config.get("pooling_mode")
    if modes is None:
        prefix = "pooling_mode_"
        modes = [
            key.removeprefix(prefix) for key, on in config.items() if key[:13] == prefix and on
        ]
        modes = [mode.removesuffix("_tokens").removesuffix("_token") for mode in modes] or ["mean"]
    return modes if isinstance(modes, str) else "+".join(modes)


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
