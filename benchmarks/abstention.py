"""Below which evidence to abstain: how `selection.min_evidence` was set.

On three development sets: the evidence of questions that a corpus can answer, beside that of
questions asked of the wrong corpus. Intervals are 95 % bootstrap over questions. Indexes are kept
in --cache and used again; delete it after a change to chunking or embedding.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from numpy.typing import NDArray
from report import heading, interval, say, table
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]
from workload import SHARED, new_index

from connectors.registry import open_source
from eval.datasets import read_questions
from pipelines.ingest import ingest
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model
from rag.index import Index
from rag.pruning import SelectSentences
from rag.settings import SelectionSettings
from rag.types import Context

SETS = ("chroma", "covidqa", "xquad")
FOREIGN = {
    "chroma": ("covidqa", "xquad", "pubmedqa"),
    "covidqa": ("chroma", "xquad"),  # not pubmedqa: covidqa's papers may answer its questions
    "xquad": ("chroma", "covidqa", "pubmedqa"),
}
"""Whose questions a corpus is asked besides its own, and should not answer."""

THRESHOLDS = (0.45, 0.5, 0.55, 0.6, 0.65)
DEFAULTS = SelectionSettings()

T = TypeVar("T")


def evidence(question: str, index: Index) -> float:
    """The best sentence's similarity; below all of them, where nothing was found."""
    select = SelectSentences(index.sentences, index.lexical, DEFAULTS)
    found = select(question, Context.of(index.search(question))).evidence
    return -1.0 if found is None else found


def draw(name: str, count: int, seed: int) -> list[str]:
    """Questions of a set, drawn at random."""
    every = read_questions(SHARED / name / "questions.jsonl")
    return [question.text for question in random.Random(seed).sample(every, count)]


def share(values: Sequence[float] | NDArray[Any]) -> str:
    """A mean and its interval, as a cell."""
    low, high = interval(np.mean, values)
    return f"{np.mean(values):.2f} ({low:.2f} - {high:.2f})"


def with_all(found: Mapping[str, list[T]]) -> Mapping[str, list[T]]:
    """Every set's results, then all of them as one."""
    return {**found, "all": [each for group in found.values() for each in group]}


def evidence_tables(own: Mapping[str, list[float]], foreign: Mapping[str, list[float]]) -> str:
    """What a threshold answers and abstains from, and how far evidence tells the two apart."""
    mine, theirs = (np.array(with_all(side)["all"]) for side in (own, foreign))
    rows = [
        (
            f"**{value}**" if value == DEFAULTS.min_evidence else value,
            share(mine >= value),
            share(theirs < value),
        )
        for value in THRESHOLDS
    ]
    answered = f"answered, of {len(mine)} answerable"
    thresholds = table(
        ("min_evidence", answered, f"abstained, of {len(theirs)} out of domain"), rows
    )
    areas = []
    for name, yes in with_all(own).items():
        no = with_all(foreign)[name]
        low, high = interval(area, yes, no)
        areas.append((name, len(yes), len(no), f"{area(yes, no):.3f} ({low:.3f} - {high:.3f})"))
    return f"{thresholds}\n{table(('corpus', 'its own', 'out of domain', 'AUC'), areas)}"


def area(answerable: Sequence[float], foreign: Sequence[float]) -> float:
    """The chance that an answerable question has more evidence than a foreign one."""
    labels = np.repeat([1, 0], [len(answerable), len(foreign)])
    return float(roc_auc_score(labels, np.concatenate([answerable, foreign])))


def main() -> None:
    """Ask, count, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=100, help="of each set, on its own corpus")
    parser.add_argument("--foreign", type=int, default=40, help="of each other set")
    parser.add_argument("--seed", type=int, default=1)
    cache = Path(tempfile.gettempdir()) / "spanrag-benchmarks" / "selection"
    parser.add_argument("--cache", type=Path, default=cache, help="default: %(default)s")
    args = parser.parse_args()
    if not SHARED.is_dir():
        raise SystemExit(f"nothing to measure on: {SHARED} is not there")
    top = heading("Abstention")

    embedder = SentenceTransformerEmbedder(bundled_model(), name=BUNDLED)
    own: dict[str, list[float]] = {}
    foreign: dict[str, list[float]] = {}
    args.cache.mkdir(parents=True, exist_ok=True)
    for name in SETS:
        with new_index(args.cache / name, embedder) as index:
            report = ingest(index, [open_source(str(SHARED / name / "corpora"))])
            say(f"{name}: {report.chunks:,} chunks, {report.added} documents added")
            own[name] = [evidence(each, index) for each in draw(name, args.questions, args.seed)]
            foreign[name] = [
                evidence(each, index)
                for other in FOREIGN[name]
                for each in draw(other, args.foreign, args.seed)
            ]
    print(top)
    print(
        f"{args.questions} questions of each set, drawn with seed {args.seed}; a context is the "
        "10 chunks of a search. The default is bold.\n"
    )
    print(f"### Minimal evidence\n\n{evidence_tables(own, foreign)}")


if __name__ == "__main__":
    main()
