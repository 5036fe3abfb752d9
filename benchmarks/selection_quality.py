"""What selection keeps: evidence and tokens, beside retrieval alone, LlamaIndex, and controls.

Questions of the testing side of each training set (documents that nothing here was trained on), and
all questions of the sets that train nothing. The corpora of the training sets are one index, so a
question competes with all of them; cyber and financebench have one each. Every row starts from the
same `--top-k` chunks. Recall, precision and IoU are of characters, against the reference spans.

Controls have the same budget of tokens: `truncated` takes whole sentences of the best chunks in
order, `nearest` the sentences with the greatest cosine, `MMR` the same less what is said already,
`clusters` and `random clusters` share the budget among groups of passages.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from chunkers import cut, llama_index
from numpy.typing import NDArray
from report import heading, say, table
from searching import CACHE, DenseSearch, plain_embedder, texts_of
from workload import SHARED

from connectors.registry import open_source
from eval.datasets import Question, read_questions
from eval.located import Located
from eval.metrics.overlap import Overlap, overlap
from eval.split import split_questions
from eval.stats import bootstrap
from pipelines.evaluate import read_corpus
from pipelines.evaluate import texts_of as texts_by_name
from pipelines.ingest import ingest
from pipelines.train.examples import TRAINING_SETS
from rag.clustering import ClusterContext
from rag.clustering.groups import group
from rag.embedding.base import Vectors
from rag.evidence.reader import load_reader
from rag.evidence.units import units_of
from rag.index import Index, open_index
from rag.pruning.select import Ranking, SelectSentences
from rag.settings import ClusteringSettings, SelectionSettings, Settings, StoreSettings
from rag.types import Context

POOLS = {"published": TRAINING_SETS, "cyber": ("cyber",), "financebench": ("financebench",)}
Grouping = Callable[[Vectors, str], NDArray[np.int64]]
CHUNKS = (2, 5, 10, 20)
WEIGHTS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 100.0)
BUDGETS = (64, 128, 256)
RECALLS = (0.7, 0.8, 0.85, 0.9)
CURVES = {
    "LlamaIndex 1024/200": "LlamaIndex",
    "whole chunks": "retrieve ",
    "nearest sentences": ": nearest",
    "clusters of sentences": ": clusters",
    "select": "+ select, ",
    "select with reader": "+ select with reader, ",
}
"""What a system is called where recalls are equal, and what its rows have in their names."""


class Kept(NamedTuple):
    """What one system gave for one question."""

    found: Overlap
    tokens: int


Results = dict[str, list[tuple[str, Kept]]]
"""System to (set, what it kept) of each question, in the same order for every system."""


def questions_of(name: str, count: int | None) -> list[Question]:
    """Those that may be tested on."""
    every = read_questions(SHARED / name / "questions.jsonl")
    return split_questions(every, "test" if name in TRAINING_SETS else "all")[:count]


def located(context: Context) -> list[Located]:
    """What a context holds."""
    return [
        Located(passage.chunk.name, span.start, span.end)
        for passage in context.passages
        for span in passage.kept
    ]


def shuffled(vectors: Vectors, policy: str) -> NDArray[np.int64]:
    """Groups of the same sizes that mean nothing."""
    return np.random.default_rng(0).permutation(group(vectors, policy))


class Systems:
    """Every way to narrow the context of one index."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._reader = load_reader()
        self._ranked: dict[tuple[str, bool], Ranking] = {}

    def each(self) -> dict[str, Callable[[str, Context], Context]]:
        """Name to what narrows."""
        made: dict[str, Callable[[str, Context], Context]] = {
            f"retrieve {count}": partial(self._first, count) for count in CHUNKS
        }
        made["+ cluster"] = self._cluster()
        for weight in WEIGHTS:
            made[f"+ select, w={weight:g}"] = self._select(recall_weight=weight, reader=False)
        for weight in WEIGHTS:
            made[f"+ select with reader, w={weight:g}"] = self._select(recall_weight=weight)
        for budget in BUDGETS:
            at = f"at {budget} tokens"
            made[f"{at}: truncated"] = partial(self._greedy, budget, "truncated")
            made[f"{at}: nearest"] = partial(self._greedy, budget, "nearest")
            made[f"{at}: MMR"] = self._cluster(policy="fixed:1", budget=budget, alike=1.0)
            made[f"{at}: random clusters"] = self._cluster(shuffled, budget=budget)
            made[f"{at}: clusters"] = self._cluster(budget=budget)
            made[f"{at}: select"] = self._select(budget=budget, reader=False)
            made[f"{at}: select with reader"] = self._select(budget=budget)
        return made

    def _first(self, count: int, question: str, context: Context) -> Context:
        del question
        return Context(context.passages[:count])

    def _select(self, **settings: object) -> Callable[[str, Context], Context]:
        """Judged once a question, however many rules cut the ranking."""
        chosen = SelectionSettings(**{"reader": True, **settings})  # type: ignore[arg-type]
        reader = self._reader if chosen.reader else None
        stage = SelectSentences(self._index.sentences, self._index.lexical, chosen, reader)

        def narrow(question: str, context: Context) -> Context:
            if (question, chosen.reader) not in self._ranked:
                self._ranked[question, chosen.reader] = stage.rank(question, context)
            return stage.narrow(context, self._ranked[question, chosen.reader], chosen.budget)

        return narrow

    def _cluster(self, grouping: Grouping = group, **settings: object) -> ClusterContext:
        forced = {"min_redundancy": 0.0, "share": 1.0} if settings else {}
        chosen = ClusteringSettings(**forced, **settings)  # type: ignore[arg-type]
        return ClusterContext(self._index.sentences, chosen, grouping)

    def _greedy(self, budget: int, order: str, question: str, context: Context) -> Context:
        units = units_of(context)
        texts = [unit.text for unit in units]
        ranked = list(range(len(units)))
        if order == "nearest":
            embedder = self._index.sentences
            near = embedder.embed_documents(texts) @ embedder.embed_queries([question])[0]
            ranked = np.argsort(-near, kind="stable").tolist()
        kept: dict[int, list] = {}  # type: ignore[type-arg]
        left = budget
        tokens = self._index.embedder.counter.count_all(texts)
        for at in ranked:
            if tokens[at] <= left:
                left -= tokens[at]
                kept.setdefault(units[at].passage, []).append(units[at].span)
        return context.keep(kept)


def ask(pool: str, sets: Sequence[str], count: int | None, top_k: int, results: Results) -> None:
    """Ask every question of a pool of every system, and of LlamaIndex."""
    settings = Settings(store=StoreSettings(path=CACHE / "selection" / pool))
    (CACHE / "selection").mkdir(parents=True, exist_ok=True)
    with open_index(settings, create=True) as index:
        ingest(index, [open_source(str(SHARED / name / "corpora")) for name in sets])
        systems = Systems(index).each()
        counter = index.embedder.counter
        for name in sets:
            asked = questions_of(name, count)
            for number, question in enumerate(asked):
                context = Context.of(index.search(question.text, top_k=top_k))
                for label, narrow in systems.items():
                    narrowed = narrow(question.text, context)
                    found = overlap(question.references, located(narrowed))
                    kept = Kept(found, counter.total(narrowed.pieces))
                    results.setdefault(label, []).append((name, kept))
                if number % 50 == 0:
                    say(f"{pool}, {name}: {number} of {len(asked)} questions")
    texts: dict[str, str] = {}
    for name in sets:
        texts |= texts_by_name(read_corpus(SHARED / name / "corpora"))
    embedder = plain_embedder()
    chunks = cut(texts, lambda text: llama_index(text, 1024, 200).spans)
    search = DenseSearch(embedder, texts_of(chunks, texts), CACHE / "baselines", pool)
    for name in sets:
        for question in questions_of(name, count):
            ranked = [chunks[at] for at in search.rank(question.text, 10)]
            for top in (2, 5, 10):
                found = overlap(question.references, ranked[:top])
                tokens = embedder.counter.total(texts_of(ranked[:top], texts))
                label = f"LlamaIndex 1024/200, top {top}"
                results.setdefault(label, []).append((name, Kept(found, tokens)))


def row(label: str, kept: Sequence[Kept]) -> tuple[str, ...]:
    """Figures with intervals."""
    figures = np.array([[k.found.recall, k.found.precision, k.found.iou] for k in kept])
    cells = [
        f"{100 * mean:.1f} ({100 * each.low:.1f} to {100 * each.high:.1f})"
        for mean, each in zip(figures.mean(axis=0), bootstrap(figures), strict=True)
    ]
    tokens = np.mean([each.tokens for each in kept])
    return (label, *cells, f"{tokens:,.0f}")


def show(title: str, results: Mapping[str, Sequence[Kept]]) -> None:
    """One table."""
    first = [label for label in results if label.startswith("LlamaIndex")]
    rest = [label for label in results if label not in first]
    columns = ("system", "recall, %", "precision, %", "IoU, %", "tokens")
    count = len(next(iter(results.values())))
    rows = [row(label, results[label]) for label in (*first, *rest)]
    print(f"### {title}, {count} questions\n\n{table(columns, rows)}")


def show_equal_recall(title: str, results: Mapping[str, Sequence[Kept]]) -> None:
    """The tokens at which each system's curve first comes to a recall, between its points."""
    rows = []
    for name, part in CURVES.items():
        points = sorted(
            (
                float(np.mean([k.tokens for k in kept])),
                float(np.mean([k.found.recall for k in kept])),
            )
            for label, kept in results.items()
            if part in label
        )
        rows.append((name, *(_tokens_at(points, recall) for recall in RECALLS)))
    columns = ("system", *(f"recall {recall:.0%}" for recall in RECALLS))
    print(f"### {title}, tokens at equal recall\n\n{table(columns, rows)}")


def _tokens_at(points: Sequence[tuple[float, float]], recall: float) -> str:
    """By straight lines between the points; "-" where none comes so far."""
    if points[0][1] >= recall:
        return f"at most {points[0][0]:,.0f}"
    for (fewer, low), (more, high) in pairwise(points):
        if high >= recall:
            return f"{fewer + (more - fewer) * (recall - low) / (high - low):,.0f}"
    return "-"


def main() -> None:
    """Ask, score, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pools", nargs="+", default=list(POOLS), choices=POOLS)
    parser.add_argument("--questions", type=int, help="of each set, at most")
    parser.add_argument("--top-k", type=int, default=20)
    args = parser.parse_args()
    top = heading("What selection keeps")
    results: Results = {}
    for pool in args.pools:
        ask(pool, POOLS[pool], args.questions, args.top_k, results)
    print(top)
    print(f"{args.top_k} chunks retrieved; 95 % bootstrap intervals over questions.\n")
    names = list(dict.fromkeys(name for name, _ in next(iter(results.values()))))
    for name in names:
        show(name, {s: [k for at, k in kept if at == name] for s, kept in results.items()})
    together = [name for name in names if name in TRAINING_SETS]
    if len(together) > 1:
        pooled = {s: [k for at, k in kept if at in together] for s, kept in results.items()}
        show("Published corpora together", pooled)
        show_equal_recall("Published corpora together", pooled)
    if len(names) > len(together):
        show("Everything", {s: [k for _, k in kept] for s, kept in results.items()})


if __name__ == "__main__":
    main()
