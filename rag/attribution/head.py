"""The classification head on an encoder: what FrugalPrompt's notebooks take their scores from.

logits = Wc tanh(Wp h_0 + bp) + bc, h_0 the output at the first position.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rag.errors import UsageError

if TYPE_CHECKING:
    import torch

__all__ = ["Head", "read_head"]

_BERT = ("pooler.dense", "classifier")
_ROBERTA = ("classifier.dense", "classifier.out_proj")
"""The two linear maps, as they are called behind the model's own prefix."""


class Head(NamedTuple):
    """Weights as torch stores them, (out, in), and biases."""

    pooler: torch.Tensor
    pooler_bias: torch.Tensor
    labels: torch.Tensor
    labels_bias: torch.Tensor


def read_head(folder: Path, dtype: torch.dtype, device: str) -> Head:
    """The head in a model's folder.

    Raises:
        UsageError: the model has none, or one of another make.
    """
    from safetensors import safe_open

    file = folder / "model.safetensors"
    kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type", "")
    if file.is_file() and kind != "electra":  # ELECTRA's has a GELU in the place of tanh
        with safe_open(file, framework="pt", device=device) as weights:
            names = {f".{name}": name for name in weights.keys()}  # noqa: SIM118 - no mapping
            for maps in (_BERT, _ROBERTA):
                wanted = [f".{each}.{part}" for each in maps for part in ("weight", "bias")]
                found = [n for w in wanted for end, n in names.items() if end.endswith(w)]
                if len(found) == len(wanted):
                    return Head(*(weights.get_tensor(name).to(dtype) for name in found))
    raise UsageError(
        f"{folder.name} has no classification head of BERT's make",
        hint="choose a readout without classifier or pooler",
    )
