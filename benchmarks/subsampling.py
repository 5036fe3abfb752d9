"""Does a small sample of a corpus rank retrieval systems as the whole corpus does?

Fifteen systems, from good to poor: the bundled embedder, the same cut to its first layers, to fewer
dimensions, to signs, with noise; bags of words; BM25; and fusions. Each is judged by nDCG@10 over
all chunks, and over samples that `eval.subsample` chooses from the rankings of BM25 and the bundled
embedder alone. Beside them stand samples by chance, which keep what is relevant as well.

Of each sample: Kendall's tau of the systems' means with those over all chunks; of the pairs of
systems whose difference over all chunks is significant (paired bootstrap over questions, 95 %), the
share that stand in the same order; and how much the means are off. Figures are means over --seeds
samples of a size. Term statistics are those of the whole corpus; fusions are made anew from the
ranks in the sample. CPU seconds are those of embedding the chunks with the bundled embedder: what
every further embedder costs. For all chunks they are estimated from every twentieth.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from embedding_parts import Part
from numpy.typing import NDArray
from report import heading, say, table
from scipy.stats import kendalltau  # type: ignore[import-untyped]
from searching import CACHE, LexicalSearch, document_vectors, plain_embedder
from word_vectors import HashedWords
from workload import SHARED, named

from eval.metrics.ranking import ndcg
from eval.stats import bootstrap
from eval.subsample import subsample
from rag.embedding.base import Vectors
from rag.embedding.dense import SentenceTransformerEmbedder

K = 10
DEEPEST = 1_000
"""How deep the rankings go that samples are chosen from."""
SHARES = (2, 5, 10, 20)
"""A sample is one chunk in so many, as long as it can hold what is relevant."""
EASY = 0.1
"""The share of a sample that is neither relevant nor hard."""
TIMED = 20
"""One chunk in so many is embedded to estimate what all would take."""

Numbers = NDArray[np.intp]
Scores = NDArray[np.float32]  # (questions, chunks)
Values = NDArray[np.float64]  # (questions, systems)
System = Callable[[Numbers], Scores]
"""Scores of the chunks of a sample, given by number."""


class Kept(NamedTuple):
    """One sample: the chunks' numbers, and how deep every ranking is kept."""

    numbers: Numbers
    depth: int


def shallow(layers: int) -> SentenceTransformerEmbedder:
    """The bundled embedder without its upper layers."""
    embedder = plain_embedder()
    embedder.name = f"first {layers} layers"
    transformer: Any = embedder.model[0]
    encoder = transformer.model.encoder
    encoder.layer = encoder.layer[:layers]
    return embedder


def vectors_of(part: Part, embedder: SentenceTransformerEmbedder) -> tuple[Vectors, Vectors]:
    """Of questions and of chunks."""
    held = document_vectors(embedder, part.texts, CACHE, f"{part.name}, {embedder.name}")
    return embedder.embed_queries(part.asked), held


def changed(vectors: Vectors, seed: int, noise: float) -> Vectors:
    """With noise of this length on every vector of length 1."""
    chance = np.random.default_rng(seed)
    away = chance.standard_normal(vectors.shape, dtype=np.float32)
    return normal(vectors + noise * normal(away))


def normal(vectors: Vectors) -> Vectors:
    """Each row of length 1."""
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit


def fixed(scores: Scores) -> System:
    """A system whose scores do not depend on the sample."""
    return lambda numbers: scores[:, numbers]


def fused(one: System, other: System) -> System:
    """Reciprocal rank fusion, k = 60, within the sample."""
    return lambda numbers: share_of_ranks(one(numbers)) + share_of_ranks(other(numbers))


def share_of_ranks(scores: Scores) -> Scores:
    """One over 60 and the rank of each score in its row, from 1."""
    order = np.argsort(-scores, axis=1, kind="stable")
    shares: Scores = (1 / (61 + np.argsort(order, axis=1))).astype(np.float32)
    return shares


def lexical_scores(part: Part) -> Scores:
    """BM25 as scores: minus the rank; what shares no term with a question is last."""
    search = LexicalSearch(part.texts)
    scores = np.full((len(part.asked), len(part.texts)), -len(part.texts), dtype=np.float32)
    for row, question in zip(scores, part.asked, strict=True):
        for rank, at in enumerate(search.rank(question, len(part.texts))):
            row[at] = -rank
    return scores


def systems(part: Part, asked: Vectors, held: Vectors) -> dict[str, System]:
    """All systems; vectors are those of the bundled embedder."""
    found = {"MiniLM": fixed(asked @ held.T)}
    for layers in (3, 1):
        one, other = vectors_of(part, shallow(layers))
        found[f"MiniLM, first {layers} layers"] = fixed(one @ other.T)
    for width in (192, 96, 32):
        found[f"MiniLM, {width} dimensions"] = fixed(
            normal(asked[:, :width]) @ normal(held[:, :width]).T
        )
    found["MiniLM, signs"] = fixed(np.sign(asked) @ np.sign(held).T)
    for noise in (0.5, 1.0, 1.5):
        found[f"MiniLM, noise {noise}"] = fixed(asked @ changed(held, 1, noise).T)
    for label, words in (
        ("bag of words", HashedWords(part.texts)),
        ("words in 256 dimensions", HashedWords(part.texts, 256, weighted=False)),
    ):
        found[label] = fixed(words.embed_queries(part.asked) @ words.embed_documents(part.texts).T)
    found["BM25"] = fixed(lexical_scores(part))
    found["MiniLM + BM25"] = fused(found["MiniLM"], found["BM25"])
    found["first 3 layers + BM25"] = fused(found["MiniLM, first 3 layers"], found["BM25"])
    return found


def judged(part: Part, ranked_by: Mapping[str, System], numbers: Numbers) -> Values:
    """nDCG@10 of each question and system among some chunks."""
    columns = []
    for system in ranked_by.values():
        best = np.argsort(-system(numbers), axis=1, kind="stable")[:, :K]
        columns.append(
            [
                ndcg(question.references, [part.places[at] for at in numbers[row]], part.map, K)
                for question, row in zip(part.questions, best, strict=True)
            ]
        )
    return np.array(columns).T


def sample(part: Part, rankings: Sequence[Sequence[str]], share: int, seed: int) -> Kept:
    """One chunk in `share`; by chance alone where there is no ranking."""
    ids = [str(at) for at in range(len(part.chunks))]
    relevant = {str(at) for at in part.relevant}
    size = len(ids) // share
    kept = subsample(ids, relevant, rankings, size, easy=EASY, seed=seed)
    return Kept(np.array([int(each) for each in kept.chunks]), kept.depth)


def told_apart(values: Values) -> list[tuple[int, int]]:
    """Pairs of systems, better first, whose means differ significantly."""
    pairs = list(combinations(range(values.shape[1]), 2))
    gains = np.stack([values[:, one] - values[:, other] for one, other in pairs], axis=1)
    return [
        pair if found.low > 0 else pair[::-1]
        for pair, found in zip(pairs, bootstrap(gains), strict=True)
        if found.excludes_zero
    ]


def agreement(whole: Values, values: Values) -> tuple[float, float, float, float]:
    """Kendall's tau, share of significant pairs in order, mean and greatest error of means."""
    before, after = whole.mean(axis=0), values.mean(axis=0)
    pairs = told_apart(whole)
    kept = np.mean([after[better] > after[worse] for better, worse in pairs])
    errors = np.abs(after - before)
    return float(kendalltau(before, after).statistic), float(kept), errors.mean(), errors.max()


def seconds_of(embedder: SentenceTransformerEmbedder, texts: Sequence[str]) -> float:
    """CPU seconds that the chunks take to embed: what else the machine does hardly matters."""
    began = time.process_time()
    embedder.embed_documents(texts)
    return time.process_time() - began


class Study:
    """One part, its systems, and samples of it.

    Args:
        part: the corpus.
        seeds: samples of each size.
    """

    def __init__(self, part: Part, seeds: int) -> None:
        self.part, self.seeds = part, seeds
        self.embedder = plain_embedder()
        self.embedder.load()
        some = self.all[::TIMED]
        seconds = seconds_of(self.embedder, [part.texts[at] for at in some])
        self.seconds = seconds * len(self.all) / len(some)
        self.systems = systems(part, *vectors_of(part, self.embedder))
        self.rankings = [
            [str(at) for at in row]
            for label in ("MiniLM", "BM25")
            for row in np.argsort(-self.systems[label](self.all), axis=1, kind="stable")[
                :, :DEEPEST
            ]
        ]
        self.whole = judged(part, self.systems, self.all)

    @property
    def all(self) -> Numbers:
        """Every chunk."""
        return np.arange(len(self.part.chunks))

    def samples(self, share: int, rankings: Sequence[Sequence[str]]) -> list[tuple[Kept, Values]]:
        """Samples of one size, and what the systems score among them."""
        kept = [sample(self.part, rankings, share, seed) for seed in range(self.seeds)]
        return [(each, judged(self.part, self.systems, each.numbers)) for each in kept]

    def rows(self) -> Iterator[tuple[object, ...]]:
        """One line a size and way of choosing."""
        least = len(self.part.relevant) / (1 - EASY)
        for share in [each for each in SHARES if len(self.part.chunks) // each > least]:
            for label, rankings in (("hard negatives", self.rankings), ("chance", [])):
                say(f"1 chunk in {share}, by {label}")
                found = self.samples(share, rankings)
                tau, pairs, mean, most = np.mean(
                    [agreement(self.whole, values) for _, values in found], axis=0
                )
                first = found[0][0]
                yield (
                    f"1/{share}",
                    f"{len(first.numbers):,}",
                    label,
                    first.depth if rankings else "",
                    f"{tau:.3f}",
                    f"{pairs:.1%}",
                    f"{mean:.3f}",
                    f"{most:.3f}",
                    self.cost(first) if rankings else "",
                )

    def cost(self, kept: Kept) -> str:
        """CPU seconds to embed a sample."""
        seconds = seconds_of(self.embedder, [self.part.texts[at] for at in kept.numbers])
        return f"{seconds:.0f} ({self.seconds / seconds:.1f} times fewer)"

    def systems_table(self, share: int) -> str:
        """Each system over all chunks and over one sample."""
        _, hard = self.samples(share, self.rankings)[0]
        _, easy = self.samples(share, [])[0]
        before = zip(self.systems, self.whole.mean(axis=0), bootstrap(self.whole), strict=True)
        return table(
            ("system", "nDCG@10, all chunks", "95 %", f"1/{share}, hard negatives", "chance"),
            [
                (label, f"{mean:.3f}", f"{low:.3f} to {high:.3f}", f"{one:.3f}", f"{other:.3f}")
                for (label, mean, (low, high)), one, other in zip(
                    before, hard.mean(axis=0), easy.mean(axis=0), strict=True
                )
            ],
        )


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=SHARED / "financebench")
    parser.add_argument("--corpora", nargs="*", default=(), help="folders below corpora")
    parser.add_argument("--seeds", type=int, default=5, help="samples of each size")
    options = parser.parse_args()
    part = Part.read(options.data, plain_embedder(), corpora=options.corpora)
    print(heading(f"Samples of {named(options.data)}"), flush=True)
    study = Study(part, options.seeds)
    pairs = told_apart(study.whole)
    print(
        f"{len(part.chunks):,} chunks, {len(part.relevant)} of them with evidence of "
        f"{len(part.questions)} questions, {len(study.systems)} systems; {len(pairs)} pairs of "
        f"them differ significantly. Embedding all chunks takes {study.seconds:.0f} CPU seconds.\n",
        flush=True,
    )
    columns = (
        "sample",
        "chunks",
        "chosen by",
        "depth",
        "Kendall's tau",
        "significant pairs in order",
        "mean error of nDCG@10",
        "greatest",
        "CPU seconds",
    )
    print(table(columns, study.rows()), flush=True)
    print(study.systems_table(10))


if __name__ == "__main__":
    main()
