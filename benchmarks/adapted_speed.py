"""Whether an adapted embedder embeds as fast as its base: both in turn, on the same passages."""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from report import heading, say, table

from pipelines.evaluate import read_corpus
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import load_embedder
from rag.index import Encoder
from rag.settings import Settings


def main() -> None:
    """Embed, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, help="folder of documents")
    parser.add_argument("models", type=Path, nargs="+", help="folders of adapted models")
    parser.add_argument("--chunks", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    settings = Settings()
    base = load_embedder(settings.embedding)
    encoder = Encoder(settings, base)
    chunks = [chunk for each in read_corpus(args.corpus) for chunk in encoder.chunk(each)]
    texts = encoder.texts(chunks[:: max(1, len(chunks) // args.chunks)][: args.chunks])
    tokens = sum(base.counter.count_all(texts))
    embedders = {"base": base, "base again": load_embedder(settings.embedding)}
    embedders |= {path.name: SentenceTransformerEmbedder(path) for path in args.models}
    seconds: dict[str, list[float]] = {name: [] for name in embedders}
    for each in embedders.values():
        each.embed_documents(texts[:32])
    for turn in range(args.rounds):
        say(f"round {turn + 1} of {args.rounds}")
        for name, each in embedders.items():
            began = time.perf_counter()
            each.embed_documents(texts)
            seconds[name].append(time.perf_counter() - began)
    print(heading("Speed of adapted embedders"))
    print(
        f"{len(texts)} passages, {tokens:,} tokens, {args.rounds} rounds, each embedder in turn.\n"
    )
    rows: list[tuple[str, ...]] = []
    for name, spent in seconds.items():
        ratios = [one / other for one, other in zip(seconds["base"], spent, strict=True)]
        rows.append(
            (
                name, str(embedders[name].dimension), f"{tokens / statistics.median(spent):,.0f}",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            )
        )  # fmt: skip
    columns = ("embedder", "numbers", "tokens/s, median", "speed beside base, round by round")
    print(table(columns, rows))


if __name__ == "__main__":
    main()
