"""Low-rank adapters: a few numbers that make another model of an encoder.

A linear map W becomes W + (alpha / r) B A, with A (r, in) and B (out, r) the only weights trained.
Source: Hu et al., "LoRA" (2021). Once trained, the sum is taken for good (`merge`), so that an
adapted encoder is as fast as the plain one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["adapted_maps", "merge"]


def adapted_maps(encoder: Any) -> Iterator[tuple[str, Any]]:
    """Every linear map of a BERT-like encoder's layers, by a short name; the order is fixed."""
    for number, layer in enumerate(encoder.encoder.layer):
        attention = layer.attention
        yield f"{number}.query", attention.self.query
        yield f"{number}.key", attention.self.key
        yield f"{number}.value", attention.self.value
        yield f"{number}.mix", attention.output.dense
        yield f"{number}.up", layer.intermediate.dense
        yield f"{number}.down", layer.output.dense


def merge(encoder: Any, weights: Mapping[str, torch.Tensor], scale: float) -> None:
    """Add scale * B A to each map in place; `weights` has `<map>.a` and `<map>.b`."""
    import torch

    with torch.no_grad():
        for name, linear in adapted_maps(encoder):
            down, up = weights[f"{name}.a"].float(), weights[f"{name}.b"].float()
            linear.weight += (scale * (up @ down)).to(linear.weight.dtype)
