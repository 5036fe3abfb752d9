"""From the vectors of tokens to one vector of a text: what a model's pooling may be.

Mean, first and last token are sentence-transformers' own. Two more are learned, and begin as the
mean, exactly: what they add goes through linear maps that are zero at first, so that training can
only move away from what the model could do before.

This file imports torch, which takes seconds: import it inside functions.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Module
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn
from torch.nn import functional

from rag.embedding.saved import SavedModule
from rag.errors import ModelError, UsageError

__all__ = ["Kind", "LatentAttentionPooling", "LayerAttentionPooling", "with_pooling"]

Kind = Literal["mean", "cls", "last", "latent", "layers"]
_MODES: dict[str, Any] = {"mean": "mean", "cls": "cls", "last": "lasttoken"}


class _Block(nn.Module):
    """Attention and a gated feed-forward network, as what they add to a base; nothing, at first.

    Args:
        size: of the vectors, d.
        heads: of the attention; they divide d.
    """

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.asking_norm = nn.LayerNorm(size)
        self.memory_norm = nn.LayerNorm(size)
        self.feed_norm = nn.LayerNorm(size)
        self.query = nn.Linear(size, size, bias=False)
        self.key_value = nn.Linear(size, 2 * size, bias=False)
        self.mix = nn.Linear(size, size)
        self.up = nn.Linear(size, 8 * size)
        self.down = nn.Linear(4 * size, size)
        for outlet in (self.mix, self.down):
            nn.init.zeros_(outlet.weight)
            nn.init.zeros_(outlet.bias)

    def forward(
        self, base: torch.Tensor, asking: torch.Tensor, memory: torch.Tensor
    ) -> torch.Tensor:
        """What is added to `base`.

        Args:
            base: (B, N, d), or (B, 1, d).
            asking: the queries, (B, N, d).
            memory: keys and values, (B, M, d).

        Returns:
            (B, N, d).
        """
        keys, values = self.key_value(self.memory_norm(memory)).chunk(2, dim=-1)
        query = self._split(self.query(self.asking_norm(asking)))
        mixed = functional.scaled_dot_product_attention(
            query, self._split(keys), self._split(values)
        )
        attended: torch.Tensor = self.mix(mixed.transpose(1, 2).flatten(2))
        up, gate = self.up(self.feed_norm(base + attended)).chunk(2, dim=-1)
        fed: torch.Tensor = self.down(up * functional.gelu(gate))
        return attended + fed

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        """By heads: (B, N, d) to (B, heads, N, d / heads)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class _LearnedPooling(SavedModule):
    """What both learned poolings share: their configuration and weights.

    Args:
        embedding_dimension: of tokens and of texts, d.
        latents: how many vectors are learned beside the weights.
        heads: of the attention.
        include_prompt: whether the tokens of a prompt count in the mean.

    Raises:
        UsageError: the heads do not divide d.
    """

    config_keys = ["embedding_dimension", "latents", "heads", "include_prompt"]  # noqa: RUF012

    def __init__(
        self, embedding_dimension: int, latents: int, heads: int = 8, include_prompt: bool = True
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if embedding_dimension % heads:
            raise UsageError(
                f"{heads} heads do not divide vectors of {embedding_dimension}",
                hint="choose a divisor of the model's dimension",
            )
        self.embedding_dimension = embedding_dimension
        self.latents = latents
        self.heads = heads
        self.include_prompt = include_prompt
        self.mean = Pooling(embedding_dimension, "mean", include_prompt)
        self.learned = nn.Parameter(torch.randn(latents, embedding_dimension))
        self.block = _Block(embedding_dimension, heads)

    def get_embedding_dimension(self) -> int:
        """The length of a text's vector."""
        return self.embedding_dimension


class LatentAttentionPooling(_LearnedPooling):
    """Every token looks up learned latents before the mean is taken.

    H + softmax(H K^T) V + feed-forward, keys and values made of r latents, then the mean over the
    tokens. The latents have no order and no padding, so nothing is masked but the mean. At first,
    the mean of H. Source: NV-Embed (arXiv 2405.17428), with far fewer latents: 384 numbers a
    token want 32 of them, not 512.
    """

    def __init__(
        self,
        embedding_dimension: int,
        latents: int = 32,
        heads: int = 8,
        include_prompt: bool = True,
    ) -> None:
        super().__init__(embedding_dimension, latents, heads, include_prompt)

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Add `sentence_embedding`, (B, d), out of `token_embeddings`, (B, T, d)."""
        tokens = features["token_embeddings"]
        memory = self.learned.expand(len(tokens), -1, -1)
        looked_up = tokens + self.block(tokens, tokens, memory)
        pooled = self.mean({**features, "token_embeddings": looked_up})
        features["sentence_embedding"] = pooled["sentence_embedding"]
        return features


class LayerAttentionPooling(_LearnedPooling):
    """Learned latents look at the mean of every layer; their mean is added to the last one.

    At first, the mean of the last layer. Source: multi-layers trainable pooling of "Pooling And
    Attention" (arXiv 2409.02727), with 16 latents for its 768.

    Args:
        embedding_dimension: of tokens and of texts, d.
        layers: of the model, L.
        latents: the queries.
        heads: of the attention.
        include_prompt: whether the tokens of a prompt count in the means.
    """

    config_keys = [*_LearnedPooling.config_keys, "layers"]  # noqa: RUF012

    def __init__(
        self,
        embedding_dimension: int,
        layers: int,
        latents: int = 16,
        heads: int = 8,
        include_prompt: bool = True,
    ) -> None:
        super().__init__(embedding_dimension, latents, heads, include_prompt)
        self.layers = layers
        self.level = nn.Parameter(torch.zeros(layers, embedding_dimension))

    def on_model_ready(self, model: Any) -> None:
        """Have the model hand on its layers; sentence-transformers calls this, after loading too.

        Raises:
            ModelError: the model has no layers to hand on.
        """
        config = getattr(getattr(model[0], "model", None), "config", None)
        if config is None:
            raise ModelError(
                f"{type(model[0]).__name__} hands on no layers", hint="choose another pooling"
            )
        config.output_hidden_states = True

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Add `sentence_embedding`, (B, d), out of `all_layer_embeddings`, L + 1 of (B, T, d).

        The first of them are the embeddings before any layer; they are not read.
        """
        *states, _ = features["all_layer_embeddings"][1:]
        means = [self._mean(features, each) for each in (*states, features["token_embeddings"])]
        last = means[-1]
        memory = torch.stack(means, dim=1) + self.level
        asking = self.learned.expand(len(last), -1, -1)
        features["sentence_embedding"] = last + self.block(last[:, None], asking, memory).mean(1)
        return features

    def _mean(self, features: dict[str, Any], tokens: torch.Tensor) -> torch.Tensor:
        pooled = self.mean({**features, "token_embeddings": tokens})
        vector: torch.Tensor = pooled["sentence_embedding"]
        return vector


def with_pooling(
    model: SentenceTransformer, kind: Kind, *, latents: int | None = None, heads: int = 8
) -> SentenceTransformer:
    """The model with another pooling; everything else is shared with the one given.

    Learned poolings take their first weights from torch's generator: seed it for the same again.

    Args:
        model: one whose modules hold a pooling.
        kind: "mean", "cls" (first token), "last" (last token), "latent" (`LatentAttentionPooling`)
            or "layers" (`LayerAttentionPooling`).
        latents: of the learned ones; by default 32 and 16.
        heads: of the learned ones.

    Raises:
        UsageError: there is no such pooling, or the heads do not divide the dimension.
        ModelError: the model pools nothing, or hands on no layers.
    """
    if kind not in get_args(Kind):
        raise UsageError(f"no pooling {kind}", hint=f"one of {', '.join(get_args(Kind))}")
    modules = list(model)
    poolings = [isinstance(each, Pooling | _LearnedPooling) for each in modules]
    if True not in poolings:
        raise ModelError(
            "the model has no pooling that could be replaced", hint="choose a model that pools"
        )
    at = poolings.index(True)
    old: Any = modules[at]
    pooling = _pooling(kind, model, old.embedding_dimension, old.include_prompt, latents, heads)
    prompts: Any = model.prompts
    # The constructor moves the pooling to the dtype of the model, and calls `on_model_ready`.
    return SentenceTransformer(
        modules=[*modules[:at], pooling, *modules[at + 1 :]],
        device=str(model.device),
        prompts=prompts,
        default_prompt_name=model.default_prompt_name,
        similarity_fn_name=model.similarity_fn_name,
        truncate_dim=model.truncate_dim,
        local_files_only=True,
    )


def _pooling(
    kind: Kind,
    model: SentenceTransformer,
    size: int,
    include_prompt: bool,
    latents: int | None,
    heads: int,
) -> Module:
    """A pooling of that kind for vectors of that size."""
    if kind in _MODES:
        plain: Module = Pooling(size, _MODES[kind], include_prompt)
        return plain
    if kind == "latent":
        return LatentAttentionPooling(size, latents or 32, heads, include_prompt)
    encoder: Any = getattr(model[0], "model", None)
    if encoder is None:
        raise ModelError(
            f"{type(model[0]).__name__} hands on no layers", hint="choose another pooling"
        )
    count = int(encoder.config.num_hidden_layers)
    return LayerAttentionPooling(size, count, latents or 16, heads, include_prompt)
