"""Tasks that a corpus sets by its structure: no person labelled anything.

Their kinds are those of FinMTEB (arXiv 2502.10990); how each is made is ours:

- *pairs*: two neighbouring chunks of one section, or two chunks of two sections of one document
  (where sections are not known: of one document, or of two). Average precision by cosine.
- *clusters*: up to twelve chunks of each of eight documents, k-means with as many clusters.
  V-measure against the documents, mean of 20 draws; draws share documents, so its interval is too
  narrow.
- *report*: a filing's kind (10-K, 10-Q, 8-K, earnings), as its file's name has it.
- *item*: the item of a filing that a chunk's section belongs to, as the section's title has it.
- *third*: whether a chunk is of the first, the middle or the last third of its document.

The last three are told by a logistic regression over vectors, of documents it was not fitted to
(five folds). The figure is balanced accuracy: the mean over labels of the share of a label's chunks
that is told rightly, so that guessing earns one over the number of labels. Chunks are embedded
without the header of an index, which would give document and section away.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from outcomes import Outcome, Values, mean_of, precision_of

from rag.embedding.base import Vectors
from rag.ids import digest
from rag.types import Chunk

__all__ = ["StructureTasks"]

_DRAWS, _DOCUMENTS, _CHUNKS = 20, 8, 12
_FOLDS = 5
_LEAST = 20  # chunks of a label, of at least three documents: fewer cannot be learned
_REPORT = re.compile(r"_(10K|10Q|8K|EARNINGS)")
_ITEM = re.compile(r"\bitem\s+(\d+[abc]?)\b", re.IGNORECASE)
_TITLES = {
    "1A": r"risk factors",
    "7A": r"quantitative and qualitative",
    "7": r"management.s discussion|liquidity|results of operations|critical accounting",
    "8": r"\bnotes? \d+|consolidated (?:balance|statements)|financial statements",
    "15": r"exhibit",
    "1": r"competition|\bbusiness$|overview",
}
"""Item of a 10-K to titles of what stands under it, for filings that leave the number out."""

Label = Callable[[int], str | None]
"""Of a chunk, by number; None where it has none."""
Told = dict[int, str]
"""Chunks, by number, to their labels."""
_Item = TypeVar("_Item", bound=Hashable)


class _Pair(NamedTuple):
    one: int
    other: int
    same: bool


class StructureTasks:
    """The tasks of one corpus, fixed before any model is asked.

    Args:
        chunks: of the corpus, document by document.
        most: how many chunks each task takes, at most; spread over all documents.
    """

    def __init__(self, chunks: Sequence[Chunk], most: int) -> None:
        self._chunks = chunks
        self._most = most
        self._members: dict[str, list[int]] = defaultdict(list)
        for at, chunk in enumerate(chunks):
            self._members[chunk.name].append(at)
        self._pairs = list(self._section_pairs())
        spread = self._spread(range(len(chunks)))
        self._draws = self._documents_drawn(spread)
        labels = {"report": self._report, "item": self._item, "third": self._third}
        self._told = {name: found for name, each in labels.items() if (found := self._label(each))}
        needed = {at for pair in self._pairs for at in pair[:2]}
        needed.update(*self._draws, *self._told.values())
        self._rows = {at: row for row, at in enumerate(sorted(needed))}

    @property
    def texts(self) -> list[str]:
        """What has to be embedded: chunks without their headers."""
        return [self._chunks[at].text for at in self._rows]

    @property
    def labels(self) -> dict[str, int]:
        """Of each task told by regression, how many labels there are."""
        return {name: len(set(told.values())) for name, told in self._told.items()}

    def outcomes(self, vectors: Vectors) -> dict[str, Outcome]:
        """A model's figures.

        Args:
            vectors: of `texts`, shape (texts, dimension), unit length.
        """
        found: dict[str, Outcome] = {}
        if self._pairs:
            one = vectors[[self._rows[pair.one] for pair in self._pairs]]
            other = vectors[[self._rows[pair.other] for pair in self._pairs]]
            same = [pair.same for pair in self._pairs]
            found["pairs"] = precision_of(same, (one * other).sum(axis=1))
        if self._draws:
            found["clusters"] = mean_of([self._clustered(vectors, each) for each in self._draws])
        for name, told in self._told.items():
            found[name] = mean_of(self._told_rightly(vectors, told))
        return found

    def _section_pairs(self) -> Iterator[_Pair]:
        """As many pairs of one section as of two."""
        known = sum(any(map(self._section, each)) for each in self._members.values())
        sections = known > len(self._members) / 2
        near = [
            (one, other)
            for one, other in pairwise(range(len(self._chunks)))
            if self._chunks[one].name == self._chunks[other].name
            and (self._section(one) or not sections)
            and self._section(one) == self._section(other)
        ]
        first = {one: other for one, other in near}
        for one in self._spread(list(first), self._most // 4):
            name, section = self._chunks[one].name, self._section(one)
            if sections:
                far = [at for at in self._members[name] if self._section(at) not in ("", section)]
            else:
                far = [at for at in range(len(self._chunks)) if self._chunks[at].name != name]
            if far:
                yield _Pair(one, first[one], same=True)
                yield _Pair(one, _by_chance(far, 1, one)[0], same=False)

    def _documents_drawn(self, among: Sequence[int]) -> list[list[int]]:
        """Chunks of some documents, draw by draw; none where there are too few documents."""
        held: dict[str, list[int]] = defaultdict(list)
        for at in among:
            held[self._chunks[at].name].append(at)
        names = [name for name, each in held.items() if len(each) > 1]
        if len(names) < _DOCUMENTS:
            return []
        drawn = [_by_chance(names, _DOCUMENTS, draw) for draw in range(_DRAWS)]
        return [
            [at for name in each for at in _by_chance(held[name], _CHUNKS, draw)]
            for draw, each in enumerate(drawn)
        ]

    def _label(self, label: Label) -> Told:
        """Chunks and their labels; empty where there are not two labels that can be learned."""
        chosen = self._spread([at for at in range(len(self._chunks)) if label(at)], self._most)
        told = {at: str(label(at)) for at in chosen}
        counts = Counter(told.values())
        documents: dict[str, set[str]] = defaultdict(set)
        for at, each in told.items():
            documents[each].add(self._chunks[at].name)
        usual = {each for each in counts if counts[each] >= _LEAST and len(documents[each]) > 2}
        return {at: each for at, each in told.items() if each in usual} if len(usual) > 1 else {}

    def _spread(self, numbers: Sequence[int], most: int | None = None) -> list[int]:
        """At most so many chunks: the first of each document by chance, the second, and so on."""
        ranks: Counter[str] = Counter()
        ranked: list[tuple[int, int]] = []
        for at in _by_chance(numbers, len(numbers)):
            ranked.append((ranks[self._chunks[at].name], at))
            ranks[self._chunks[at].name] += 1
        ranked.sort(key=lambda pair: pair[0])
        return sorted(at for _, at in ranked[: most or self._most])

    def _section(self, at: int) -> str:
        places = self._chunks[at].places
        return places[0].section if places else ""

    def _report(self, at: int) -> str | None:
        found = _REPORT.search(self._chunks[at].name)
        return found[1] if found else None

    def _item(self, at: int) -> str | None:
        if not self._report(at):
            return None
        section = self._section(at)
        if found := _ITEM.search(section):
            return found[1].upper()
        titles = _TITLES.items()
        return next((item for item, title in titles if re.search(title, section.lower())), None)

    def _third(self, at: int) -> str | None:
        numbers = self._members[self._chunks[at].name]
        return str(3 * (at - numbers[0]) // len(numbers)) if len(numbers) > 2 else None

    def _clustered(self, vectors: Vectors, drawn: Sequence[int]) -> float:
        from sklearn.cluster import KMeans  # type: ignore[import-untyped]
        from sklearn.metrics import v_measure_score  # type: ignore[import-untyped]

        means = KMeans(_DOCUMENTS, n_init=4, random_state=0)
        found = means.fit_predict(vectors[[self._rows[at] for at in drawn]])
        return float(v_measure_score([self._chunks[at].name for at in drawn], found))

    def _told_rightly(self, vectors: Vectors, told: Told) -> Values:
        """Of each chunk 0, or where its label was told rightly a weight; the mean is balanced."""
        from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
        from sklearn.model_selection import GroupKFold  # type: ignore[import-untyped]

        rows = vectors[[self._rows[at] for at in told]]
        labels = np.array(list(told.values()))
        names = [self._chunks[at].name for at in told]
        right = np.zeros(len(labels))
        for fitted, tested in GroupKFold(_FOLDS).split(rows, labels, names):
            model = LogisticRegression(C=10, max_iter=1_000, class_weight="balanced")
            model.fit(rows[fitted], labels[fitted])
            right[tested] = model.predict(rows[tested]) == labels[tested]
        counts = Counter(told.values())
        weights = [len(labels) / (len(counts) * counts[label]) for label in told.values()]
        balanced: Values = right * np.array(weights)
        return balanced


def _by_chance(items: Sequence[_Item], most: int, seed: int = 0) -> list[_Item]:
    """So many of the items, by digest."""
    return sorted(items, key=lambda each: digest([seed, each]))[:most]
