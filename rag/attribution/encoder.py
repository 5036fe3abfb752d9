"""A BERT-like encoder, run once in the ordinary way and then frozen.

The forward pass is written out, because attribution needs what a library keeps to itself:
attention, both LayerNorm deviations and the activation slope of each layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.attribution.head import Head, read_head
from rag.attribution.pooling import read_pooling
from rag.errors import ModelError, first_line

if TYPE_CHECKING:
    import torch

__all__ = ["Encoded", "FrozenEncoder", "Layer", "LayerTrace", "Trace"]

_TINY = 1e-12  # as the reference has it below a quotient


class Encoded(NamedTuple):
    """A text, or a pair of them, as the model reads it."""

    ids: list[int]
    types: list[int]
    tokens: tuple[str, ...]
    offsets: NDArray[np.int64]
    ranked: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one layer. Linear maps are stored as torch does: (out, in)."""

    wq: torch.Tensor
    bq: torch.Tensor
    wk: torch.Tensor
    bk: torch.Tensor
    wv: torch.Tensor
    bv: torch.Tensor
    wo: torch.Tensor
    bo: torch.Tensor
    gamma1: torch.Tensor
    beta1: torch.Tensor
    w1: torch.Tensor
    b1: torch.Tensor
    w2: torch.Tensor
    b2: torch.Tensor
    gamma2: torch.Tensor
    beta2: torch.Tensor
    eps: float
    heads: int
    activation: Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class LayerTrace:
    """What one layer did, frozen.

    Args:
        layer: its weights.
        x: its input, (B, T, d).
        attention: (B, H, T, T), row i the receiver; rows sum to 1, padding gets 0.
        sd1, sd2: what the LayerNorms divide by, (B, T, 1).
        slope: activation over its argument, (B, T, inner size).
    """

    layer: Layer
    x: torch.Tensor
    attention: torch.Tensor
    sd1: torch.Tensor
    sd2: torch.Tensor
    slope: torch.Tensor


@dataclass(frozen=True, slots=True)
class Trace:
    """One forward pass: its layers, its output (B, T, d), and which positions are real (B, T)."""

    layers: list[LayerTrace]
    hidden: torch.Tensor
    mask: torch.Tensor

    @property
    def weights(self) -> torch.Tensor:
        """The share of each position in the mean over a text, (B, T); 0 on padding."""
        mask = self.mask.to(self.hidden.dtype)
        return mask / mask.sum(dim=1, keepdim=True)


class FrozenEncoder:
    """A post-LayerNorm encoder with BERT's parts (BERT, RoBERTa, XLM-R, ELECTRA, MiniLM, ...).

    Args:
        folder: of the model: config, weights, `tokenizer.json`.
        name: how it is called.
        device: a torch device.
        dtype: "float32" or "float64".
    """

    def __init__(
        self, folder: Path, *, name: str = "", device: str = "cpu", dtype: str = "float32"
    ) -> None:
        self.folder = folder
        self.name = name or folder.name
        self.device = device
        self._dtype = dtype

    @cached_property
    def _model(self) -> Any:
        import torch
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # a head is no surprise
        try:
            model = AutoModel.from_pretrained(
                str(self.folder), dtype=getattr(torch, self._dtype), local_files_only=True
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise ModelError(
                f"cannot load the encoder {self.name}: {first_line(error)}",
                hint="attribution needs a Hugging Face encoder in a folder",
            ) from error
        return model.eval().to(self.device)

    @cached_property
    def layers(self) -> list[Layer]:
        """The weights.

        Raises:
            ModelError: it is not built as BERT is.
        """
        try:
            return [_layer(each) for each in self._model.encoder.layer]
        except AttributeError as error:
            raise ModelError(
                f"{self.name} is not built as BERT is ({first_line(error)})",
                hint="attribution knows BERT, RoBERTa, XLM-R, ELECTRA and their like",
            ) from None

    @cached_property
    def head(self) -> Head:
        """The classification head.

        Raises:
            UsageError: it has none.
        """
        import torch

        return read_head(self.folder, getattr(torch, self._dtype), self.device)

    @cached_property
    def max_tokens(self) -> int:
        """The positions the model has."""
        config = self._model.config
        # RoBERTa's positions start behind the padding token's.
        shift = (config.pad_token_id or 0) + 1 if "roberta" in config.model_type else 0
        return int(config.max_position_embeddings) - shift

    @cached_property
    def pooling(self) -> str:
        """How its sentence embedding is made: "mean", "cls", or what else its folder says."""
        return read_pooling(self.folder)

    @property
    def pools_cls(self) -> bool:
        """Whether its sentence embedding is the first position, and not the mean of all."""
        return self.pooling == "cls"

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        except Exception as error:
            raise ModelError(
                f"cannot read the tokenizer of {self.name}: {first_line(error)}",
                hint="attribution needs a tokenizer.json beside the weights",
            ) from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Encoded]:
        """Tokenise texts, or pairs of texts, whole.

        Raises:
            ModelError: one has more tokens than the model has positions.
        """
        wanted = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        segment = 0 if pairs is None else 1
        found: list[Encoded] = []
        for each in self._tokenizer.encode_batch(wanted):
            if len(each.ids) > self.max_tokens:
                raise ModelError(
                    f"{len(each.ids)} tokens, and {self.name} has {self.max_tokens} positions",
                    hint="score shorter pieces of the text",
                )
            own = [sequence == segment for sequence in each.sequence_ids]
            offsets = np.array(each.offsets, dtype=np.int64).reshape(-1, 2)
            offsets[[sequence is None for sequence in each.sequence_ids]] = 0
            found.append(
                Encoded(each.ids, each.type_ids, tuple(each.tokens), offsets, np.array(own, bool))
            )
        return found

    def embed(self, encoded: Sequence[Encoded]) -> tuple[torch.Tensor, torch.Tensor]:
        """Input of the first layer, (B, T, d), and which positions are real, (B, T).

        Raises:
            ModelError: it is not built as BERT is.
        """
        import torch

        _ = self.layers  # what is built otherwise is told here, and not by an attribute it lacks
        longest = max(len(each.ids) for each in encoded)
        pad = self._model.config.pad_token_id or 0
        ids = torch.full((len(encoded), longest), pad)
        types = torch.zeros((len(encoded), longest), dtype=torch.long)
        mask = torch.zeros((len(encoded), longest), dtype=torch.bool)
        for row, each in enumerate(encoded):
            length = len(each.ids)
            ids[row, :length] = torch.tensor(each.ids)
            types[row, :length] = torch.tensor(each.types)
            mask[row, :length] = True
        types = types.clamp(max=max(self._model.config.type_vocab_size - 1, 0))
        with torch.inference_mode():
            x = self._model.embeddings(
                input_ids=ids.to(self.device), token_type_ids=types.to(self.device)
            )
            if hasattr(self._model, "embeddings_project"):
                x = self._model.embeddings_project(x)
        return x, mask.to(self.device)

    def trace(self, encoded: Sequence[Encoded]) -> Trace:
        """One forward pass over texts, padded to the longest, with everything kept."""
        import torch

        x, mask = self.embed(encoded)
        traces: list[LayerTrace] = []
        with torch.inference_mode():
            for layer in self.layers:
                traced, x = _forward(layer, x, mask)
                traces.append(traced)
        return Trace(traces, x, mask)

    def hidden(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The output for an input of the first layer, (B, T, d)."""
        import torch

        with torch.inference_mode():
            for layer in self.layers:
                _, x = _forward(layer, x, mask)
        return x

    def pooled(self, texts: Sequence[str]) -> torch.Tensor:
        """Unit embeddings, pooled as the model does: the first position or the mean, (B, d)."""
        import torch

        traced = self.trace(self.encode(texts))
        if self.pools_cls:
            return torch.nn.functional.normalize(traced.hidden[:, 0], dim=1)
        mean = torch.einsum("bt,btd->bd", traced.weights, traced.hidden)
        return torch.nn.functional.normalize(mean, dim=1)


def _forward(layer: Layer, x: torch.Tensor, mask: torch.Tensor) -> tuple[LayerTrace, torch.Tensor]:
    """One layer: what attribution keeps of it, and its output."""
    import torch

    batch, length, size = x.shape
    each = size // layer.heads

    def heads(weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        mapped = torch.nn.functional.linear(x, weight, bias)
        return mapped.view(batch, length, layer.heads, each).transpose(1, 2)

    affinity = heads(layer.wq, layer.bq) @ heads(layer.wk, layer.bk).transpose(2, 3)
    affinity = affinity.mul_(each**-0.5).masked_fill_(~mask[:, None, None, :], float("-inf"))
    attention = affinity.softmax(dim=-1)
    mixed = (attention @ heads(layer.wv, layer.bv)).transpose(1, 2).reshape(batch, length, size)
    summed = torch.nn.functional.linear(mixed, layer.wo, layer.bo) + x
    first, sd1 = _normalise(summed, layer.gamma1, layer.beta1, layer.eps)
    z = torch.nn.functional.linear(first, layer.w1, layer.b1)
    active = layer.activation(z)
    out = torch.nn.functional.linear(active, layer.w2, layer.b2) + first
    output, sd2 = _normalise(out, layer.gamma2, layer.beta2, layer.eps)
    return LayerTrace(layer, x, attention, sd1, sd2, active / (z + _TINY)), output


def _normalise(
    x: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """LayerNorm, and what it divided by."""
    centred = x - x.mean(dim=-1, keepdim=True)
    deviation = (centred.square().mean(dim=-1, keepdim=True) + eps).sqrt()
    return gamma * centred / deviation + beta, deviation


def _layer(module: Any) -> Layer:
    attention, output = module.attention, module.output
    own = attention.self
    first, second = attention.output.LayerNorm, output.LayerNorm
    return Layer(
        wq=own.query.weight.detach(),
        bq=own.query.bias.detach(),
        wk=own.key.weight.detach(),
        bk=own.key.bias.detach(),
        wv=own.value.weight.detach(),
        bv=own.value.bias.detach(),
        wo=attention.output.dense.weight.detach(),
        bo=attention.output.dense.bias.detach(),
        gamma1=first.weight.detach(),
        beta1=first.bias.detach(),
        w1=module.intermediate.dense.weight.detach(),
        b1=module.intermediate.dense.bias.detach(),
        w2=output.dense.weight.detach(),
        b2=output.dense.bias.detach(),
        gamma2=second.weight.detach(),
        beta2=second.bias.detach(),
        eps=float(second.eps),
        heads=int(own.num_attention_heads),
        activation=module.intermediate.intermediate_act_fn,
    )
