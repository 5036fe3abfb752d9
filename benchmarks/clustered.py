"""What the benchmarks of Clustered RAG share: corpora as indexes, and ways to narrow a context."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from reviews import make_reviews
from searching import CACHE
from workload import SHARED, new_index

from connectors.registry import open_source
from eval.datasets import Question, read_questions
from eval.split import split_questions
from pipelines.ingest import ingest
from rag.clustering import ClusterContext, SummariseClusters, SummaryCache
from rag.clustering.clusters import spans_by_passage
from rag.clustering.groups import group
from rag.embedding.base import Embedder, Vectors
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model
from rag.evidence.units import units_of
from rag.generation.llm import LlmGenerator
from rag.generation.registry import load_generator
from rag.ids import digest
from rag.index import Index
from rag.pruning.select import SelectSentences
from rag.settings import ClusteringSettings, GenerationSettings, SelectionSettings
from rag.types import Context

__all__ = [
    "CORPORA",
    "CountingCache",
    "Narrow",
    "load_writer",
    "nearest",
    "open_corpus",
    "systems_of",
]

CORPORA = ("reviews", "xquad")

Narrow = Callable[[str, Context], Context]


class CountingCache(SummaryCache):
    """A cache of summaries that counts what it was asked for, and what it had."""

    asked = 0
    known = 0

    def get(self, key: str) -> str | None:
        """As the cache."""
        found = super().get(key)
        self.asked += 1
        self.known += found is not None
        return found


def open_corpus(name: str, count: int) -> tuple[Index, list[Question]]:
    """A corpus as an index, and at most so many of its questions, the same ones each time."""
    if name == "reviews":
        reviews = make_reviews()
        questions = reviews.questions
        folder = CACHE / "growth" / f"reviews-{digest(reviews.texts)[:12]}"
        source = folder / "texts"
        source.mkdir(parents=True, exist_ok=True)
        for document, text in reviews.texts.items():
            (source / document).write_text(text, encoding="utf-8")
    else:
        every = read_questions(SHARED / name / "questions.jsonl")
        questions = split_questions(every, "test")
        folder, source = CACHE / "growth" / name, SHARED / name / "corpora"
    folder.mkdir(parents=True, exist_ok=True)
    embedder = SentenceTransformerEmbedder(bundled_model(), name=BUNDLED)
    index = new_index(folder / "index", embedder)
    ingest(index, [open_source(str(source))])
    return index, sorted(questions, key=lambda each: digest(["growth", each.id]))[:count]


def load_writer(index: Index) -> LlmGenerator:
    """The bundled model, with room for many passages and short answers."""
    settings = GenerationSettings(kind="bundled", context_window=8192, max_tokens=96)
    writer = load_generator(settings, index.embedder.counter)
    assert isinstance(writer, LlmGenerator)
    return writer


def shuffled(vectors: Vectors, policy: str) -> NDArray[np.int64]:
    """Groups of the same sizes that mean nothing."""
    return np.random.default_rng(0).permutation(group(vectors, policy))


def nearest(embedder: Embedder, question: str, context: Context, budget: int) -> Context:
    """The sentences nearest to the question, as many as fit."""
    units = units_of(context)
    texts = [unit.text for unit in units]
    near = embedder.embed_documents(texts) @ embedder.embed_queries([question])[0]
    tokens = embedder.counter.count_all(texts)
    chosen: list[int] = []
    for at in np.argsort(-near, kind="stable").tolist():
        if tokens[at] <= budget:
            budget -= tokens[at]
            chosen.append(at)
    return context.keep(spans_by_passage(units, chosen))


def systems_of(index: Index, writer: LlmGenerator, cache: SummaryCache) -> dict[str, Narrow]:
    """Name to what narrows; `top-m` needs a budget, and is not among them."""
    settings = ClusteringSettings()
    select = SelectSentences(index.sentences, index.lexical, SelectionSettings())
    cluster = ClusterContext(index.sentences, settings)
    return {
        "plain": lambda question, context: context,
        "select": select,
        "cluster": cluster,
        "cluster + select": lambda question, context: select(question, cluster(question, context)),
        "summaries": SummariseClusters(index.sentences, settings, writer, cache),
        "random clusters": ClusterContext(index.sentences, settings, shuffled),
    }
