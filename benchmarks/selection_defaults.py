"""How the defaults of sentence selection were set, and what other values would do.

On the questions of three development sets: which score finds the sentences that experts marked,
how far a sentence may fall behind the best one, and below which evidence to abstain. Everything
runs through `SelectSentences` itself. Intervals are 95 % bootstrap over questions. Indexes are
kept in --cache and used again; delete it after a change to chunking or embedding.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from numpy.typing import NDArray
from report import heading, interval, say, table
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]
from workload import SHARED, new_index

from connectors.registry import open_source
from pipelines.ingest import ingest
from rag.embedding.base import Vectors
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model
from rag.index import Index
from rag.pruning.select import SelectSentences, _units
from rag.settings import SelectionSettings
from rag.spans import Span, SpanSet
from rag.types import Context, Passage

SETS = ("chroma", "covidqa", "xquad")
FOREIGN = {
    "chroma": ("covidqa", "xquad", "pubmedqa"),
    "covidqa": ("chroma", "xquad"),  # not pubmedqa: covidqa's papers may answer its questions
    "xquad": ("chroma", "covidqa", "pubmedqa"),
}
"""Whose questions a corpus is asked besides its own, and should not answer."""

OURS = "cosine + half the share"
TOPS = (1, 3, 5)
CUTS = (0.0, 0.6, 0.7, 0.75, 0.8, 0.9)
THRESHOLDS = (0.45, 0.5, 0.55, 0.6, 0.65)
DEFAULTS = SelectionSettings()

T = TypeVar("T")


class Question(NamedTuple):
    """A question, and where experts found its answer: spans by document."""

    text: str
    references: Mapping[str, SpanSet]


class Cut(NamedTuple):
    """What is left of a question's context under some `relative_cut`."""

    hit: bool
    sentences: int
    precision: float


class Asked:
    """A question whose context has been retrieved."""

    def __init__(self, question: Question, index: Index) -> None:
        found = index.search(question.text)
        self.question = question
        self.index = index
        self.context = Context.of(found)

    def hits(self) -> dict[str, NDArray[np.bool_]]:
        """For every score: which sentences, best first, hold some of a reference."""
        units, texts = _units(self.context)
        embedder = self.index.embedder
        ours, _ = self._select(DEFAULTS)._scores(self.question.text, self.context, units, texts)
        cosines = embedder.embed_documents(texts) @ embedder.embed_queries([self.question.text])[0]
        shares = 2 * (ours - cosines)
        passages = self.context.passages
        marked = np.array([bool(self._marked(passages[at], SpanSet([s]))) for at, s in units])
        scores = {
            "cosine": cosines,
            "share of terms": shares,
            OURS: ours,
            "cosine + the share": cosines + shares,
        }
        return {name: marked[np.argsort(-each, kind="stable")] for name, each in scores.items()}

    def cut(self, relative_cut: float) -> Cut:
        """Select at most three sentences."""
        settings = SelectionSettings(sentences=3, relative_cut=relative_cut)
        narrowed = self._select(settings)(self.question.text, self.context)
        kept = sum(passage.kept.length for passage in narrowed.passages)
        marked = sum(self._marked(passage, passage.kept).length for passage in narrowed.passages)
        return Cut(marked > 0, len(_units(narrowed)[0]), marked / kept if kept else 0.0)

    def evidence(self) -> float:
        """The best sentence's score; below all scores, where nothing was found."""
        found = self._select(DEFAULTS)(self.question.text, self.context).evidence
        return -1.0 if found is None else found

    def _select(self, settings: SelectionSettings) -> SelectSentences:
        return SelectSentences(self.index.embedder, self.index.lexical, settings)

    def _marked(self, passage: Passage, spans: SpanSet) -> SpanSet:
        """What of some spans of a passage is reference."""
        return spans & self.question.references.get(passage.chunk.name, SpanSet())


class RememberingEmbedder(SentenceTransformerEmbedder):
    """Embeds no sentence twice: each one is asked for ten times here."""

    def __init__(self) -> None:
        super().__init__(bundled_model(), name=BUNDLED)
        self._known: dict[str, Vectors] = {}

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Shape (texts, dimension)."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, super().embed_documents(new), strict=True))
        return np.array([self._known[text] for text in texts]).reshape(len(texts), self.dimension)


def read_questions(name: str, count: int, seed: int) -> list[Question]:
    """Questions of a set, drawn at random."""
    with (SHARED / name / "questions.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    questions = []
    for row in random.Random(seed).sample(rows, count):
        spans: dict[str, list[Span]] = {}
        for found in row["references"]:
            spans.setdefault(found["doc"], []).append(Span(found["start"], found["end"]))
        references = {document: SpanSet(found) for document, found in spans.items()}
        questions.append(Question(row["question"], references))
    return questions


def share(values: Sequence[float] | NDArray[Any]) -> str:
    """A mean and its interval, as a cell."""
    low, high = interval(np.mean, values)
    return f"{np.mean(values):.2f} ({low:.2f} - {high:.2f})"


def with_all(found: Mapping[str, list[T]]) -> Mapping[str, list[T]]:
    """Every set's results, then all of them as one."""
    return {**found, "all": [each for group in found.values() for each in group]}


def scores_table(asked: Mapping[str, list[Asked]]) -> str:
    """Which score puts a reference sentence among the first ones."""
    found = {name: [each.hits() for each in group] for name, group in asked.items()}
    rows = []
    for name, group in with_all(found).items():
        at_three = np.array([hits[OURS][:3].any() for hits in group], dtype=float)
        for score in group[0]:
            tops = [np.array([hits[score][:top].any() for hits in group]) for top in TOPS]
            behind = "" if score == OURS else share(tops[TOPS.index(3)] - at_three)
            label = f"**{score}**" if score == OURS else score
            rows.append((name, label, *map(share, tops), behind))
    columns = ("questions", "score", *(f"top {top}" for top in TOPS), "top 3, less ours")
    return table(columns, rows)


def cuts_table(asked: Mapping[str, list[Asked]]) -> str:
    """What the relative cut costs and saves."""
    found = {
        name: [[each.cut(value) for value in CUTS] for each in group]
        for name, group in asked.items()
    }
    rows = []
    for name, group in with_all(found).items():
        for value, cuts in zip(CUTS, zip(*group, strict=True), strict=True):
            label = f"**{value}**" if value == DEFAULTS.relative_cut else str(value)
            hits, sentences, precisions = zip(*cuts, strict=True)
            rows.append((name, label, share(hits), share(sentences), share(precisions)))
    columns = ("questions", "relative_cut", "hit", "sentences kept", "character precision")
    return table(columns, rows)


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
    top = heading("The defaults of sentence selection")

    embedder = RememberingEmbedder()
    asked: dict[str, list[Asked]] = {}
    own: dict[str, list[float]] = {}
    foreign: dict[str, list[float]] = {}
    args.cache.mkdir(parents=True, exist_ok=True)
    for name in SETS:
        with new_index(args.cache / name, embedder) as index:
            report = ingest(index, [open_source(str(SHARED / name / "corpora"))])
            say(f"{name}: {report.chunks:,} chunks, {report.added} documents added")
            questions = read_questions(name, args.questions, args.seed)
            asked[name] = [Asked(question, index) for question in questions]
            own[name] = [each.evidence() for each in asked[name]]
            foreign[name] = [
                Asked(question, index).evidence()
                for other in FOREIGN[name]
                for question in read_questions(other, args.foreign, args.seed)
            ]
    print(top)
    print(
        f"{args.questions} questions of each set, drawn with seed {args.seed}; a context is the "
        "10 chunks of a search. A hit is a question with some of a reference among what is kept. "
        "Defaults are bold.\n"
    )
    print(f"### Score\n\n{scores_table(asked)}")
    print(f"### Relative cut, at most 3 sentences\n\n{cuts_table(asked)}")
    print(f"### Minimal evidence\n\n{evidence_tables(own, foreign)}")


if __name__ == "__main__":
    main()
