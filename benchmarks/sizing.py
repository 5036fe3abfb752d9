"""What an index of a million, a hundred million or ten billion chunks needs.

Reckoned from rates that are measured here first. Measured: tokens, terms and bytes of payload a
chunk (real documents, default chunker), tokens embedded a second (bundled model, this machine's
cores), chunks cut a second. Reckoned: all else, by the formulas that the report states. GPU-hours
are arithmetic from the model's size and a throughput that is assumed, not measured, and marked so.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

from report import heading, table
from workload import DEMO, SHARED

from connectors.registry import open_source
from rag.embedding.registry import load_embedder
from rag.index import Encoder
from rag.settings import Settings
from rag.store.schema import payload_of
from rag.types import Chunk, Document

SCALES = (1_000_000, 100_000_000, 10_000_000_000)
GRAPH_LINKS = 16 * 2 * 4 * 1.1  # bytes: HNSW with m = 16, twice that on the lowest layer
POSTING = 8  # bytes: an id and a weight
OVERHEAD = 1.2  # of what Qdrant holds: ids, versions, segments being rewritten
PER_SHARD = 20_000_000  # points: one is rebuilt in hours, not days
NODE = 256e9 * 0.8  # bytes of memory of a node that are given to vectors


@dataclass(frozen=True)
class Rates:
    """What was measured, of one chunk or one second."""

    tokens: float
    terms: float
    payload: float
    dimension: int
    embedded: float
    cut: float


def measure(folder: Path, limit: int) -> Rates:
    """Cut and embed some documents with the defaults."""
    settings = Settings()
    encoder = Encoder(settings, load_embedder(settings.embedding))
    encoder.embedder.load()
    connector = open_source(str(folder))
    documents = [connector.fetch(ref) for ref in islice(connector.list(), limit)]
    began = time.perf_counter()
    chunks: list[tuple[Document, Chunk]] = [
        (document, chunk) for document in documents for chunk in encoder.chunk(document)
    ]
    cut = len(chunks) / (time.perf_counter() - began)
    encoder.embed([chunk for _, chunk in chunks[:32]])  # warm
    began = time.perf_counter()
    vectors = encoder.embed([chunk for _, chunk in chunks])
    seconds = time.perf_counter() - began
    tokens = sum(chunk.tokens for _, chunk in chunks)
    return Rates(
        tokens=tokens / len(chunks),
        terms=sum(len(each.indices) for each in vectors.lexical) / len(chunks),
        payload=sum(len(json.dumps(payload_of(*each)).encode()) for each in chunks) / len(chunks),
        dimension=encoder.embedder.dimension,
        embedded=tokens / seconds,
        cut=cut,
    )


def size(amount: float) -> str:
    """Bytes as a person says them."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000:
            return f"{amount:,.3g} {unit}"
        amount /= 1000
    return f"{amount:,.3g} PB"


def hours(amount: float) -> str:
    """Hours as a person says them."""
    return f"{amount:,.1f} h" if amount < 48 else f"{amount / 24:,.0f} days"


def rows(rates: Rates, parameters: float, tflops: float) -> list[list[str]]:
    """One line for each quantity, one column for each scale."""
    dense = rates.dimension * 4
    sparse = rates.terms * POSTING
    graph = GRAPH_LINKS

    def memory(vector_bytes: float) -> list[float]:
        return [n * (vector_bytes + graph + sparse) * OVERHEAD for n in SCALES]

    def line(what: str, amounts: list[float], show: object = size) -> list[str]:
        assert callable(show)
        return [what, *(str(show(amount)) for amount in amounts)]

    whole, small, bits = memory(dense), memory(dense / 4), memory(dense / 32)
    tokens = [n * rates.tokens for n in SCALES]
    return [
        line("text, tokens", tokens, lambda n: f"{n:,.2g}"),
        line("payload on disk", [n * rates.payload for n in SCALES]),
        line("whole vectors on disk", [float(n * dense) for n in SCALES]),
        line("memory, float32", whole),
        line("memory, int8", small),
        line("memory, binary", bits),
        line("shards", [n / PER_SHARD for n in SCALES], lambda n: f"{math.ceil(n):,}"),
        line("nodes of 256 GB, int8, one copy", small, lambda n: f"{math.ceil(n / NODE):,}"),
        line("nodes of 256 GB, int8, two copies", small, lambda n: f"{math.ceil(2 * n / NODE):,}"),
        line("embedding on this machine", [n / rates.embedded / 3600 for n in tokens], hours),
        line(
            "GPU-hours (assumed rate)",
            [n * 2 * parameters / (tflops * 1e12) / 3600 for n in tokens],
            hours,
        ),
    ]


def main() -> None:
    """Measure, reckon, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=SHARED / "pubmedqa" / "corpora")
    parser.add_argument("--limit", type=int, default=300, help="documents that are measured")
    parser.add_argument("--parameters", type=float, default=22e6, help="of the embedder")
    parser.add_argument("--tflops", type=float, default=20, help="assumed, sustained, a GPU")
    args = parser.parse_args()
    folder = args.folder if args.folder.is_dir() else DEMO
    top = heading("What an index needs")
    rates = measure(folder, args.limit)
    print(top)
    print(
        f"Measured here: {rates.tokens:.0f} tokens, {rates.terms:.0f} terms and "
        f"{rates.payload:,.0f} bytes of payload a chunk; {rates.dimension} dimensions; "
        f"{rates.embedded:,.0f} tokens embedded and {rates.cut:,.0f} chunks cut a second. "
        f"**Assumed, not measured**: a GPU that sustains {args.tflops:g} TFLOP/s on a model of "
        f"{args.parameters / 1e6:g} M parameters "
        f"({args.tflops * 1e12 / 2 / args.parameters:,.0f} tokens/s).\n"
    )
    print(
        table(("", *(f"{n:,} chunks" for n in SCALES)), rows(rates, args.parameters, args.tflops))
    )
    print(
        "Memory = chunks x (vector + graph + sparse postings) x "
        f"{OVERHEAD:g}; vector = 4, 1 or 1/8 bytes a dimension; graph = {GRAPH_LINKS:.0f} bytes "
        f"(m = 16); a posting = {POSTING} bytes, {rates.terms:.0f} of them. Payload and, with "
        "`store.on_disk`, whole vectors stay on disk. A shard holds at most "
        f"{PER_SHARD:,} chunks."
    )


if __name__ == "__main__":
    main()
