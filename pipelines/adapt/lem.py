"""Linguistic entity masking: predict a hidden token of nouns, verbs and names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from pipelines.adapt.passages import Passage
from pipelines.adapt.tokens import IGNORED, BatchVocabulary, TokenHead, WordMasker, folded
from rag.grounding.support import content_words

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["EntityMaskingLoss", "linguistic_entities"]

_RATE = 0.3
_WORD = re.compile(r"[^\W\d_]\w*")
_DESCRIBING = re.compile(r"(?:ly|ous|ful|less|able|ible|ive|ical|ish)\Z")


def linguistic_entities(passages: Sequence[Passage]) -> frozenset[str]:
    """Words of a corpus, `folded`, that stand for things, deeds or names.

    No tagger of parts of speech can be had without fetching one, so this goes by exclusion: a
    content word that is no figure, is not shaped like an adjective or adverb, or that is mostly
    written with a capital in mid-sentence (a name, whatever its shape).
    """
    capital: Counter[str] = Counter()
    every: Counter[str] = Counter()
    for passage in passages:
        for sentence in passage.sentences:
            for found in _WORD.finditer(sentence):
                word = folded(found.group())
                every[word] += 1
                capital[word] += found.start() > 0 and found.group()[0].isupper()
    meaning = content_words(" ".join(every))
    return frozenset(
        word
        for word, count in every.items()
        if 2 * capital[word] > count or (word in meaning and not _DESCRIBING.search(word))
    )


class EntityMaskingLoss(nn.Module):
    """Cross-entropy of one hidden token in each of some linguistic entities.

    Source: LEM (arXiv 2501.05700): only nouns, verbs and names are masked, and of each only one
    token, so that the rest of the entity helps. Departures: what an entity is, is found by rules
    (`linguistic_entities`), a span is one word, the rate is ours (the paper's is not verified),
    and the choice is among the tokens of the batch.

    With `emo`, half the loss is the upper bound of the earth mover's distance between the
    prediction and the truth, 1 - <E_t, sum_v q_v E_v> with unit embeddings E, scaled to the size
    of the cross-entropy: EMO-1 of arXiv 2310.04691.

    Args:
        model: being trained.
        entities: words that may be hidden.
        emo: see above.
        seed: of what is hidden.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        entities: frozenset[str],
        *,
        emo: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.head = TokenHead(model)
        self._emo = emo
        self._masker = WordMasker(
            model.tokenizer, _RATE, whole=False, eligible=entities.__contains__, seed=seed
        )
        self._special = set(model.tokenizer.all_special_ids)

    def forward(self, features: Iterable[dict[str, Any]], labels: Any = None) -> torch.Tensor:
        """The mean loss of a batch of texts, its one column."""
        del labels
        [given] = features
        vocabulary = BatchVocabulary.of(given["input_ids"], self._special)
        masked = self._masker.mask(given["input_ids"])
        hidden = self.model({**given, "input_ids": masked.ids})["token_embeddings"]
        chosen = masked.labels != IGNORED
        logits: torch.Tensor = self.head(hidden[chosen], vocabulary.ids)
        right = vocabulary.labels(masked.labels)[chosen]
        if not len(right):  # no entity in any of these texts
            return logits.sum()
        loss = functional.cross_entropy(logits, right)
        return self._with_emo(loss, logits, right, vocabulary) if self._emo else loss

    def _with_emo(
        self,
        loss: torch.Tensor,
        logits: torch.Tensor,
        right: torch.Tensor,
        vocabulary: BatchVocabulary,
    ) -> torch.Tensor:
        unit = functional.normalize(self.head.embeddings(vocabulary.ids).detach(), dim=-1)
        expected = logits.softmax(dim=-1) @ unit
        distance = 1 - (expected * unit[right]).sum(dim=-1).mean()
        return 0.5 * ((loss / distance).detach() * distance + loss)
