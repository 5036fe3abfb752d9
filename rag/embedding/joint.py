"""A vector of meaning and words: the pooled vector beside a sketch of the text's weighted tokens.

This file imports torch, which takes seconds: import it inside functions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers.base.modules import Module
from torch import nn
from torch.nn import functional

__all__ = ["LexicalPart"]

_WEIGHTS = "model.safetensors"
_SEED = 20_260_101  # of the hashing: the same in every model


class LexicalPart(Module):
    """Joins a text's pooled vector and its words into one vector, for one inner product.

    v = (cos a * u, sin a * l), u the pooled vector and l the lexical one, both of length 1. Of each
    distinct token t, the largest weight over its places i is taken,

        w_t = idf_t * softplus(h_i . g + b) / softplus(b),

    and added with a random sign to one of `lexical_dims` numbers. That is a count sketch: the inner
    product of two sketches is that of the two bags of words, give or take 1 / sqrt(lexical_dims)
    (Weinberger et al., ICML 2009). g starts at 0, so that weights begin as those of the corpus's
    inverse document frequency; training moves them.

    Source: the joint embedding of DupMAE (arXiv 2211.08769), [CLS] beside the aggregated lexical
    vector. Departures: there, the lexical part ranges over the whole vocabulary by way of the
    prediction head, which costs twice the encoder, and is cut to its largest entries; here over the
    text's own tokens, at no cost worth naming, and hashed into a vector that any index takes.

    Args:
        embedding_dimension: of the pooled vector.
        token_dimension: of the token vectors.
        lexical_dims: numbers that hold the words.
        share: sin(a)^2, the part of a cosine that the words decide.
        rarity: idf of every token of the vocabulary; special tokens have 0.
    """

    config_keys = [  # noqa: RUF012
        "embedding_dimension", "token_dimension", "lexical_dims", "share",
    ]  # fmt: skip

    def __init__(
        self,
        embedding_dimension: int,
        token_dimension: int,
        lexical_dims: int,
        share: float,
        rarity: torch.Tensor,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.embedding_dimension = embedding_dimension
        self.token_dimension = token_dimension
        self.lexical_dims = lexical_dims
        self.share = share
        self.weigh = nn.Linear(token_dimension, 1)
        nn.init.zeros_(self.weigh.weight)
        nn.init.zeros_(self.weigh.bias)
        self.register_buffer("rarity", rarity.float())
        drawn = torch.Generator().manual_seed(_SEED)
        tokens = len(rarity)
        bucket = torch.randint(lexical_dims, (tokens,), generator=drawn)
        sign = torch.randint(2, (tokens,), generator=drawn).float() * 2 - 1
        self.register_buffer("bucket", bucket)  # saved: another torch may draw otherwise
        self.register_buffer("sign", sign)

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Replace `sentence_embedding` (B, d) by the joint one, (B, d + lexical_dims)."""
        ids, tokens = features["input_ids"], features["token_embeddings"]
        meaning = functional.normalize(features["sentence_embedding"].float(), dim=-1)
        raw = self.weigh(tokens.to(self.weigh.weight.dtype)).squeeze(-1).float()
        weight = functional.softplus(raw) / functional.softplus(self.weigh.bias.float())
        weight = weight * self.rarity.float()[ids] * features["attention_mask"]
        words = functional.normalize(self._sketch(ids, weight), dim=-1)
        parts = [(1 - self.share) ** 0.5 * meaning, self.share**0.5 * words]
        # A text without words has its meaning alone.
        features["sentence_embedding"] = functional.normalize(torch.cat(parts, dim=-1), dim=-1)
        return features

    def _sketch(self, ids: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The distinct tokens of each text, shape (B, lexical_dims)."""
        first = _largest_of_each(ids, weight)
        signed = torch.where(first, weight, torch.zeros_like(weight)) * self.sign[ids]
        sketch = torch.zeros((len(ids), self.lexical_dims), device=ids.device)
        return sketch.scatter_add(1, self.bucket[ids], signed)

    def get_embedding_dimension(self) -> int:
        """The length of a text's vector."""
        return self.embedding_dimension + self.lexical_dims

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
        weights = load_file(Path(model_name_or_path, subfolder, _WEIGHTS))
        part = cls(**config, rarity=weights["rarity"])
        part.load_state_dict(weights)
        return part


def _largest_of_each(ids: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Of each distinct token of a text, its place of largest weight (B, N), the first of equals."""
    same = ids.unsqueeze(1) == ids.unsqueeze(2)
    at = torch.arange(ids.shape[1], device=ids.device)
    earlier = at.unsqueeze(0) < at.unsqueeze(1)
    theirs, own = weight.detach().unsqueeze(1), weight.detach().unsqueeze(2)
    beaten = same & ((theirs > own) | ((theirs == own) & earlier))
    return ~beaten.any(dim=2)
