"""GEM: special tokens behind a text hold its embedding, and the model goes on answering.

k tokens are appended. They see the text before them and not each other; what follows them sees
them and not that text. A model that is to go on writing through this bottleneck must put the text
into the tokens: that is the training. Their last hidden states, averaged, are the embedding.
Source: arXiv 2506.04344, which does not say how k vectors become one; the mean is ours.

This file imports torch, which takes seconds: import it inside functions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from rag.errors import UsageError

__all__ = ["TASK", "BottleneckDecoder", "GemLoss", "bottleneck"]

TASK: dict[str, Any] = {
    "transformer_task": "text-generation",
    "module_output_name": "token_embeddings",
    "modality_config": {
        "text": {"method": "forward", "method_output_name": ["hidden_states", -1]},
    },
    # A text that spells a special token out means its letters.
    "processing_kwargs": {"text": {"split_special_tokens": True}},
}
"""How `BottleneckDecoder` is made: with the language model's head, handing on hidden states."""

_IGNORED = -100  # torch's cross entropy leaves such a label out


def bottleneck(special: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Which position may see which.

    Args:
        special: the special tokens, (B, T); in each row one run of them, or none.
        real: what is no padding, (B, T).

    Returns:
        (B, T, T), row i the one who sees. Everybody sees himself, padding too: a row of nothing
        has no softmax.
    """
    length = special.shape[1]
    itself = torch.eye(length, dtype=torch.bool, device=special.device)
    causal = torch.ones(length, length, dtype=torch.bool, device=special.device).tril()
    begun = special.cumsum(dim=1)
    suffix = ~special & (begun > 0)
    prefix = ~special & (begun == 0)
    barred = (special[:, :, None] & special[:, None]) | (suffix[:, :, None] & prefix[:, None])
    return (causal & real[:, None] & ~barred) | itself


class BottleneckDecoder(Transformer):
    """A causal model whose last tokens of a text are special; its pooling sees only those.

    The folder it is saved in is that of a causal model as well, which answers as before.

    Args:
        model_name_or_path: the folder.
        special_ids: of the special tokens; none before `add_tokens`.
        options: as `Transformer` takes them.
    """

    config_keys = [*Transformer.config_keys, "special_ids"]  # noqa: RUF012

    def __init__(
        self, model_name_or_path: str, *, special_ids: Iterable[int] = (), **options: Any
    ) -> None:
        super().__init__(model_name_or_path, **options)
        self.special_ids = list(special_ids)

    def add_tokens(self, count: int) -> list[str]:
        """Add special tokens to vocabulary and embeddings.

        Returns:
            Their names.
        """
        names = [f"<|embed_{number}|>" for number in range(count)]
        tokenizer: Any = self.tokenizer
        model: Any = self.model
        tokenizer.add_tokens(names, special_tokens=True)
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        self.special_ids = tokenizer.convert_tokens_to_ids(names)
        return names

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Add `token_embeddings`, (B, T, d), and leave only the special tokens in the mask."""
        real = features["attention_mask"].bool()
        special = self._special(features["input_ids"]) & real
        read = super().forward({**features, **self.reading(special, real)}, **kwargs)
        pooled = {"token_embeddings": read["token_embeddings"], "attention_mask": special.long()}
        return {**features, **pooled}  # what was given stays: losses may read it again

    def reading(self, special: torch.Tensor, real: torch.Tensor) -> dict[str, torch.Tensor]:
        """The mask and the positions that the model is given, (B, 1, T, T) and (B, T)."""
        model: Any = self.model
        barred = torch.finfo(model.dtype).min
        seen = bottleneck(special, real)[:, None]
        return {
            "attention_mask": torch.where(seen, 0.0, barred).to(model.dtype),
            # Counted without the padding, which stands on the left.
            "position_ids": (real.cumsum(dim=1) - 1).clamp(min=0),
        }

    def text_ids(self, features: dict[str, Any]) -> list[torch.Tensor]:
        """The tokens of each text, without padding and special tokens."""
        ids = features["input_ids"]
        wanted = features["attention_mask"].bool() & ~self._special(ids)
        return [row[kept] for row, kept in zip(ids, wanted, strict=True)]

    def _special(self, ids: torch.Tensor) -> torch.Tensor:
        return torch.isin(ids, torch.tensor(self.special_ids, device=ids.device))


class GemLoss(nn.Module):
    """(1 - alpha) times the next-token loss through the bottleneck, alpha times a contrastive one.

    The contrastive one is `MultipleNegativesRankingLoss`, over the texts as the trainer pairs them.
    The next-token loss reads the last text of each pair, a share of them with the special tokens
    somewhere inside; no special token is to be predicted. The paper trains 100 steps at alpha 0 and
    goes on at alpha 1; its positives, texts with tokens dropped, are whatever pairs one gives here,
    and its temperature, learned there, is fixed.

    Args:
        model: its first module is a `BottleneckDecoder`.
        alpha: between 0 and 1.
        share: of texts that get special tokens inside.
        seed: of where.

    Raises:
        UsageError: the model is of another kind.
    """

    def __init__(
        self, model: SentenceTransformer, *, alpha: float, share: float = 0.2, seed: int = 0
    ) -> None:
        super().__init__()
        decoder: Any = model[0]
        if not isinstance(decoder, BottleneckDecoder):
            raise UsageError(
                f"GEM's loss trains no {type(decoder).__name__}",
                hint="make the model with decoder_embedder(folder, 'gem')",
            )
        self.model = model
        self.alpha = alpha
        self._share = share
        self._chance = np.random.default_rng(seed)
        self._contrastive = MultipleNegativesRankingLoss(model)

    def forward(
        self,
        sentence_features: Iterable[dict[str, Any]],
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The loss of a batch, a scalar."""
        features = list(sentence_features)
        loss = torch.zeros((), device=self.model.device)
        if self.alpha < 1:
            loss = loss + (1 - self.alpha) * self.next_tokens(features[-1])
        if self.alpha > 0:
            loss = loss + self.alpha * self._contrastive(features, labels)
        return loss

    def next_tokens(self, features: dict[str, Any]) -> torch.Tensor:
        """The mean loss of a next token, as far as it is none of the special ones; a scalar."""
        decoder: Any = self.model[0]
        own = torch.tensor(decoder.special_ids, device=self.model.device)
        rows, marks = [], []
        for text in decoder.text_ids(features):
            cut = self._cut(len(text))
            parts = [text] if cut is None else [text[:cut], own, text[cut:]]
            rows.append(torch.cat(parts))
            marks.append(torch.isin(rows[-1], own))
        ids = pad_sequence(rows, batch_first=True)
        special = pad_sequence(marks, batch_first=True)
        real = pad_sequence([torch.ones_like(mark) for mark in marks], batch_first=True)
        logits = decoder.model(input_ids=ids, **decoder.reading(special, real)).logits
        labels = ids.masked_fill(special | ~real, _IGNORED)
        return functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=_IGNORED
        )

    def _cut(self, length: int) -> int | None:
        """Where the special tokens go: behind one token at least, and before one; or nowhere."""
        if length < 2 or self._chance.random() >= self._share:
            return None
        return int(self._chance.integers(1, length))
