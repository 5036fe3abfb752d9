"""DupMAE (RetroMAE v2): one vector must be enough to write the text again, the rest its words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from pipelines.adapt.text2token import bag_of_words
from pipelines.adapt.tokens import IGNORED, BatchVocabulary, TokenHead, WordMasker

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["DuplexLoss"]

_HIDDEN = 0.3  # of the encoder's words
_SEEN = 0.5  # of the other tokens, by each place of the decoder
_LONGEST = 512
_NOWHERE = -1e4


class DuplexLoss(nn.Module):
    """Masked language modelling, decoding from one vector, and the bag of words from the others.

    L = L_mlm + L_dec + 0.1 L_bow:

    - L_mlm: whole words hidden from the encoder, at a rate of 0.3.
    - L_dec: a decoder of one layer predicts every token. Its queries are the text's vector plus a
      position; its keys and values are the vector and the embeddings of the tokens, of which each
      place sees a random half, never itself. It can do little by itself, so the vector must.
    - L_bow: the largest logit over all ordinary tokens, for each token of the vocabulary; every
      distinct token of the text should be likely (weight 1 / length each).

    Source: Xiao et al., "RetroMAE v2: Duplex Masked Auto-Encoder" (ACL 2023; arXiv 2211.08769),
    rates and weights of its published code. Departures: the vector is the model's own pooling (the
    bundled model takes the mean, not [CLS]); the choice is among the tokens of the batch.

    Args:
        model: being trained.
        seed: of what is hidden and seen.
    """

    def __init__(self, model: SentenceTransformer, *, seed: int = 0) -> None:
        super().__init__()
        self.model = model
        self.head = TokenHead(model)
        size = self.head.map.in_features
        torch.manual_seed(seed)
        self.positions = nn.Embedding(_LONGEST, size)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.decoder = nn.MultiheadAttention(size, max(1, size // 32), batch_first=True)
        self.after = nn.LayerNorm(size)
        self._masker = WordMasker(model.tokenizer, _HIDDEN, whole=True, seed=seed)
        self._special = set(model.tokenizer.all_special_ids)

    def forward(self, features: Iterable[dict[str, Any]], labels: Any = None) -> torch.Tensor:
        """The mean loss of a batch of texts, its one column."""
        del labels
        [given] = features
        vocabulary = BatchVocabulary.of(given["input_ids"], self._special)
        masked = self._masker.mask(given["input_ids"])
        out = self.model({**given, "input_ids": masked.ids})
        logits = self.head(out["token_embeddings"], vocabulary.ids)
        hidden = masked.labels != IGNORED
        modelling = functional.cross_entropy(
            logits[hidden], vocabulary.labels(masked.labels)[hidden]
        )
        vector = out["sentence_embedding"].float()
        decoding = self._decoding(vector, given, vocabulary)
        return modelling + decoding + 0.1 * _words(logits, vocabulary)

    def _decoding(
        self, vector: torch.Tensor, given: dict[str, Any], vocabulary: BatchVocabulary
    ) -> torch.Tensor:
        """The loss of predicting every ordinary token from the vector and a few others."""
        ids, real = given["input_ids"], given["attention_mask"].bool()
        texts, length = ids.shape
        places = self.positions(torch.arange(length, device=ids.device))
        own = vector.unsqueeze(1)
        read = torch.cat([own, self.head.embeddings(ids) + places], dim=1)
        sees = torch.rand((texts, length, length), device=ids.device) < _SEEN
        sees &= real.unsqueeze(1) & ~torch.eye(length, dtype=torch.bool, device=ids.device)
        blind = torch.cat([torch.zeros_like(sees[..., :1]), ~sees], dim=2)
        heads = self.decoder.num_heads
        found, _ = self.decoder(
            own + places, read, read,
            attn_mask=blind.repeat_interleave(heads, dim=0), need_weights=False,
        )  # fmt: skip
        ordinary = vocabulary.places != IGNORED
        written = self.after(found + own)[ordinary]
        logits = self.head(written, vocabulary.ids)
        return functional.cross_entropy(logits, vocabulary.places[ordinary])


def _words(logits: torch.Tensor, vocabulary: BatchVocabulary) -> torch.Tensor:
    """The bag-of-words loss: weights 1 / length, so that a text of repeats weighs less."""
    ordinary = vocabulary.places != IGNORED
    best = logits.masked_fill(~ordinary.unsqueeze(-1), _NOWHERE).amax(dim=1)
    weight = bag_of_words(vocabulary) / ordinary.sum(dim=1, keepdim=True).clamp(min=1)
    return -(weight * best.log_softmax(dim=-1)).sum(dim=-1).mean()
