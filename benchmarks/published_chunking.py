"""Parity with a published evaluation of chunking: the same chunkers, embedder and questions.

Smith and Troynikov, "Evaluating Chunking Strategies for Retrieval" (Chroma, 2024): one index over
all corpora, all-MiniLM-L6-v2, exact search, five chunks a question. Its table is set beside ours,
once with the arithmetic of its code (`compat="chroma"`) and once with sets. Tolerances are those
of specs/metrics.md; they hold where all five corpora are pooled, and are judged only there. On
fewer, the figures differ because the questions do.

The recursive chunker measures in cl100k or in the embedder's tokens: the published rows come out
with the latter. As a second check, three pipelines of LlamaIndex are scored corpus by corpus,
against figures for the pooled five. With fewer corpora a question's own chunks can only move up, so
recall must be at least theirs; and as the others are about other things, not much more.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

from chunkers import Cutter, cut, llama_index, recursive, rulers, windows
from report import heading, say, table
from searching import CACHE, DenseSearch, plain_embedder, texts_of
from workload import SHARED, named

from eval.datasets import Question, read_questions
from eval.located import Located
from eval.metrics.overlap import ChunkMap
from eval.score import Scores, score_retrieval
from pipelines.evaluate import read_corpus
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.spans import Span

FIVE = {"chatlogs", "finance", "pubmed", "state_of_the_union", "wikitexts"}
FIGURES = ("recall", "precision", "precision_omega", "iou")
TOLERANCES = (1.5, 0.3, 0.5, 0.3)
TOP = 5

Row = tuple[float, ...]


class Target(NamedTuple):
    """A row of the published table: what was published, and what others got; as FIGURES."""

    published: Row
    reproduced: Row


RECURSIVE_CL100K = {
    (250, 125): Target((78.7, 4.9, 21.9, 4.9), (79.4, 4.8, 21.1, 4.8)),
    (250, 0): Target((78.5, 5.4, 26.7, 5.4), (78.0, 4.9, 26.4, 4.9)),
    (200, 0): Target((75.7, 6.5, 31.2, 6.5), (75.2, 6.2, 29.9, 6.1)),
}
RECURSIVE_MODEL = {
    (250, 125): Target((78.7, 4.9, 21.9, 4.9), (78.7, 4.9, 21.9, 4.9)),
    (250, 0): Target((78.5, 5.4, 26.7, 5.4), (78.9, 5.4, 26.7, 5.4)),
    (200, 0): Target((75.7, 6.5, 31.2, 6.5), (75.9, 6.5, 31.2, 6.5)),
}
TOKEN_TEXT = {
    (250, 125): Target((82.4, 3.6, 11.4, 3.5), (82.8, 3.9, 12.4, 3.9)),
    (250, 0): Target((77.1, 3.3, 16.4, 3.3), (78.5, 3.8, 18.1, 3.7)),
    (200, 0): Target((76.6, 4.1, 19.1, 4.1), (77.6, 4.6, 21.0, 4.6)),
}
PARTS = ("wikitexts", "state_of_the_union", "finance")
PIPELINES = {
    (1024, 200, 2): ((65.2, 2.0), (48.7, 1.1), (35.0, 0.9)),
    (1024, 200, 5): ((83.6, 1.0), (65.8, 0.6), (48.4, 0.5)),
    (256, 25, 5): ((80.1, 4.2), (86.9, 3.0), (62.8, 3.2)),
}
"""LlamaIndex: size, overlap, top k; recall and IoU of each of PARTS."""


class Bench:
    """Corpora, questions and embedder."""

    def __init__(self, data: Path, cache: Path) -> None:
        self.texts = texts_of(read_corpus(data / "corpora"))
        self.questions: list[Question] = read_questions(data / "questions.jsonl", self.texts)
        self.corpora = sorted({question.corpus for question in self.questions})
        self.embedder: SentenceTransformerEmbedder = plain_embedder()
        self._cache = cache

    @property
    def complete(self) -> bool:
        """Whether the corpora are those of the published table."""
        return set(self.corpora) == FIVE

    def score(self, cutter: Cutter, what: str, top: int) -> tuple[Scores, Scores]:
        """What a question's nearest chunks are worth, as published and as sets."""
        chunks = cut(self.texts, cutter)
        texts = texts_of(chunks, self.texts)
        search = DenseSearch(self.embedder, texts, self._cache, what)
        ranked = search.rank_all([question.text for question in self.questions], top)
        found: dict[str, list[Located]] = {
            question.id: [chunks[at] for at in best]
            for question, best in zip(self.questions, ranked, strict=True)
        }
        every = ChunkMap(chunks)
        theirs = score_retrieval(self.questions, found, every, compat="chroma")
        return theirs, score_retrieval(self.questions, found, every)

    def of_corpus(self, scores: Scores, corpus: str) -> Scores:
        """The questions about one corpus."""
        ids = frozenset(each.id for each in self.questions if each.corpus == corpus)
        return scores.only(ids)


def percents(scores: Scores) -> Row:
    """The figures, in percent."""
    return tuple(scores.means[name] * 100 for name in FIGURES)


def slashed(row: Iterable[float], sign: str = "") -> str:
    """As the published table has it."""
    return " / ".join(f"{value:{sign}.1f}" for value in row)


def chunker_rows(bench: Bench) -> list[tuple[str, Cutter, Target]]:
    """Every chunker of the published table that needs no other model."""
    cl100k, model = rulers(bench.embedder.counter)
    rows: list[tuple[str, Cutter, Target]] = []
    for ruler, targets in ((cl100k, RECURSIVE_CL100K), (model, RECURSIVE_MODEL)):
        for (size, overlap), target in targets.items():
            cutter: Cutter = partial(recursive, size=size, overlap=overlap, ruler=ruler)
            rows.append((f"Recursive {size}/{overlap}, {ruler.name}", cutter, target))
    for (size, overlap), target in TOKEN_TEXT.items():
        cutter = partial(windows, size=size, overlap=overlap)
        rows.append((f"TokenText {size}/{overlap}, cl100k", cutter, target))
    return rows


def published_tables(bench: Bench) -> str:
    """The published table beside ours, and ours corpus by corpus."""
    rows: list[Sequence[object]] = []
    parts: list[Sequence[object]] = []
    for name, cutter, target in chunker_rows(bench):
        theirs, sets = bench.score(cutter, name, TOP)
        got = percents(theirs)
        off = [value - wanted for value, wanted in zip(got, target.reproduced, strict=True)]
        row = [
            name,
            *map(slashed, target),
            slashed(got),
            slashed(percents(sets)),
            slashed(off, "+"),
        ]
        rows.append([*row, verdict(off)] if bench.complete else row)
        say(f"{name}: {slashed(got)}")
        by_corpus = (slashed(percents(bench.of_corpus(theirs, each))) for each in bench.corpora)
        parts.append([name, *by_corpus])
    columns = ["chunker", "published", "reproduced", "ours", "ours, sets", "ours - reproduced"]
    if bench.complete:
        columns.append("within tolerance")
    by_corpus_title = "### Ours, corpus by corpus (the published arithmetic)"
    return (
        f"{table(columns, rows)}\n{by_corpus_title}\n\n{table(['chunker', *bench.corpora], parts)}"
    )


def verdict(off: Sequence[float]) -> str:
    """Which figures miss their tolerance."""
    pairs = zip(FIGURES, off, TOLERANCES, strict=True)
    missed = [name for name, value, most in pairs if abs(round(value, 1)) > most]
    return "no: " + ", ".join(missed) if missed else "yes"


def pipelines_table(bench: Bench) -> str:
    """LlamaIndex's pipelines, corpus by corpus."""
    rows: list[Sequence[object]] = []
    inside = checked = 0
    for (size, overlap, top), targets in PIPELINES.items():
        scores, _ = bench.score(partial(placed, size, overlap), f"{size}/{overlap}", top)
        for corpus, wanted in zip(PARTS, targets, strict=True):
            if corpus not in bench.corpora:
                continue
            means = bench.of_corpus(scores, corpus).means
            got = (means["recall"] * 100, means["iou"] * 100)
            off = [value - target for value, target in zip(got, wanted, strict=True)]
            close = abs(round(off[0], 1)) <= 1.5 and abs(round(off[1], 1)) <= 0.3
            inside, checked = inside + close, checked + 1
            label = f"{size}/{overlap}, top {top}"
            row = [label, corpus, slashed(wanted), slashed(got), slashed(off, "+")]
            rows.append([*row, "yes" if close else "no"])
    columns = ("pipeline", "corpus", "reproduced", "ours", "difference", "within tolerance")
    return f"{table(columns, rows)}\n{inside} of {checked} within tolerance.\n"


def placed(size: int, overlap: int, text: str) -> list[Span]:
    """LlamaIndex's chunks; every one has to have a place."""
    found = llama_index(text, size, overlap)
    if found.lost or found.ambiguous:
        say(
            f"{size}/{overlap}: {found.lost} chunks without a place, {found.ambiguous} with several"
        )
    return found.spans


def main() -> None:
    """Cut, embed, search, score, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED / "chroma", help="default: %(default)s")
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    args = parser.parse_args()
    if not args.data.is_dir():
        raise SystemExit(f"nothing to measure on: {args.data} is not there")
    top = heading("Parity with the published evaluation of chunking")

    bench = Bench(args.data, args.cache)
    published, pipelines = published_tables(bench), pipelines_table(bench)
    print(top)
    print(
        f"{named(args.data)}: {len(bench.questions)} questions on {', '.join(bench.corpora)}. "
        f"Percent: recall / precision / Precision-Omega / IoU, {TOP} chunks a question.\n"
    )
    if not bench.complete:
        print(
            f"**Not the published question set**: of the five corpora {len(bench.corpora)} are "
            "here, so the differences say what the other questions do, and no tolerance is judged "
            "in this table.\n"
        )
    print(published)
    print(
        "### LlamaIndex, corpus by corpus\n\nRecall / IoU. *Reproduced* had all five corpora in "
        f"the index, we have {len(bench.corpora)}; with fewer, recall can only be higher.\n"
    )
    print(pipelines)


if __name__ == "__main__":
    main()
