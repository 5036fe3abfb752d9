"""How long each stage of the query path takes, at 20 and 75 retrieved chunks.

Milliseconds: the median over the questions, and from the fastest to the slowest; models are warm.
*First*: the vectors of no sentence are remembered, as for passages never retrieved before; *again*
is the same call once more. On xquad little is said twice, so clustering only measures that (the
gate); on the reviews it goes all the way. Summaries are written by the bundled model, cache empty,
and then remembered; the vectors of their sentences are remembered both times. Pruning gets what
selection kept, as in the engine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from clustered import CORPORA, load_writer, open_corpus
from report import heading, say, table

from rag.attribution import encoder_of, load_attributor
from rag.clustering import ClusterContext, SummariseClusters, SummaryCache
from rag.embedding.memo import RememberingEmbedder
from rag.evidence.reader import load_reader
from rag.index import Index
from rag.pruning import FrugalPrompt, SelectSentences
from rag.settings import ClusteringSettings, PruningSettings, SelectionSettings
from rag.stages import Stage
from rag.types import Context

SIZES = (20, 75)
Make = Callable[[RememberingEmbedder], Stage]


class Timed(NamedTuple):
    """Seconds of a stage on one question: first, again; and whether it left the context alone."""

    first: float
    again: float
    left_alone: bool = False


Results = dict[tuple[int, str], list[Timed]]
"""Size and stage to the seconds of each question."""


class Stages:
    """The stages of an index, made anew around an embedder that remembers nothing yet."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._reader = load_reader()
        self._prune = FrugalPrompt(
            load_attributor("adjoint", encoder_of(index.embedder)),
            PruningSettings(mode="on"),
            index.embedder.counter,
        )

    def time(self, question: str, context: Context) -> dict[str, Timed]:
        """Every stage on one context."""
        plain, read = SelectionSettings(), SelectionSettings(reader=True)
        lexical = self._index.lexical
        made: dict[str, Make] = {
            "cluster": lambda embedder: ClusterContext(embedder, ClusteringSettings()),
            "select": lambda embedder: SelectSentences(embedder, lexical, plain),
            "select with reader": lambda embedder: SelectSentences(
                embedder, lexical, read, self._reader
            ),
        }
        found = {
            label: twice(make(RememberingEmbedder(self._index.embedder)), question, context)
            for label, make in made.items()
        }
        selected = SelectSentences(self._index.sentences, lexical, plain)(question, context)
        return found | {"prune (adjoint), after select": twice(self._prune, question, selected)}


def twice(stage: Stage, question: str, context: Context) -> Timed:
    """A stage on the same context, two times over."""
    first, narrowed = timed(lambda: stage(question, context))
    again, _ = timed(lambda: stage(question, context))
    return Timed(first, again, narrowed.remark.note.startswith(("not ", "too little")))


def timed(work: Callable[[], Context]) -> tuple[float, Context]:
    """Seconds, and what came of it."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def ask(index: Index, asked: Sequence[str], sizes: Sequence[int]) -> Results:
    """Retrieval and every stage but summaries; the first question warms the models."""
    stages = Stages(index)
    results: Results = {}
    for number, question in enumerate([asked[0], *asked]):
        for size in sizes:

            def search(question: str = question, size: int = size) -> Context:
                return Context.of(index.search(question, top_k=size))

            first, context = timed(search)
            again, _ = timed(search)
            found = {"retrieve": Timed(first, again)} | stages.time(question, context)
            for label, each in found.items() if number else ():
                results.setdefault((size, label), []).append(each)
        say(f"{number} of {len(asked)} questions")
    return results


def summarise(index: Index, asked: Sequence[str], sizes: Sequence[int], scratch: Path) -> Results:
    """Summaries as written, and as remembered."""
    writer = load_writer(index)
    writer.summarise(["The shop opens at nine. It closes at six."], 30)  # warms the model
    results: Results = {}
    for size in sizes:
        cache = SummaryCache(scratch / f"{size}.sqlite")
        stage = SummariseClusters(index.sentences, ClusteringSettings(), writer, cache)
        for number, question in enumerate(asked, start=1):
            context = Context.of(index.search(question, top_k=size))
            ClusterContext(index.sentences, ClusteringSettings())(question, context)
            results.setdefault((size, "summaries"), []).append(twice(stage, question, context))
            say(f"summaries at {size}: {number} of {len(asked)} questions")
    return results


def row(size: int, label: str, made: Sequence[Timed]) -> tuple[str, ...]:
    """Median and range of both times."""
    cells: list[str] = []
    for seconds in ([each.first for each in made], [each.again for each in made]):
        low, middle, high = (1000 * each for each in np.percentile(seconds, (0, 50, 100)))
        cells.append(f"{middle:,.1f} ({low:,.1f} to {high:,.1f})")
    alone = 100 * np.mean([each.left_alone for each in made])
    clusters = label in ("cluster", "summaries")
    return (str(size), label, *cells, f"{alone:.0f}" if clusters else "")


def main() -> None:
    """Time every stage, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA), choices=CORPORA)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--questions", type=int, default=24, help="of each corpus, at most")
    parser.add_argument("--summaries", type=int, default=6, help="questions of the reviews")
    args = parser.parse_args()
    sizes = sorted(set(args.sizes))
    print(heading("Latency of each stage"))
    columns = ("chunks", "stage", "first, ms", "again, ms", "left alone, %")
    for name in args.corpora:
        say(name)
        index, questions = open_corpus(name, args.questions)
        asked = [each.text for each in questions]
        with index, tempfile.TemporaryDirectory() as scratch:
            results = ask(index, asked, sizes)
            if name == "reviews" and args.summaries:
                results |= summarise(index, asked[: args.summaries], sizes, Path(scratch))
        print(f"### {name}, {len(asked)} questions\n")
        rows = [row(size, label, results[size, label]) for size, label in sorted(results)]
        print(table(columns, rows))


if __name__ == "__main__":
    main()
