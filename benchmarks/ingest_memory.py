"""Peak memory of an ingest, by the size of the corpus.

Every size is ingested by a process of its own. Its documents, of about 50 kB, are made of real
sentences when they are asked for, and are never on disk. The claim to test is that memory is
bounded: that it does not grow with the corpus beyond the pages that the store maps. So resident
memory is told apart as Linux does: anonymous (what the process holds; it cannot be given back)
and file-backed (libraries and the mapped index; the kernel takes those pages back at will).

`hash` is no model but a cheap stand-in, so that a hundred megabytes take minutes.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from report import heading, say, table
from workload import SHARED, TextsConnector, available, new_index, read_sentences, recombined

from pipelines.ingest import ingest
from rag.embedding.base import Embedder, Vectors
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model, bundled_tokenizer
from rag.tokens import TokenCounter

SETS = ("chroma", "covidqa", "pubmedqa", "xquad")
DOCUMENT = 50_000  # characters
DIMENSION = 384


class HashEmbedder:
    """A text's vector is the sum of its words', and a word's vector is drawn by its hash."""

    name = "hash"
    fingerprint = "hash"
    dimension = DIMENSION
    max_tokens = 256
    reserved_tokens = 2

    def __init__(self) -> None:
        self.counter = TokenCounter.from_file(bundled_tokenizer(), BUNDLED)
        self._words = np.random.default_rng(0).standard_normal((4_096, DIMENSION), np.float32)

    def load(self) -> None:
        """Nothing."""

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Shape (texts, dimension)."""
        vectors = np.empty((len(texts), DIMENSION), dtype=np.float32)
        for row, text in enumerate(texts):
            words = {zlib.crc32(word.encode()) % len(self._words) for word in text.split()}
            vectors[row] = self._words[list(words)].sum(axis=0)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """As documents."""
        return self.embed_documents(texts)


class MemoryWatch:
    """Hears of an ingest's progress, and looks at memory whenever it does."""

    def __init__(self) -> None:
        self.most_anonymous = 0.0

    def start(self, total: int) -> None:
        """Nothing to see yet."""

    def advance(self, count: float, tokens: int = 0) -> None:
        """Look."""
        self.most_anonymous = max(self.most_anonymous, resident()["RssAnon"])


def resident() -> dict[str, float]:
    """Resident memory of this process in MiB: VmHWM (the most ever), RssAnon, RssFile, ..."""
    status = Path("/proc/self/status").read_text()
    found = re.findall(r"^(VmHWM|VmRSS|Rss\w+):\s+(\d+) kB$", status, re.MULTILINE)
    return {name: int(kilobytes) / 1024 for name, kilobytes in found}


def give_back() -> None:
    """Have glibc return the pages that were freed and that it keeps for later."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def measure(embedder: Embedder, megabytes: float) -> dict[str, Any]:
    """Ingest so much text in this process, and say what memory it took."""
    sentences = read_sentences(available(*(SHARED / name / "corpora" for name in SETS)))
    connector = TextsConnector(
        max(1, round(megabytes * 1e6 / DOCUMENT)),
        lambda number: recombined(sentences, DOCUMENT, seed=number),
    )
    watch = MemoryWatch()
    embedder.load()
    with tempfile.TemporaryDirectory() as folder:
        with new_index(Path(folder) / "index", embedder) as index:
            before = resident()
            report = ingest(index, [connector], progress=watch)
            after = resident()
            give_back()
            held = resident()["RssAnon"]
        files = [file.stat() for file in Path(folder).rglob("*") if file.is_file()]
    return {
        "chunks": report.chunks,
        "tokens": report.tokens,
        "seconds": report.seconds,
        "before": before,
        "writing": watch.most_anonymous,
        "after": after,
        "held": held,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "disk": sum(stat.st_blocks * 512 for stat in files) / 2**20,
    }


def measure_apart(embedder: str, megabytes: float) -> dict[str, Any]:
    """The same, in a new process."""
    command = [sys.executable, __file__, "--embedder", embedder, "--measure", str(megabytes)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    say(f"{embedder}, {megabytes:g} MB: {found}")
    return found


def row(megabytes: float, found: dict[str, Any]) -> list[str]:
    """One size as a line of the table."""
    before, after = found["before"], found["after"]
    memory = (
        before["RssAnon"],
        found["writing"],
        after["RssAnon"],
        found["held"],
        before["RssFile"],
        after["RssFile"],
        found["peak"],
        found["disk"],
    )
    return [
        f"{megabytes:g} MB",
        f"{found['chunks']:,}",
        *(f"{value:,.0f}" for value in memory),
        f"{found['seconds'] / 60:.1f}",
    ]


def growth(smaller: float, larger: float, less: dict[str, Any], more: dict[str, Any]) -> str:
    """What memory a larger corpus costs, as a sentence."""
    held = more["held"] - less["held"]
    mapped = more["after"]["RssFile"] - less["after"]["RssFile"]
    chunks = more["chunks"] - less["chunks"]
    return (
        f"- From {smaller:g} to {larger:g} MB: held {held:+,.0f} MiB "
        f"({held * 2**20 / chunks:,.0f} bytes a chunk), file-backed {mapped:+,.0f} MiB, index "
        f"on disk {more['disk'] - less['disk']:+,.0f} MiB."
    )


def main() -> None:
    """Measure every size in a process of its own, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embedder", choices=("hash", "bundled"), default="hash")
    parser.add_argument("--sizes", type=float, nargs="+", default=[1, 10, 100], metavar="MB")
    parser.add_argument("--measure", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure is not None:
        bundled = args.embedder == "bundled"
        embedder = (
            SentenceTransformerEmbedder(bundled_model(), name=BUNDLED)
            if bundled
            else HashEmbedder()
        )
        print(json.dumps(measure(embedder, args.measure)))
        return
    top = heading(f"Memory of an ingest, embedder {args.embedder}")
    results = {size: measure_apart(args.embedder, size) for size in sorted(args.sizes)}

    print(top)
    print(
        f"MiB. Documents of about {DOCUMENT // 1000} kB. *Writing* is the most seen right after a "
        "window of chunks was written, *end* is after the graph was built, with the index open, "
        "*held* is what is left of that once the allocator has given back what was freed; "
        "*peak* is ru_maxrss of the process, all of its resident memory.\n"
    )
    columns = (
        "text",
        "chunks",
        "anonymous: before",
        "writing",
        "end",
        "held",
        "file-backed: before",
        "end",
        "peak",
        "index on disk",
        "minutes",
    )
    print(table(columns, (row(size, found) for size, found in results.items())))
    for smaller, larger in pairwise(results):
        print(growth(smaller, larger, results[smaller], results[larger]))


if __name__ == "__main__":
    main()
