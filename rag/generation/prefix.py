"""What a causal model has read and need not read again: the beginnings that prompts share.

Attention of a token looks back only, so the keys and values of a prefix are the same whatever
follows it. Those of the longest prompt lately read are kept. A row of the next batch takes as much
of them as it begins with; rows are filled up on the left, which the attention mask hides, and the
positions are counted along the mask, so that every token sits where it sat alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

__all__ = ["Batch", "PrefixCache"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Prompts as `generate` takes them.

    Attributes:
        ids: of the tokens of each prompt.
        reused: how many tokens of each were read before.
        inputs: `input_ids` and `attention_mask`, shape (prompts, width), and the cache of what was
            read before, whose tokens are the first columns.
    """

    ids: list[list[int]]
    reused: list[int]
    inputs: dict[str, Any]

    @property
    def width(self) -> int:
        """The columns of the prompts; answers are to the right of them."""
        return int(self.inputs["input_ids"].shape[1])


class PrefixCache:
    """Remembers the keys and values of one prompt, the last that was read."""

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._layers: list[tuple[Tensor, Tensor]] = []

    def forget(self) -> None:
        """Free what is kept."""
        self._ids, self._layers = [], []

    def batch(self, ids: Sequence[list[int]], device: torch.device) -> Batch:
        """The prompts as a batch that goes on from what was read before.

        At least the last token of each is read: the answer begins with what it predicts.
        """
        reused = [min(_alike(self._ids, row), len(row) - 1) for row in ids]
        known = max(reused)
        fresh = max(len(row) - old for row, old in zip(ids, reused, strict=True))
        tokens = torch.zeros(len(ids), known + fresh, dtype=torch.long)
        mask = torch.zeros_like(tokens)
        for at, (row, old) in enumerate(zip(ids, reused, strict=True)):
            for part, end in ((row[:old], known), (row[old:], known + fresh)):
                tokens[at, end - len(part) : end] = torch.tensor(part, dtype=torch.long)
                mask[at, end - len(part) : end] = 1
        inputs: dict[str, Any] = {
            "input_ids": tokens.to(device),
            "attention_mask": mask.to(device),
        }
        if known:
            inputs["past_key_values"] = DynamicCache(
                [
                    (_rows(keys, reused, known), _rows(values, reused, known))
                    for keys, values in self._layers
                ]
            )
        return Batch([list(row) for row in ids], reused, inputs)

    def remember(self, batch: Batch, cache: Cache | None) -> None:
        """Keep the longest prompt of a batch that was read, where its cache can be taken apart."""
        layers = getattr(cache, "layers", [])
        if not layers or any(type(layer) is not DynamicLayer for layer in layers):
            self.forget()  # a sliding window, or no attention at all
            return
        row = max(range(len(batch.ids)), key=lambda at: len(batch.ids[at]))
        (at,) = batch.inputs["attention_mask"][row].nonzero(as_tuple=True)
        self._ids = batch.ids[row]
        self._layers = [
            (layer.keys[row : row + 1, :, at].clone(), layer.values[row : row + 1, :, at].clone())
            for layer in layers
        ]


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two prompts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _rows(kept: Tensor, reused: Sequence[int], width: int) -> Tensor:
    """The first so many columns of what is kept, for each row, to the right of zeros."""
    rows = kept.new_zeros(len(reused), kept.shape[1], width, kept.shape[3])
    for row, old in enumerate(reused):
        rows[row, :, width - old :] = kept[0, :, :old]
    return rows
