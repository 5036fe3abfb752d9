"""What the objectives about tokens share: words out of tokens, masks, and a head."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["BatchVocabulary", "Masked", "TokenHead", "WordMasker", "folded", "words_of"]

IGNORED = -100
"""The label of a place that is not to be predicted."""


class Masked(NamedTuple):
    """A batch with some tokens hidden, and what they were; `IGNORED` elsewhere."""

    ids: torch.Tensor
    labels: torch.Tensor


def words_of(tokens: list[str], special: list[bool]) -> list[list[int]]:
    """The places of each word's tokens, for WordPiece (`##ing`) and marked starts (`▁in`, `Ġin`).

    >>> words_of(["[CLS]", "net", "##works", "[SEP]"], [True, False, False, True])
    [[1, 2]]
    """
    marked = any(token.startswith(("▁", "Ġ")) for token in tokens)
    words: list[list[int]] = []
    open_word = False
    for at, (token, is_special) in enumerate(zip(tokens, special, strict=True)):
        if is_special:
            open_word = False
            continue
        goes_on = not token.startswith(("▁", "Ġ")) if marked else token.startswith("##")
        if goes_on and open_word:
            words[-1].append(at)
        else:
            words.append([at])
        open_word = True
    return words


class WordMasker:
    """Hides words of a batch.

    Args:
        tokenizer: of the model.
        rate: the share of eligible words that are hidden.
        whole: hide every token of a word (RetroMAE) or one, drawn (LEM).
        eligible: which words may be hidden, told them `folded`; by default all.
        seed: of what is drawn.
    """

    def __init__(
        self,
        tokenizer: Any,
        rate: float,
        *,
        whole: bool,
        eligible: Callable[[str], bool] = lambda word: True,
        seed: int = 0,
    ) -> None:
        self._tokenizer = tokenizer
        self._special = set(tokenizer.all_special_ids)
        self._rate = rate
        self._whole = whole
        self._eligible = eligible
        self._chance = torch.Generator().manual_seed(seed)

    def mask(self, ids: torch.Tensor) -> Masked:
        """Hide words in token ids of shape (texts, tokens); at least one word a text, if any is."""
        hidden, labels = ids.clone(), torch.full_like(ids, IGNORED)
        for row, text in enumerate(ids.tolist()):
            tokens = self._tokenizer.convert_ids_to_tokens(text)
            words = [
                places
                for places in words_of(tokens, [each in self._special for each in text])
                if self._eligible(folded(_spelled(tokens, places)))
            ]
            for places in self._drawn(words):
                chosen = places if self._whole else [places[self._below(len(places))]]
                labels[row, chosen] = ids[row, chosen]
                hidden[row, chosen] = self._tokenizer.mask_token_id
        return Masked(hidden, labels)

    def _drawn(self, words: list[list[int]]) -> list[list[int]]:
        count = min(len(words), max(1, round(self._rate * len(words))))
        order = torch.randperm(len(words), generator=self._chance)
        return [words[at] for at in order[:count].tolist()]

    def _below(self, bound: int) -> int:
        return int(torch.randint(bound, (1,), generator=self._chance))


def folded(word: str) -> str:
    """A word without case, accents, and punctuation at its ends, as tokenizers may have it or not.

    >>> folded("Müller,")
    'muller'
    """
    parts = unicodedata.normalize("NFKD", word.casefold())
    bare = "".join(each for each in parts if not unicodedata.combining(each))
    return bare.strip(string.punctuation)


def _spelled(tokens: list[str], places: list[int]) -> str:
    return "".join(tokens[at].removeprefix("##").lstrip("▁Ġ") for at in places)


class BatchVocabulary(NamedTuple):
    """The distinct tokens of a batch, special ones apart, and where each place's token is in them.

    Predicting one of a batch's some thousand tokens, and not of the model's thirty thousand,
    is what makes these objectives cheap on a CPU.
    """

    ids: torch.Tensor
    places: torch.Tensor
    """Shape of the batch: the index into `ids`, or `IGNORED` for special tokens and padding."""

    @classmethod
    def of(cls, ids: torch.Tensor, special: set[int]) -> BatchVocabulary:
        """Of token ids of shape (texts, tokens)."""
        ordinary = ~torch.isin(ids, torch.tensor(sorted(special), device=ids.device))
        distinct, inverse = torch.unique(ids[ordinary], return_inverse=True)
        places = torch.full_like(ids, IGNORED)
        places[ordinary] = inverse
        return cls(distinct, places)

    def labels(self, of_ids: torch.Tensor) -> torch.Tensor:
        """Token ids (or `IGNORED`) as indices into `ids`."""
        return torch.where(of_ids == IGNORED, of_ids, self.places)


class TokenHead(nn.Module):
    """From vectors to logits over some tokens, by the model's own word embeddings (tied).

    logits = LayerNorm(GELU(x W + b)) E^T + c. W starts as the identity. The bundled model ships
    without the head that it was pretrained with.

    Args:
        model: whose embeddings are tied.
    """

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        transformer: Any = model[0]
        self._embeddings = [transformer.model.get_input_embeddings()]  # a list: not our parameter
        tokens, size = self._embeddings[0].weight.shape
        self.map = nn.Linear(size, size)
        nn.init.eye_(self.map.weight)
        nn.init.zeros_(self.map.bias)
        self.norm = nn.LayerNorm(size)
        self.bias = nn.Parameter(torch.zeros(tokens))

    def forward(self, vectors: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Logits of the tokens `ids`, shape (..., len(ids))."""
        with torch.autocast(vectors.device.type, enabled=False):
            shaped = self.norm(functional.gelu(self.map(vectors.float())))
            logits: torch.Tensor = shaped @ self.embeddings(ids).T + self.bias[ids]
        return logits

    def embeddings(self, ids: torch.Tensor) -> torch.Tensor:
        """The word embeddings of the tokens `ids`, shape (*ids.shape, d)."""
        rows: torch.Tensor = self._embeddings[0].weight[ids]
        return rows.float()
