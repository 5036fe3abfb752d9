"""A module of an embedder with weights of its own, which its folder keeps.

This file imports torch, which takes seconds: import it inside functions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from safetensors.torch import load_file, save_file
from sentence_transformers.base.modules import Module

__all__ = ["SavedModule"]

_WEIGHTS = "model.safetensors"


class SavedModule(Module):
    """Saved as its configuration (`config_keys`, what its constructor takes) and its weights."""

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Write configuration and weights into a folder."""
        self.save_config(output_path)
        save_file(self.state_dict(), Path(output_path, _WEIGHTS))

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", *args: Any, **kwargs: Any) -> Self:
        """Read what `save` wrote.

        Raises:
            OSError, RuntimeError, TypeError: there are no weights, or others than these.
        """
        config = cls.load_config(model_name_or_path, subfolder=subfolder, local_files_only=True)
        module = cls(**config)
        module.load_state_dict(load_file(Path(model_name_or_path, subfolder, _WEIGHTS)))
        return module
