"""Text2Token: the vector of a text must tell which tokens the text is about."""

from __future__ import annotations

from collections.abc import Iterable
from math import log
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from pipelines.adapt.tokens import IGNORED, BatchVocabulary, TokenHead

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["TokenTargetLoss", "token_rarity"]


def token_rarity(tokenizer: Any, texts: Iterable[str]) -> torch.Tensor:
    """Inverse document frequency of every token of the vocabulary, shape (tokens,).

    log(1 + (N - n + 0.5) / (n + 0.5)), n the number of the N texts that hold the token.
    """
    holding = torch.zeros(len(tokenizer))
    count = 0
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        holding[list(set(ids))] += 1
        count += 1
    return torch.log(1 + (count - holding + 0.5) / (holding + 0.5)).clamp(min=log(1.01))


class TokenTargetLoss(nn.Module):
    """KL(target || softmax(W h)) of a text's vector h, with its own rare tokens as the target.

    The target gives each distinct token of the text a share in proportion to its inverse document
    frequency. Source: Text2Token (arXiv 2510.10224), its data-driven stage; its weighting is not
    verified, ours is IDF. Its second stage takes targets from a language model's own head, which an
    encoder does not have. The choice is among the tokens of the batch.

    Args:
        model: being trained.
        rarity: of every token, from `token_rarity`.
    """

    def __init__(self, model: SentenceTransformer, rarity: torch.Tensor) -> None:
        super().__init__()
        self.model = model
        self.head = TokenHead(model)
        self._rarity = rarity
        self._special = set(model.tokenizer.all_special_ids)

    def forward(self, features: Iterable[dict[str, Any]], labels: Any = None) -> torch.Tensor:
        """The mean loss of a batch of texts, its one column."""
        del labels
        [given] = features
        vocabulary = BatchVocabulary.of(given["input_ids"], self._special)
        vectors = self.model(dict(given))["sentence_embedding"]
        predicted = self.head(vectors, vocabulary.ids).log_softmax(dim=-1)
        target = bag_of_words(vocabulary) * self._rarity.to(vocabulary.ids.device)[vocabulary.ids]
        target = target / target.sum(dim=-1, keepdim=True).clamp(min=1e-9)  # of unknown tokens only
        return functional.kl_div(predicted, target, reduction="batchmean")


def bag_of_words(vocabulary: BatchVocabulary) -> torch.Tensor:
    """1 where a text holds a token, shape (texts, len(vocabulary.ids))."""
    texts = vocabulary.places.shape[0]
    bag = torch.zeros((texts, len(vocabulary.ids)), device=vocabulary.ids.device)
    rows, columns = (vocabulary.places != IGNORED).nonzero(as_tuple=True)
    bag[rows, vocabulary.places[rows, columns]] = 1
    return bag
