"""What attribution costs: seconds and memory by length, beside a plain forward pass.

The plain pass is the same written-out encoder with nothing done to what it kept; `library` is the
Hugging Face model with its own attention. Batched methods score 8 texts at a time, and a row is a
text's share. Every figure is the median of `--repeats` in one process, methods in turn (A B A B);
memory is what the peak of a process of its own grew by, for one call with one text.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch
from report import heading, say, table
from transformers import AutoModel
from workload import DEMO, read_texts

from rag.attribution import load_attributor
from rag.attribution.encoder import FrozenEncoder
from rag.embedding.registry import BUNDLED, bundled_model

LENGTHS = (64, 128, 256, 512)
BATCH = 8
QUERY = "What was the company's revenue?"
BATCHED = ("library", "plain", "adjoint", "globenc")
SINGLE = ("decompx absdot", "decompx biastoken", "sensitivity")


def texts_of(encoder: FrozenEncoder, tokens: int) -> list[str]:
    """Texts of exactly so many positions, special tokens included, cut from the demo's filing."""
    source = " ".join(" ".join(read_texts(DEMO)).split())
    found: list[str] = []
    start = 0
    while len(found) < BATCH:
        low, high = start, start + 8 * tokens
        while low < high:  # the longest stretch that has no more than that
            middle = (low + high + 1) // 2
            fits = len(encoder._tokenizer.encode(source[start:middle]).ids) <= tokens
            low, high = (middle, high) if fits else (low, middle - 1)
        found.append(source[start:low])
        start = low
    return found


def calls(encoder: FrozenEncoder, texts: list[str]) -> dict[str, Callable[[], Any]]:
    """Every method on these texts; the slow ones on the first."""
    library = AutoModel.from_pretrained(encoder.folder).eval()
    encoded = encoder.encode(texts)
    ids = torch.tensor([each.ids[: min(len(e.ids) for e in encoded)] for each in encoded])

    def forward() -> None:
        with torch.inference_mode():
            library(input_ids=ids)

    adjoint = load_attributor("adjoint", encoder)
    globenc = load_attributor("globenc", encoder)
    sensitivity = load_attributor("sensitivity", encoder)
    decompx = {
        bias: load_attributor("decompx", encoder, bias=bias) for bias in ("absdot", "biastoken")
    }
    return {
        "library": forward,
        "plain": lambda: encoder.trace(encoded),
        "adjoint": lambda: adjoint.scores(texts, query=QUERY),
        "globenc": lambda: globenc.scores(texts),
        "decompx absdot": lambda: decompx["absdot"].scores(texts[:1], query=QUERY),
        "decompx biastoken": lambda: decompx["biastoken"].scores(texts[:1], query=QUERY),
        "sensitivity": lambda: sensitivity.scores(texts[:1], query=QUERY),
    }


def seconds(call: Callable[[], Any]) -> float:
    """One call."""
    gc.collect()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def growth(method: str, tokens: int) -> float:
    """MiB that the peak of a new process grows by in one call with one text."""
    command = [sys.executable, __file__, "--grow", method, "--lengths", str(tokens)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def measure_growth(method: str, tokens: int) -> float:
    """The same, in this process."""
    encoder = FrozenEncoder(bundled_model(), name=BUNDLED)
    texts = texts_of(encoder, tokens)[:1]
    call = calls(encoder, texts)[method]
    encoder.trace(encoder.encode(["load"]))
    gc.collect()
    # Resets the peak: otherwise it is that of loading, or of the process that started this one.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = status("VmRSS")
    call()
    return (status("VmHWM") - before) / 1024


def status(key: str) -> int:
    """A line of /proc/self/status, in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def main() -> None:
    """Measure, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--longest-slow", type=int, default=256, help="tokens, of slow methods")
    parser.add_argument("--methods", nargs="+", default=[*BATCHED, *SINGLE])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--grow", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.grow:
        print(measure_growth(args.grow, args.lengths[0]))
        return
    top = heading("What attribution costs")
    encoder = FrozenEncoder(bundled_model(), name=BUNDLED)
    found: dict[tuple[str, int], tuple[float, float]] = {}
    for tokens in args.lengths:
        slow = [name for name in SINGLE if name in args.methods and tokens <= args.longest_slow]
        for name, taken in timed(calls(encoder, texts_of(encoder, tokens)), args.repeats, slow):
            found[name, tokens] = taken, growth(name, tokens)
            say(f"{tokens} tokens, {name}: {taken:.4f} s")
    print(top)
    print(
        "A text's milliseconds, in how many plain passes that is, and growth of memory. "
        f"{torch.get_num_threads()} threads.\n"
    )
    shown = [name for name in (*BATCHED, *SINGLE) if name in {*BATCHED, *args.methods}]
    rows = [[name, *(cell(found, name, at) for at in args.lengths)] for name in shown]
    print(table(("method", *(f"{tokens} tokens" for tokens in args.lengths)), rows))


def timed(
    made: dict[str, Callable[[], Any]], repeats: int, slow: Sequence[str]
) -> Iterator[tuple[str, float]]:
    """Seconds a text of every method: the batched ones in turn, the slow ones once."""
    taken: dict[str, list[float]] = {name: [] for name in BATCHED}
    for name in BATCHED:
        made[name]()  # warm
    for _ in range(repeats):
        for name in BATCHED:
            taken[name].append(seconds(made[name]) / BATCH)
    yield from ((name, statistics.median(values)) for name, values in taken.items())
    yield from ((name, seconds(made[name])) for name in slow)


def cell(found: dict[tuple[str, int], tuple[float, float]], name: str, tokens: int) -> str:
    """One method at one length."""
    if (name, tokens) not in found:
        return "-"
    taken, memory = found[name, tokens]
    times = taken / found["plain", tokens][0]
    return f"{1000 * taken:,.1f} ms ({times:,.1f}x), {memory:,.0f} MiB"


if __name__ == "__main__":
    main()
