"""Tokens a second of spanrag's ingest and of LlamaIndex's IngestionPipeline, side by side.

Both embed with the bundled all-MiniLM-L6-v2. Two tasks: the same chunks, cut beforehand and
passed as identical strings (embed and store), and whole documents from text (cut, embed, store).
Every system runs once a round, one after the other (A B A B ...), so that a machine that slows
down slows all of them; a ratio is taken within a round.

spanrag computes in bfloat16 where the processor has it; the float32 rows show what of the gain
is batching. LlamaIndex's embedder is what llama-index-embeddings-huggingface does: one
`SentenceTransformer.encode` for each batch of `embed_batch_size` texts, float32.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it; helps both

import numpy as np
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.constants import DEFAULT_EMBED_BATCH_SIZE
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import BaseNode, TextNode, TransformComponent
from llama_index.core.schema import Document as LlamaDocument
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore
from report import heading, interval, say, table
from sentence_transformers import SentenceTransformer
from workload import DEMO, SHARED, TextsConnector, available, named, new_index, read_texts

from pipelines.ingest import ingest
from rag.chunking import SentenceChunker
from rag.embedding.context import embedded_text
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model, bundled_tokenizer
from rag.settings import ChunkingSettings
from rag.tokens import TokenCounter
from rag.types import Chunk, Document

try:
    from llama_index.vector_stores.qdrant import (  # type: ignore[import-untyped]
        QdrantVectorStore,
    )
    from qdrant_client import QdrantClient
except ImportError:
    QdrantVectorStore = None

STORE = (
    "its QdrantVectorStore over qdrant-client's local mode"
    if QdrantVectorStore
    else "its SimpleVectorStore: a dict in memory that holds no text (no package of LlamaIndex "
    "for Qdrant is installed)"
)
SPLITTER = SentenceSplitter(chunk_size=256, chunk_overlap=0)
CHUNKS = "same chunks"
TEXT = "from text"
BATCH_SIZES = (DEFAULT_EMBED_BATCH_SIZE, 32)


class Workload:
    """The corpus in every form that one of the systems takes."""

    def __init__(self, texts: Sequence[str]) -> None:
        chunking = ChunkingSettings()
        self.counter = TokenCounter.from_file(bundled_tokenizer(), BUNDLED)
        self.connector = TextsConnector(len(texts), texts.__getitem__)
        self.texts = texts
        chunker = SentenceChunker(self.counter, chunking.size, chunking.overlap)
        documents = map(self.connector.fetch, self.connector.list())
        self.chunks = {document.id: list(chunker.split(document)) for document in documents}
        flat = [chunk for chunks in self.chunks.values() for chunk in chunks]
        self.tokens = sum(chunk.tokens for chunk in flat)
        self.embedded = [
            embedded_text(chunk, self.counter, chunking.header_tokens) for chunk in flat
        ]


class System(NamedTuple):
    """One way to ingest. `run` does a task on a workload, into a new store, and says how long."""

    name: str
    ours: bool
    task: str
    run: Callable[[Workload, str], float]


class Prechunked:
    """A chunker that has done its work beforehand."""

    fingerprint = "prechunked"

    def __init__(self, chunks: Mapping[str, list[Chunk]]) -> None:
        self._chunks = chunks

    def split(self, document: Document) -> Iterator[Chunk]:
        """The chunks cut of this document."""
        return iter(self._chunks[document.id])


class SentenceTransformerEmbedding(BaseEmbedding):
    """What llama-index-embeddings-huggingface does, without the package."""

    _model: SentenceTransformer

    def __init__(self, model: SentenceTransformer, **fields: Any) -> None:
        super().__init__(model_name=BUNDLED, **fields)
        self._model = model

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors = self._model.encode(
            texts,
            batch_size=self.embed_batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        found: list[list[float]] = vectors.tolist()
        return found

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def run_spanrag(embedder: SentenceTransformerEmbedder, work: Workload, task: str) -> float:
    """One ingest: (cut,) embed, write, commit each document, build the graph."""
    with (
        tempfile.TemporaryDirectory() as folder,
        new_index(Path(folder) / "index", embedder) as index,
    ):
        if task == CHUNKS:
            index.chunker = Prechunked(work.chunks)
        gc.collect()
        report = ingest(index, [work.connector])
        if report.failed:
            raise SystemExit(f"a document failed: {report.failed[0]}")
        return report.seconds


def run_llama_index(embedding: BaseEmbedding, work: Workload, task: str) -> float:
    """One run of a new pipeline into a new store; its other options are its defaults."""
    steps: list[TransformComponent] = [embedding]
    inputs: list[BaseNode] = [TextNode(text=text) for text in work.embedded]
    if task == TEXT:
        steps.insert(0, SPLITTER)
        inputs = [LlamaDocument(text=text) for text in work.texts]
    with tempfile.TemporaryDirectory() as folder:
        pipeline = IngestionPipeline(transformations=steps, vector_store=llama_index_store(folder))
        gc.collect()
        began = time.perf_counter()
        pipeline.run(nodes=inputs)
        return time.perf_counter() - began


def llama_index_store(folder: str) -> BasePydanticVectorStore:
    """A new store of the best kind that is installed."""
    if QdrantVectorStore is None:
        return SimpleVectorStore()
    store: BasePydanticVectorStore = QdrantVectorStore("bench", client=QdrantClient(path=folder))
    return store


def load_models() -> tuple[list[SentenceTransformerEmbedder], list[SentenceTransformerEmbedding]]:
    """Our embedder, once more in float32 where that is not its choice, and theirs at two sizes."""
    ours = SentenceTransformerEmbedder(bundled_model(), name=BUNDLED)
    plain = SentenceTransformerEmbedder(bundled_model(), name=BUNDLED, precision="float32")
    model = SentenceTransformer(str(bundled_model()), device=ours.device)
    if model.dtype != plain.dtype:
        raise SystemExit(f"the library's own choice of precision is {model.dtype}: not comparable")
    return (
        [ours] if ours.dtype == plain.dtype else [ours, plain],
        [SentenceTransformerEmbedding(model, embed_batch_size=size) for size in BATCH_SIZES],
    )


def make_systems(
    embedders: Sequence[SentenceTransformerEmbedder],
    embeddings: Sequence[SentenceTransformerEmbedding],
) -> list[System]:
    """Ours and theirs by turns, as they will run."""
    systems: list[System | None] = []
    for task in (CHUNKS, TEXT):
        ours = [
            System(f"spanrag, {precision(embedder)}", True, task, partial(run_spanrag, embedder))
            for embedder in embedders
        ]
        theirs = [
            System(
                f"LlamaIndex, float32, batch {embedding.embed_batch_size}",
                False,
                task,
                partial(run_llama_index, embedding),
            )
            for embedding in embeddings
        ]
        systems += chain.from_iterable(zip_longest(ours, theirs))
    return [system for system in systems if system is not None]


def precision(embedder: SentenceTransformerEmbedder) -> str:
    """As torch names it."""
    return str(embedder.dtype).removeprefix("torch.")


def describe(work: Workload, corpus: Path) -> str:
    """What was ingested, and how the systems differ in what they do with it."""
    nodes = SPLITTER.get_nodes_from_documents([LlamaDocument(text=text) for text in work.texts])
    lengths = work.counter.count_all([node.get_content() for node in nodes])
    return (
        f"{named(corpus)}: {len(work.texts):,} documents, {work.tokens:,} tokens of the model "
        f"(headers and special tokens not counted). spanrag cuts {len(work.embedded):,} chunks, "
        f"SentenceSplitter(256/0) {len(nodes):,}; the model reads 256 tokens and never sees the "
        f"end of {sum(length > 254 for length in lengths):,} of those. spanrag writes an index on "
        f"disk, where a committed document is durable; LlamaIndex writes to {STORE}."
    )


def measure(systems: Sequence[System], work: Workload, rounds: int) -> list[list[float]]:
    """Seconds of every system, one list each, in order of the rounds."""
    seconds: list[list[float]] = [[] for _ in systems]
    for number in range(rounds):
        for system, times in zip(systems, seconds, strict=True):
            times.append(system.run(work, system.task))
            say(
                f"round {number + 1}/{rounds}: {system.task}, {system.name}: {times[-1]:.1f} s, "
                f"load {os.getloadavg()[0]:.1f}"
            )
    return seconds


def rates_table(systems: Sequence[System], seconds: Sequence[Sequence[float]], tokens: int) -> str:
    """Tokens a second of each system."""
    rows = []
    for system, times in zip(systems, seconds, strict=True):
        rates = tokens / np.array(times)
        rows.append(
            (
                system.task,
                system.name,
                f"{np.median(rates):,.0f}",
                f"{rates.min():,.0f} - {rates.max():,.0f}",
            )
        )
    return table(("task", "system", "tokens/s, median", "min - max"), rows)


def ratios_table(systems: Sequence[System], seconds: Sequence[Sequence[float]]) -> str:
    """Each of ours against each of theirs on the same task, paired by round."""
    rows = []
    timed = list(zip(systems, seconds, strict=True))
    for ours, mine in timed:
        for other, theirs in timed:
            if ours.ours and not other.ours and ours.task == other.task:
                logs = np.log(np.array(theirs) / np.array(mine))
                low, high = np.exp(interval(np.mean, logs))
                rows.append(
                    (
                        ours.task,
                        f"{ours.name} : {other.name}",
                        f"{np.exp(logs.mean()):.2f}",
                        f"{low:.2f} - {high:.2f}",
                    )
                )
    return table(("task", "pair", "times as fast (geometric mean)", "95 % interval"), rows)


def main() -> None:
    """Measure, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=SHARED / "pubmedqa" / "corpora")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--limit", type=int, help="documents, at most (for a quick try)")
    args = parser.parse_args()
    top = heading("Ingest throughput")

    (corpus,) = available(args.corpus)
    texts = read_texts(corpus) * (20 if corpus == DEMO else 1)
    work = Workload(texts[: args.limit])
    embedders, embeddings = load_models()
    systems = make_systems(embedders, embeddings)
    say("warming up, on a tenth of the corpus")
    measure(systems, Workload(work.texts[::10]), 1)
    say("measuring")
    seconds = measure(systems, work, args.repetitions)

    print(top)
    print(f"{describe(work, corpus)}\n")
    print(rates_table(systems, seconds, work.tokens))
    print(ratios_table(systems, seconds))


if __name__ == "__main__":
    main()
