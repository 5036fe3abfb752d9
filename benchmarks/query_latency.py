"""Latency of a search at 1,000, 10,000 and 100,000 chunks: embedded engine and local mode.

The embedded engine (after `optimize`) against qdrant-client's local mode, both behind spanrag's
`Store`. "search" is `Index.search`, the embedding of the question included; "store" is the two
calls it makes to the store. Chunks are made from real ones (see synthetic.py), questions are
real. The indexes take turns, round by round, so that a machine that slows down slows all; each
turn begins with questions that are not counted.

Local mode scans every vector in Python and takes long to fill and to ask: it stops at --local-max,
and takes one turn only. Vectors and indexes are kept in --cache and used again; delete it after a
change to chunking, embedding or the store.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from qdrant_client import QdrantClient
from report import heading, say, table
from synthetic import RealChunks, made_documents, real_chunks
from workload import SHARED, available, manifest_of, new_index

from pipelines.demo.questions import QUESTIONS
from rag.embedding.base import Vectors
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model
from rag.ids import digest
from rag.index import Index
from rag.settings import Settings
from rag.store.server import ServerStore

SETS = ("chroma", "covidqa", "pubmedqa", "xquad")
WARM_UP = 20  # questions
NEAREST = 10  # of which recall is the share found


@dataclass
class Measured:
    """An index and the seconds its answers took."""

    backend: str
    chunks: int
    index: Index
    recall: float = 0.0
    search: list[float] = field(default_factory=list)
    store: list[float] = field(default_factory=list)


def read_questions(count: int) -> list[str]:
    """Real questions of every set; the demo's over and over, where no set is here."""
    files = [SHARED / name / "questions.jsonl" for name in SETS]
    lines = [line for file in files if file.is_file() for line in file.open(encoding="utf-8")]
    questions = [json.loads(line)["question"] for line in lines]
    if not questions:
        return list(islice(cycle(question.text for question in QUESTIONS), count))
    return random.Random(0).sample(questions, count)


def open_filled(
    backend: str, chunks: int, real: RealChunks, embedder: SentenceTransformerEmbedder, cache: Path
) -> Index:
    """An index of so many made chunks: the one in the cache, or a new one."""
    folder = cache / f"{backend}-{chunks}"
    if backend == "edge":
        index = new_index(folder, embedder)
    else:
        store = ServerStore(QdrantClient(path=str(folder)), "benchmark")
        store.prepare(manifest_of(Settings(), embedder))
        index = Index(Settings(), store, embedder)
    built = cache / f"{backend}-{chunks}.built"
    if not built.exists():
        began = time.perf_counter()
        fill(index, real, chunks)
        say(f"filled {backend} with {chunks:,} chunks in {time.perf_counter() - began:.0f} s")
        built.touch()
    assert index.store.count() == chunks
    return index


def fill(index: Index, real: RealChunks, chunks: int) -> None:
    """What an ingest does after embedding."""
    for document, cut, dense in made_documents(real, chunks):
        lexical = index.lexical.encode_documents([chunk.text for chunk in cut])
        index.store.stage(document, cut, dense, lexical)
        index.store.commit(document.id, document.revision, tokens=0)
    index.store.optimize()


def recall(index: Index, real: RealChunks, chunks: int, queries: Vectors) -> float:
    """The share of the nearest chunks that the dense ranking of a search holds at its top."""
    made = list(made_documents(real, chunks))
    ids = [chunk.id for each in made for chunk in each.chunks]
    similarities = queries @ np.concatenate([each.dense for each in made]).T
    nearest = np.argsort(-similarities, axis=1)[:, :NEAREST]
    nothing = index.lexical.encode_query("")
    limit = index.settings.retrieval.candidates
    found = 0
    for query, wanted in zip(queries, nearest, strict=True):
        hits = index.store.rankings(query.tolist(), nothing, limit).dense[:NEAREST]
        found += len({hit.id for hit in hits} & {ids[at] for at in wanted})
    return found / nearest.size


def take_turn(measured: Measured, questions: Sequence[str], queries: Vectors) -> None:
    """Ask every question: of the whole search, then of the store alone."""
    index = measured.index
    retrieval = index.settings.retrieval
    for question in questions[:WARM_UP]:
        index.search(question)
    for question in questions:
        began = time.perf_counter()
        index.search(question)
        measured.search.append(time.perf_counter() - began)
    for question, query in zip(questions, queries.tolist(), strict=True):
        lexical = index.lexical.encode_query(question)
        began = time.perf_counter()
        found = index.store.rankings(query, lexical, retrieval.candidates)
        index.store.chunks([hit.id for hit in found.dense[: retrieval.top_k]])
        measured.store.append(time.perf_counter() - began)


def milliseconds(seconds: Sequence[float]) -> list[str]:
    """Median and 95th percentile, as cells."""
    return [f"{value * 1e3:.1f}" for value in np.percentile(seconds, (50, 95))]


def report(indexes: Sequence[Measured], questions: int, args: argparse.Namespace) -> str:
    """The table, and how much longer the largest index takes than the smallest."""
    retrieval = indexes[0].index.settings.retrieval
    rows = [
        (
            each.backend,
            f"{each.chunks:,}",
            *milliseconds(each.search),
            *milliseconds(each.store),
            f"{each.recall:.3f}",
        )
        for each in indexes
    ]
    columns = ("backend", "chunks", "search p50", "p95", "store p50", "p95", f"recall@{NEAREST}")
    first, *_, last = [each for each in indexes if each.backend == "edge"] * 2
    growth = [
        f"{name} {np.median(getattr(last, name)) / np.median(getattr(first, name)):.2f}"
        for name in ("search", "store")
    ]
    return (
        f"Milliseconds. {questions} questions, {args.rounds} rounds; an answer holds "
        f"{retrieval.top_k} chunks out of two rankings of {retrieval.candidates}. Recall: of the "
        f"{NEAREST} nearest by exact search, the share at the top of the dense ranking. Local mode "
        f"was not filled beyond {args.local_max:,} chunks, and took one round.\n\n"
        f"{table(columns, rows)}\n"
        f"Edge, p50 at {last.chunks:,} chunks : p50 at {first.chunks:,}: {', '.join(growth)}."
    )


def main() -> None:
    """Fill what is not there, measure, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--local-max", type=int, default=10_000, help="chunks in local mode")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--real", type=int, default=3_000, help="real chunks to make others from")
    cache = Path(tempfile.gettempdir()) / "spanrag-benchmarks"
    parser.add_argument("--cache", type=Path, default=cache, help="default: %(default)s")
    args = parser.parse_args()
    top = heading("Query latency")
    warnings.filterwarnings("ignore", message=".*[Ll]ocal (mode|Qdrant)", category=UserWarning)

    args.cache.mkdir(parents=True, exist_ok=True)
    embedder = SentenceTransformerEmbedder(bundled_model(), name=BUNDLED)
    folders = available(*(SHARED / name / "corpora" for name in SETS))
    real = real_chunks(folders, args.real, embedder, args.cache)
    mark = digest([real.sentences, embedder.fingerprint, version("qdrant-edge-py")])[:8]
    cache = args.cache / f"latency-{mark}"
    cache.mkdir(exist_ok=True)
    indexes = [
        Measured(backend, size, open_filled(backend, size, real, embedder, cache))
        for backend, largest in (("edge", max(args.sizes)), ("local", args.local_max))
        for size in sorted(args.sizes)
        if size <= largest
    ]
    questions = read_questions(args.questions)
    queries = embedder.embed_queries(questions)
    for each in indexes:
        each.recall = recall(each.index, real, each.chunks, queries)
    for number in range(args.rounds):
        for each in indexes:
            if each.backend == "edge" or number == 0:
                take_turn(each, questions, queries)
        say(f"round {number + 1}/{args.rounds} done, load {os.getloadavg()[0]:.1f}")

    print(top)
    print(report(indexes, len(questions), args))
    for each in indexes:
        each.index.close()


if __name__ == "__main__":
    main()
