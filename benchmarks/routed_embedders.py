"""What embedders of each domain are worth behind the router, beside one embedder for everything.

Give it models that `benchmarks/adaptation.py --options "--seed 3" --keep DIR` made (its domain
`together` is of all corpora at once). Measured are questions about documents that are held out of
that division, of which no model has seen anything, nor the classifier, but with --as-used;
abstracts of pubmedqa are in no model, and half of them are measured. Ten chunks are retrieved, by
vectors and words fused as the product has it. Intervals are 95 % bootstrap over questions,
differences paired.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from report import heading, say, table
from routing import (
    LEFT_OUT,
    MOST,
    ROUTES,
    TOP,
    Asked,
    Ranked,
    by_set,
    chosen,
    index_of,
    learned,
    ranking_figures,
    share,
)
from searching import CACHE
from workload import SHARED

from connectors.registry import open_source
from eval.datasets import read_questions
from eval.located import Located
from eval.metrics.overlap import ChunkMap
from eval.split import on_tuning_side
from eval.stats import bootstrap
from pipelines.evaluate import read_corpus
from pipelines.ingest import ingest
from pipelines.route import vocabulary_of
from rag.embedding.lexical import LexicalEncoder
from rag.embedding.memo import RememberingEmbedder
from rag.index import Index, open_index
from rag.routing.features import features
from rag.routing.fit import fit
from rag.routing.opening import router_embedder
from rag.routing.routed import share_places
from rag.settings import Settings

TOGETHER = "together"


def measured(data: Path, seed: int) -> list[Asked]:
    """The questions about held-out documents alone."""
    return [
        Asked(question, name, number)
        for number, sets in enumerate(ROUTES.values())
        for name in sets
        for question in read_questions(data / name / "questions.jsonl")
        if question.corpus not in LEFT_OUT.get(name, ())
        and not any(on_tuning_side(each.doc, 0.5, seed) for each in question.references)
    ]


def adapted_index(data: Path, name: str, sets: Sequence[str], model: Path) -> Index:
    """An index of whole sets by an embedder of one's own, kept; no copy is made a link."""
    settings = Settings(
        store={"path": CACHE / "routing" / f"{name}-{model.name}"},
        ingest={"duplicates": "keep"},
        embedding={"kind": "sentence_transformers", "model": str(model)},
    )
    say(f"indexing {name} by {model.name}")
    index = open_index(settings, create=True)
    ingest(
        index,
        [open_source(str(data / each / "corpora"), ignore=LEFT_OUT.get(each, ())) for each in sets],
    )
    return index


def rankings(
    open_: Mapping[str, Mapping[str, Index]],
    went: Sequence[Mapping[str, float]],
    asked: Sequence[Asked],
) -> dict[str, list[Ranked]]:
    """What each way of looking gives for each question.

    Args:
        open_: by whose embedder ("bundled", "own"), the index of each route and of all together.
        went: of each question, the routes it goes to and their probabilities.
        asked: the questions.
    """
    names = list(ROUTES)
    found: dict[str, list[Ranked]] = {}
    for each, to in zip(asked, went, strict=True):
        for whose, indexes in open_.items():
            hits = {
                name: index.search(each.question.text, top_k=TOP) for name, index in indexes.items()
            }
            taken = {name: hits[name] for name in to}
            for way, ranked in {
                "one index of everything": hits[TOGETHER],
                "the right route (oracle)": hits[names[each.route]],
                "routed": share_places(taken, to, TOP),
            }.items():
                found.setdefault(f"{whose}: {way}", []).append(ranked)
    return found


def main() -> None:
    """Index, fit, ask, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=SHARED)
    for name in (*ROUTES, TOGETHER):
        parser.add_argument(f"--{name}", type=Path, required=True, help="folder of its model")
    parser.add_argument("--seed", type=int, default=3, help="of the division of documents")
    parser.add_argument(
        "--as-used", action="store_true", help="the classifier learns from all documents"
    )
    parser.add_argument("--texts", type=int, default=2_000, help="sentences of each route")
    args = parser.parse_args()
    title = heading("Domain embedders behind the router")
    asked = measured(args.data, args.seed)
    seen = set() if args.as_used else {at.doc for each in asked for at in each.question.references}
    lexical = LexicalEncoder()
    embedder = RememberingEmbedder(router_embedder(Settings()), 100_000)
    every = [name for sets in ROUTES.values() for name in sets]
    with ExitStack() as stack:
        bundled = {
            name: stack.enter_context(index_of(args.data, name, sets, embedder))
            for name, sets in {**ROUTES, "pooled": every}.items()
        }
        bundled[TOGETHER] = bundled.pop("pooled")
        own = {
            name: stack.enter_context(
                adapted_index(args.data, name, sets, getattr(args, name).resolve())
            )
            for name, sets in {**ROUTES, TOGETHER: every}.items()
        }
        found = [learned(bundled[name], seen, args.texts, lexical) for name in ROUTES]
        vocabulary = vocabulary_of([texts for _, texts in found], lexical)
        classifier = fit(
            list(ROUTES),
            [each for each, _ in found],
            embedder.fingerprint,
            "english",
            vocabulary=vocabulary,
        )
        texts = [each.question.text for each in asked]
        probabilities = classifier.probabilities(
            features(texts, embedder, lexical), classifier.evidence(texts, lexical)
        )
        without = fit(list(ROUTES), [each for each, _ in found], embedder.fingerprint, "english")
        plain = without.probabilities(features(texts, embedder, lexical))
        say(f"asking {len(asked)} questions")
        ways = rankings({"bundled": bundled, "own": own}, chosen(probabilities, MOST), asked)
        chunks = ChunkMap(
            Located(each.name, each.span.start, each.span.end)
            for name in every
            for document in read_corpus(args.data / name / "corpora", LEFT_OUT.get(name, ()))
            for each in own[TOGETHER].chunk(document)
        )
    print(title)
    labels = np.array([each.route for each in asked])
    right, plain_right = (
        (each.argmax(axis=1) == labels).astype(float) for each in (probabilities, plain)
    )
    counts = {name: int((labels == at).sum()) for at, name in enumerate(ROUTES)}
    print(f"{len(asked)} questions: {counts}; the best route is right for {share(right.tolist())}, "
          f"without counted words for {share(plain_right.tolist())}")  # fmt: skip
    print()
    print(by_set(probabilities, asked))
    print(_table(ways, asked, chunks))


def _table(ways: Mapping[str, Sequence[Ranked]], asked: Sequence[Asked], chunks: ChunkMap) -> str:
    """How each way ranks, by domain, less one index by the bundled and by the adapted embedder."""
    figures = {way: ranking_figures(ranked, asked, chunks) for way, ranked in ways.items()}
    labels = np.array([each.route for each in asked])
    bases = [figures[f"{whose}: one index of everything"] for whose in ("bundled", "own")]
    rows = []
    for way, found in figures.items():
        gains = []
        for base in bases:
            difference = (found - base)[:, :1] * 100
            low, high = bootstrap(difference)[0]
            gains.append(f"{difference.mean():+.1f} ({low:+.1f} - {high:+.1f})")
        domains = [f"{found[labels == at, 0].mean() * 100:.1f}" for at in range(len(ROUTES))]
        rows.append(
            (way, share(found[:, 0].tolist()), *gains, *domains, share(found[:, 1].tolist()))
        )
    columns = ("embedder: looked in", "nDCG@10", "less bundled, one index",
               "less own, one index", *ROUTES, "recall@10")  # fmt: skip
    return table(columns, rows)


if __name__ == "__main__":
    main()
