"""Where questions go: three domain indexes behind the router, measured on questions.

The classifier learns from sentences of documents that no measured question is about, so neither
questions nor their documents have been seen; of those documents three quarters are fitted and one
quarter calibrates. With --as-used it learns from all documents, as `rag route fit` does: no
question is seen then, either. Questions are those of the testing side of each set, but all of two:
chroma's on finance, which are about one document, and cyber's, where a third of the documents has
no question.

Retrieval is of the best ten chunks, by the same embedder in every index, so that what differs is
where was looked: the route of the question's own set (oracle), the most probable, those that the
router chose, all three with equal places, or one index that holds everything. Intervals are 95 %
bootstrap over questions, differences paired.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence, Set
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from numpy.typing import NDArray
from report import heading, say, table
from searching import CACHE
from workload import SHARED

from connectors.registry import open_source
from eval.datasets import Question, read_questions
from eval.located import Located
from eval.metrics.overlap import ChunkMap
from eval.metrics.ranking import ndcg, recall_at
from eval.split import split_questions
from eval.stats import bootstrap
from pipelines.evaluate import read_corpus
from pipelines.ingest import ingest
from pipelines.route import vocabulary_of
from rag.embedding.base import Embedder
from rag.embedding.lexical import LexicalEncoder
from rag.embedding.memo import RememberingEmbedder
from rag.index import Index, open_index
from rag.retrieval.fusion import reciprocal_rank_fusion
from rag.routing import RouteClassifier, fewest
from rag.routing.calibration import expected_calibration_error
from rag.routing.features import features
from rag.routing.fit import SHARPNESS, SMOOTHING, Examples, fit, measure
from rag.routing.opening import router_embedder
from rag.routing.routed import share_places
from rag.routing.texts import RouteTexts, documents_of, route_texts
from rag.settings import IngestSettings, Settings, StoreSettings
from rag.types import ScoredChunk

ROUTES = {
    "finance": ("financebench", "chroma"),
    "biomedical": ("covidqa", "pubmedqa"),
    "cyber": ("cyber",),
}
WHOLE = ("chroma", "cyber")  # sets of which all questions are measured
LEFT_OUT = {"chroma": ("wikitexts", "state_of_the_union")}  # of the one set that is of all fields
TOP = 10
COVERAGE, MOST = 0.9, 3  # as `rag route fit` has them
FITS: Mapping[str, tuple[float, float, bool, bool]] = {
    "no smoothing": (0.0, SHARPNESS, True, True),
    "smoothing, shared alike": (SMOOTHING, 0.0, True, True),
    "smoothing by likeness (default)": (SMOOTHING, SHARPNESS, True, True),
    "smoothing by likeness, sharp": (SMOOTHING, 10.0, True, True),
    "default, without words in the regression": (SMOOTHING, SHARPNESS, False, True),
    "default, without counted words": (SMOOTHING, SHARPNESS, True, False),
    "default, without either": (SMOOTHING, SHARPNESS, False, False),
}
"""Mass, sharpness, whether words are among the features, and whether they are counted besides."""

DEFAULT = "smoothing by likeness (default)"
Ranked = Sequence[ScoredChunk]


class Fit(NamedTuple):
    """A classifier, with the features it sees of texts and of questions, and the words of both."""

    classifier: RouteClassifier
    examples: list[Examples]
    questions: NDArray[np.float32]
    held_words: NDArray[np.float64]
    words: NDArray[np.float64]

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Of the questions."""
        return self.classifier.probabilities(self.questions, self.words)


class Asked(NamedTuple):
    """A measured question, its set, and the number of its route."""

    question: Question
    set: str
    route: int


class Searched(NamedTuple):
    """The best chunks of each index by itself, and of the one that holds everything."""

    apart: Mapping[str, Ranked]
    pooled: Ranked


def measured(data: Path, count: int | None) -> list[Asked]:
    """The questions of the testing side."""
    found: list[Asked] = []
    for number, sets in enumerate(ROUTES.values()):
        for name in sets:
            every = read_questions(data / name / "questions.jsonl")
            own = [each for each in every if each.corpus not in LEFT_OUT.get(name, ())]
            questions = own if name in WHOLE else split_questions(own, "test")
            found += [Asked(each, name, number) for each in questions[:count]]
    return found


def index_of(data: Path, name: str, sets: Sequence[str], embedder: RememberingEmbedder) -> Index:
    """An index of whole sets, kept; no copy is made a link: questions are about each document."""
    settings = Settings(
        store=StoreSettings(path=CACHE / "routing" / name),
        ingest=IngestSettings(duplicates="keep"),
    )
    say(f"indexing {name}")
    index = open_index(settings, create=True, embedder=embedder)
    sources = [
        open_source(str(data / each / "corpora"), ignore=LEFT_OUT.get(each, ())) for each in sets
    ]
    ingest(index, sources)
    return index


def learned(
    index: Index, seen: Set[str], texts: int, lexical: LexicalEncoder
) -> tuple[Examples, RouteTexts]:
    """Features of sentences of documents, but for those with the names that were `seen`."""
    documents = [each for each in documents_of(index.store) if each.name not in seen]
    found = route_texts(index.store, documents, texts, lexical)
    say(f"{found.documents} documents, {len(found.fitted)} + {len(found.held)} sentences")
    read = partial(features, embedder=index.embedder, lexical=lexical)
    return Examples(read(found.fitted), read(found.held)), found


def with_words(matrix: NDArray[np.float32], dimension: int, words: bool) -> NDArray[np.float32]:
    """The features, or without words the vectors alone."""
    kept = matrix.copy()
    if not words:
        kept[:, dimension:] = 0
    return kept


def fitted(
    learned_: Sequence[tuple[Examples, RouteTexts]],
    asked: Sequence[str],
    embedder: Embedder,
    lexical: LexicalEncoder,
) -> dict[str, Fit]:
    """Every way of fitting, with the features it sees of texts and of questions."""
    vocabulary = vocabulary_of([texts for _, texts in learned_], lexical)
    matrix, dimension = features(asked, embedder, lexical), embedder.dimension
    found = {}
    for name, (mass, sharpness, words, counts) in FITS.items():
        say(f"fitting: {name}")
        seen = [
            Examples(*(with_words(each, dimension, words) for each in both)) for both, _ in learned_
        ]
        classifier = fit(
            list(ROUTES),
            seen,
            embedder.fingerprint,
            "english",
            mass,
            sharpness,
            vocabulary if counts else None,
        )
        found[name] = Fit(
            classifier,
            seen,
            with_words(matrix, dimension, words),
            vocabulary.held,
            classifier.evidence(asked, lexical),
        )
    return found


def chosen(probabilities: NDArray[np.float64], most: int) -> list[dict[str, float]]:
    """Of each question, the routes it goes to and their probabilities."""
    found = []
    for row in probabilities.tolist():
        named = dict(zip(ROUTES, row, strict=True))
        found.append({name: named[name] for name in fewest(named, COVERAGE, most)})
    return found


def share(values: Sequence[float]) -> str:
    """A mean in percent, with its interval."""
    column = np.array(values, dtype=np.float64)[:, None]
    low, high = bootstrap(column)[0]
    return f"{column.mean():.1%} ({low:.1%} - {high:.1%})"


def routing_table(fits: Mapping[str, Fit], asked: Sequence[Asked]) -> str:
    """How each classifier does."""
    labels = np.array([each.route for each in asked])
    losses = {
        name: -np.log(each.probabilities[np.arange(len(labels)), labels])
        for name, each in fits.items()
    }
    columns = (
        "classifier",
        "held-out sentences right",
        "their calibration error",
        "best route is right",
        "wrong domain only",
        "routes",
        "calibration error",
        "log loss",
        "less the default's",
    )
    rows = []
    for name, each in fits.items():
        more = (losses[name] - losses[DEFAULT])[:, None]
        low, high = bootstrap(more)[0]
        loss = (f"{losses[name].mean():.3f}", f"{more.mean():+.3f} ({low:+.3f} - {high:+.3f})")
        rows.append((name, *_routing_row(each, asked), *loss))
    return table(columns, rows)


def _routing_row(fit_: Fit, asked: Sequence[Asked]) -> tuple[str, ...]:
    held = measure(fit_.classifier, [each.held for each in fit_.examples], fit_.held_words)
    probabilities = fit_.probabilities
    labels = np.array([each.route for each in asked])
    names = list(ROUTES)
    went = chosen(probabilities, MOST)
    right = probabilities.argmax(axis=1) == labels
    wrong = [names[each.route] not in to for each, to in zip(asked, went, strict=True)]
    return (
        f"{np.mean(held.accuracy):.1%}",
        f"{held.ece_before:.3f} -> {held.ece:.3f}",
        share(right.astype(float).tolist()),
        share([float(each) for each in wrong]),
        f"{np.mean([len(to) for to in went]):.2f}",
        f"{expected_calibration_error(probabilities, labels):.3f}",
    )


def by_set(probabilities: NDArray[np.float64], asked: Sequence[Asked]) -> str:
    """A classifier, set by set."""
    went = chosen(probabilities, MOST)
    best = probabilities.argmax(axis=1)
    names, rows = list(ROUTES), []
    for name in dict.fromkeys(each.set for each in asked):
        own = [at for at, each in enumerate(asked) if each.set == name]
        wrong = [float(names[asked[at].route] not in went[at]) for at in own]
        right = [float(best[at] == asked[at].route) for at in own]
        routes = np.mean([len(went[at]) for at in own])
        rows.append(
            (
                name,
                names[asked[own[0]].route],
                len(own),
                share(right),
                share(wrong),
                f"{routes:.2f}",
            )
        )
    return table(
        ("set", "route", "questions", "best route is right", "wrong domain only", "routes"), rows
    )


def rankings(
    searched: Sequence[Searched], asked: Sequence[Asked], went: Sequence[Mapping[str, float]]
) -> dict[str, list[Ranked]]:
    """What each way of looking gives for each question."""
    names = list(ROUTES)
    ways: dict[str, list[Ranked]] = {}
    for found, each, to in zip(searched, asked, went, strict=True):
        hits = {name: found.apart[name] for name in to}
        alike = dict.fromkeys(names, 1.0)
        ids = {name: [hit.chunk.id for hit in ranked] for name, ranked in hits.items()}
        chunk = {hit.chunk.id: hit for ranked in hits.values() for hit in ranked}
        plain = [chunk[key] for key, _ in reciprocal_rank_fusion(ids, to)[:TOP]]
        for name, ranked in {
            "one index of everything": found.pooled,
            "the right route (oracle)": found.apart[names[each.route]],
            "all routes, equal places": share_places(found.apart, alike, TOP),
            "the most probable route": found.apart[next(iter(to))],
            "routed, RRF with k = 60": plain,
            "routed": share_places(hits, to, TOP),
        }.items():
            ways.setdefault(name, []).append(ranked)
    return ways


def retrieval_table(
    ways: Mapping[str, Sequence[Ranked]], asked: Sequence[Asked], chunks: ChunkMap
) -> str:
    """How each way ranks: nDCG and recall, by domain, and what it gains on the one index."""
    figures = {way: ranking_figures(ranked, asked, chunks) for way, ranked in ways.items()}
    base = figures["one index of everything"]
    labels = np.array([each.route for each in asked])
    rows = []
    for way, found in figures.items():
        low, high = bootstrap(found - base)[0]
        gain = f"{(found - base)[:, 0].mean() * 100:+.1f} ({low * 100:+.1f} - {high * 100:+.1f})"
        domains = [f"{found[labels == at, 0].mean() * 100:.1f}" for at in range(len(ROUTES))]
        rows.append((way, share(found[:, 0].tolist()), gain, *domains, share(found[:, 1].tolist())))
    columns = ("looked in", "nDCG@10", "less one index", *ROUTES, "recall@10")
    return table(columns, rows)


def ranking_figures(
    ways: Sequence[Ranked], asked: Sequence[Asked], chunks: ChunkMap
) -> NDArray[np.float64]:
    """nDCG@10 and recall@10 of each question, shape (questions, 2)."""
    rows = []
    for ranked, each in zip(ways, asked, strict=True):
        found = [
            Located(hit.chunk.name, hit.chunk.span.start, hit.chunk.span.end) for hit in ranked
        ]
        references = each.question.references
        rows.append((ndcg(references, found, chunks, TOP), recall_at(references, found, TOP)))
    return np.array(rows)


def main() -> None:
    """Index, fit, ask, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=SHARED)
    parser.add_argument("--texts", type=int, default=2_000, help="sentences of each route")
    parser.add_argument("--questions", type=int, help="of each set, at most")
    parser.add_argument("--as-used", action="store_true", help="learn from all documents")
    args = parser.parse_args()
    title = heading("Routing between three domains")
    asked = measured(args.data, args.questions)
    texts = [each.question.text for each in asked]
    seen = {reference.doc for each in asked for reference in each.question.references}
    lexical = LexicalEncoder()
    embedder = RememberingEmbedder(router_embedder(Settings()), 100_000)
    with ExitStack() as stack:
        open_ = {
            name: stack.enter_context(index_of(args.data, name, sets, embedder))
            for name, sets in ROUTES.items()
        }
        every = [name for sets in ROUTES.values() for name in sets]
        pooled = stack.enter_context(index_of(args.data, "pooled", every, embedder))
        known: Set[str] = set() if args.as_used else seen
        found = [learned(index, known, args.texts, lexical) for index in open_.values()]
        say(f"searching {len(open_) + 1} indexes for {len(asked)} questions")
        searched = [
            Searched(
                {name: index.search(text, top_k=TOP) for name, index in open_.items()},
                pooled.search(text, top_k=TOP),
            )
            for text in texts
        ]
        documents = [
            d
            for name in every
            for d in read_corpus(args.data / name / "corpora", LEFT_OUT.get(name, ()))
        ]
        chunks = ChunkMap(
            Located(each.name, each.span.start, each.span.end)
            for document in documents
            for each in pooled.chunk(document)
        )
    fits = fitted(found, texts, embedder, lexical)
    default = fits[DEFAULT].probabilities
    ways = rankings(searched, asked, chosen(default, MOST))
    for name in ("no smoothing", "default, without counted words"):
        other = rankings(searched, asked, chosen(fits[name].probabilities, MOST))
        ways[f"routed, {name.removeprefix('default, ')}"] = other["routed"]
    print(title)
    print(routing_table(fits, asked))
    print(by_set(default, asked))
    print(retrieval_table(ways, asked, chunks))


if __name__ == "__main__":
    main()
