"""Judging: does an embedder find more on documents that its training never saw?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from connectors.base import SourceRef
from eval.datasets import Question
from eval.located import Located
from eval.metrics.overlap import ChunkMap, overlap
from eval.metrics.ranking import ndcg, recall_at
from eval.stats import Interval, bootstrap
from pipelines.ingest import Progress, ingest
from rag.embedding.base import Embedder
from rag.index import Index, open_index
from rag.settings import Settings, StoreSettings
from rag.types import Chunk, Document

__all__ = ["FIGURES", "Judged", "Verdict", "decide", "indexed", "judge"]

FIGURES = ("ndcg@10", "recall@10", "iou@5")
_DEPTH = 10  # of nDCG and recall
_CONTEXT = 5  # chunks whose union IoU is taken of

Figures = NDArray[np.float64]
"""Shape (questions, len(FIGURES))."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The figures of three rankings, question by question.

    Attributes:
        dense: by the embedder alone.
        served: what `rag search` gives: fused with the ranking by words.
        words: BM25 alone, for which the embedder makes no difference.
    """

    dense: Figures
    served: Figures
    words: Figures

    def means(self) -> dict[str, dict[str, float]]:
        """Ranking to figure to its mean."""
        return {
            name: dict(zip(FIGURES, map(float, each.mean(axis=0)), strict=True))
            for name, each in (
                ("dense", self.dense), ("served", self.served), ("words", self.words),
            )
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to keep an embedder, and why.

    `dense` and `served` have the interval of the gain for each of `FIGURES`.
    """

    accepted: bool
    why: str
    dense: tuple[Interval, ...]
    served: tuple[Interval, ...]


@dataclass(frozen=True)
class _Held:
    """A connector over documents that were read before."""

    namespace: str
    documents: dict[str, Document]

    def list(self) -> Iterator[SourceRef]:
        for key, document in self.documents.items():
            yield SourceRef(key, document.source, document.name, document.fingerprint)

    def covers(self, key: str) -> bool:
        return key in self.documents

    def fetch(self, ref: SourceRef) -> Document:
        return self.documents[ref.key]


@contextmanager
def indexed(
    settings: Settings,
    embedder: Embedder,
    documents: Sequence[Document],
    folder: Path,
    progress: Progress | None = None,
) -> Iterator[Index]:
    """An index of these documents by this embedder, in a folder that does not exist yet.

    Raises:
        StoreError, ConfigError: as `rag.index.open_index`.
    """
    # Copies are kept: what is judged is asked about document by document.
    settings = settings.model_copy(
        update={
            "store": StoreSettings(path=folder),
            "ingest": settings.ingest.model_copy(update={"duplicates": "keep"}),
        }
    )
    places: dict[str, dict[str, Document]] = {}
    for document in documents:
        places.setdefault(document.namespace, {})[document.key] = document
    with open_index(settings, create=True, embedder=embedder) as index:
        ingest(index, [_Held(name, held) for name, held in places.items()], progress=progress)
        yield index


def judge(
    index: Index,
    documents: Sequence[Document],
    questions: Sequence[Question],
    progress: Progress | None = None,
) -> Judged:
    """Ask an index of held-out documents every question.

    Args:
        index: from `indexed`.
        documents: those it holds.
        questions: with references in them.
        progress: hears of every question.
    """
    chunks = ChunkMap(_located(chunk) for document in documents for chunk in index.chunk(document))
    if progress:
        progress.start(len(questions))
    rows: list[list[tuple[float, ...]]] = []
    for question in questions:
        rows.append(
            [_figures(question, ranked, chunks) for ranked in _rankings(index, question.text)]
        )
        if progress:
            progress.advance(1)
    dense, served, words = np.array(rows).swapaxes(0, 1)
    return Judged(dense, served, words)


def _rankings(index: Index, question: str) -> tuple[list[Located], ...]:
    """Dense, served and lexical, each cut to what figures look at."""
    vector = index.embedder.embed_queries([question])[0].tolist()
    found = index.store.rankings(vector, index.lexical.encode_query(question), _DEPTH)
    chunks = index.store.chunks([hit.id for hits in found for hit in hits])
    dense, words = ([_located(chunks[hit.id]) for hit in hits] for hits in found)
    served = [_located(each.chunk) for each in index.search(question, top_k=_DEPTH)]
    return dense, served, words


def _located(chunk: Chunk) -> Located:
    return Located(chunk.name, chunk.span.start, chunk.span.end)


def _figures(
    question: Question, ranked: Sequence[Located], chunks: ChunkMap
) -> tuple[float, float, float]:
    wanted = question.references
    return (
        ndcg(wanted, ranked, chunks, _DEPTH),
        recall_at(wanted, ranked, _DEPTH),
        overlap(wanted, ranked[:_CONTEXT]).iou,
    )


def decide(before: Judged, after: Judged) -> Verdict:
    """Accept only what is better beyond chance, and in nothing worse beyond chance.

    Better: the 95 % interval (paired bootstrap over questions) of the gain in nDCG@10 of the
    embedder's own ranking lies above nought. Worse: any interval of any figure, of that ranking or
    of the one that is served, lies below it.

    Questions are taken for independent. Those about one document are not quite, so the fewer
    documents they are about, the more often chance passes: in a simulation without any gain, of 20
    questions about each of 10 documents 8 % were accepted, of 100 independent ones 1 %.
    """
    dense = tuple(bootstrap(after.dense - before.dense))
    served = tuple(bootstrap(after.served - before.served))
    lost = [
        f"{figure} of the {name} ranking is worse"
        for name, gains in (("dense", dense), ("served", served))
        for figure, gain in zip(FIGURES, gains, strict=True)
        if not gain.high >= 0  # written so that what is no number is refused, too
    ]
    if lost:
        return Verdict(False, "; ".join(lost), dense, served)
    if not dense[0].low > 0:
        why = f"the gain in {FIGURES[0]} cannot be told from chance"
        return Verdict(False, why, dense, served)
    return Verdict(
        True, f"{FIGURES[0]} is better beyond chance, and no figure worse", dense, served
    )
