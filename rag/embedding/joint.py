"""A vector of meaning and words: the pooled vector beside a sketch of the text's weighted tokens.

This file imports torch, which takes seconds: import it inside functions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from rag.embedding.saved import SavedModule

__all__ = ["LexicalPart"]

_SATURATION = 1.2  # k of BM25
_SEED = 20_260_101  # of the hashing: the same in every model


class LexicalPart(SavedModule):
    """Joins a text's pooled vector and its words into one vector, for one inner product.

    v = (cos a * u, sin a * l), u the pooled vector and l the lexical one, both of length 1. Of each
    distinct token t, which the text holds n_t times, the largest weight over its places i is taken,

        w_t = idf_t * (k + 1) n_t / (k + n_t) * softplus(h_i . g + b) / softplus(b),

    and added with a random sign to one of `lexical_dims` numbers. That is a count sketch: the inner
    product of two sketches is that of the two bags of words, give or take 1 / sqrt(lexical_dims)
    (Weinberger et al., ICML 2009). g starts at 0, so that weights begin as those of the corpus's
    inverse document frequency and a count that saturates as in BM25 (k = 1.2); training moves them.

    Source: the joint embedding of DupMAE (arXiv 2211.08769), [CLS] beside the aggregated lexical
    vector. Departures: there, the lexical part ranges over the whole vocabulary by way of the
    prediction head, which costs twice the encoder, and is cut to its largest entries; here over the
    text's own tokens, at no cost worth naming, and hashed into a vector that any index takes.

    Args:
        embedding_dimension: of the pooled vector.
        token_dimension: of the token vectors.
        lexical_dims: numbers that hold the words.
        share: sin(a)^2, the part of a cosine that the words decide.
        tokens: size of the vocabulary.
        rarity: idf of every token, shape (tokens,); special tokens have 0. By default all have.
    """

    config_keys = [  # noqa: RUF012
        "embedding_dimension", "token_dimension", "lexical_dims", "share", "tokens",
    ]  # fmt: skip

    def __init__(
        self,
        embedding_dimension: int,
        token_dimension: int,
        lexical_dims: int,
        share: float,
        tokens: int,
        rarity: torch.Tensor | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.embedding_dimension = embedding_dimension
        self.token_dimension = token_dimension
        self.lexical_dims = lexical_dims
        self.share = share
        self.tokens = tokens
        self.weigh = nn.Linear(token_dimension, 1)
        nn.init.zeros_(self.weigh.weight)
        nn.init.zeros_(self.weigh.bias)
        self.register_buffer("rarity", torch.zeros(tokens) if rarity is None else rarity.float())
        drawn = torch.Generator().manual_seed(_SEED)
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
        same = ids.unsqueeze(1) == ids.unsqueeze(2)
        held = same.sum(dim=2)
        weight = weight * (_SATURATION + 1) * held / (_SATURATION + held)
        weight = weight * _is_largest(same, weight.detach())
        words = functional.normalize(self._sketch(ids, weight), dim=-1)
        parts = [(1 - self.share) ** 0.5 * meaning, self.share**0.5 * words]
        # A text without words has its meaning alone.
        features["sentence_embedding"] = functional.normalize(torch.cat(parts, dim=-1), dim=-1)
        return features

    def _sketch(self, ids: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Weighted tokens, (B, N), as one vector for each text, (B, lexical_dims)."""
        sketch = torch.zeros((len(ids), self.lexical_dims), device=ids.device)
        return sketch.scatter_add(1, self.bucket[ids], weight * self.sign[ids])

    def get_embedding_dimension(self) -> int:
        """The length of a text's vector."""
        return self.embedding_dimension + self.lexical_dims


def _is_largest(same: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Whether a place has the largest weight of all with its token, the first of equals, (B, N).

    Args:
        same: whether two places hold one token, (B, N, N).
        weight: (B, N).
    """
    at = torch.arange(weight.shape[1], device=weight.device)
    earlier = at.unsqueeze(0) < at.unsqueeze(1)
    theirs, own = weight.unsqueeze(1), weight.unsqueeze(2)
    beaten = same & ((theirs > own) | ((theirs == own) & earlier))
    return ~beaten.any(dim=2)
