"""What pruning keeps: evidence left at 80, 60, 50 and 30 % of the words, method by method.

Each question's context is the first `--chunks` chunks of a search. Every method prunes the same
contexts to the same share of words, with nothing protected, so that only salience differs; recall,
precision and IoU are of characters, against the reference spans. Controls: `random` keeps words
that mean nothing, `lexical` rare ones and the question's. Two more rows a share show the pruning
that ships: adjoint with protection, which may keep more than was asked, and by clauses.

Slow methods (`--slow`) score few questions, beside the same controls on the same questions.
`--answers` has the bundled model answer xquad's questions from the first two chunks, pruned.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import numpy as np
from numpy.typing import NDArray
from report import heading, say, table
from searching import CACHE
from workload import SHARED, new_index

from connectors.registry import open_source
from eval.datasets import Question, read_questions
from eval.located import Located
from eval.metrics.answer import token_f1
from eval.metrics.overlap import Overlap, overlap
from eval.stats import bootstrap
from pipelines.ingest import ingest
from rag.attribution import load_attributor
from rag.attribution.base import Attributor, TokenScores
from rag.attribution.encoder import FrozenEncoder
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model, bundled_tokenizer
from rag.generation.registry import load_generator
from rag.ids import digest
from rag.pruning.frugal import prune_text
from rag.settings import GenerationSettings, PruningSettings
from rag.spans import SpanSet
from rag.tokens import TokenCounter
from rag.types import Chunk, Context, Passage

SETS = ("chroma", "covidqa", "cyber", "financebench", "xquad")
RETENTIONS = (0.8, 0.6, 0.5, 0.3)
FAST = ("random", "lexical", "globenc", "adjoint")
SLOW = ("decompx", "sensitivity")


class Asked(NamedTuple):
    """A question and the chunks that were found for it."""

    question: Question
    chunks: list[Chunk]


class Kept(NamedTuple):
    """What is left of a question's context, against its references."""

    found: Overlap
    share: float


def ask(name: str, count: int, chunks: int, embedder: SentenceTransformerEmbedder) -> list[Asked]:
    """Some questions of a set, the same ones each time, with what a search finds for each."""
    questions = read_questions(SHARED / name / "questions.jsonl")
    drawn = sorted(questions, key=lambda each: digest(["pruning", each.id]))[:count]
    with new_index(CACHE / "pruning" / name, embedder) as index:
        ingest(index, [open_source(str(SHARED / name / "corpora"))])
        return [
            Asked(each, [hit.chunk for hit in index.search(each.text, top_k=chunks)])
            for each in drawn
        ]


def score(attributor: Attributor, asked: Sequence[Asked]) -> list[list[TokenScores]]:
    """Every chunk of every question, scored once."""
    return [
        attributor.scores(
            [chunk.text for chunk in each.chunks],
            query=each.question.text if attributor.query_aware else None,
        )
        for each in asked
    ]


def prune(
    asked: Sequence[Asked], scored: Sequence[Sequence[TokenScores]], settings: PruningSettings
) -> list[Kept]:
    """Prune every context with scores made before."""
    found: list[Kept] = []
    for each, scores in zip(asked, scored, strict=True):
        kept: list[Located] = []
        whole = 0
        for chunk, of_chunk in zip(each.chunks, scores, strict=True):
            whole += len(chunk.span)
            spans = prune_text(chunk.text, of_chunk, settings, settings.granularity).kept
            start = chunk.span.start
            kept += [Located(chunk.name, span.start + start, span.end + start) for span in spans]
        share = sum(each.end - each.start for each in kept) / max(whole, 1)
        found.append(Kept(overlap(each.question.references, kept), share))
    return found


def passages(chunks: Sequence[Chunk], pruned: Sequence[SpanSet]) -> Context:
    """Pruned chunks as the context of a prompt."""
    return Context(
        tuple(
            Passage(chunk, SpanSet(span.shift(chunk.span.start) for span in spans))
            for chunk, spans in zip(chunks, pruned, strict=True)
        )
    )


def answer_rows(asked: Sequence[Asked], encoder: FrozenEncoder) -> list[list[str]]:
    """Token F1 of the bundled model's answers: from everything, then by retention and method."""
    counter = TokenCounter.from_file(bundled_tokenizer())
    generator = load_generator(GenerationSettings(kind="bundled", max_tokens=32), counter)
    scored = {method: score(load_attributor(method, encoder), asked) for method in FAST}

    def answered(method: str, retention: float) -> NDArray[np.float64]:
        settings = PruningSettings(retention=retention, profile="none")
        found: list[float] = []
        for each, scores in zip(asked, scored[method], strict=True):
            pruned = [
                prune_text(chunk.text, of_chunk, settings, "word").kept
                for chunk, of_chunk in zip(each.chunks, scores, strict=True)
            ]
            written = generator.generate(each.question.text, passages(each.chunks, pruned))
            found.append(token_f1(written.text, each.question.answers))
        say(f"  answers: {method} at {retention:.0%}, F1 {100 * np.mean(found):.1f}")
        return np.array(found)

    whole = answered("random", 1.0)
    made = [["100%", "everything", *f1_cells(whole, whole)]]
    for retention in RETENTIONS:
        of = {method: answered(method, retention) for method in FAST}
        made += [
            [f"{retention:.0%}", method, *f1_cells(values, of["random"])]
            for method, values in of.items()
        ]
    return made


def f1_cells(values: NDArray[np.float64], control: NDArray[np.float64]) -> list[str]:
    """F1 with its interval, and the paired gain over the control."""
    both = np.stack((values, values - control), axis=1)
    return [
        f"{100 * mean:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
        for mean, interval in zip(both.mean(axis=0), bootstrap(both), strict=True)
    ]


def cells(kept: Sequence[Kept], control: Sequence[Kept]) -> list[str]:
    """Recall and IoU with intervals, and the paired gain in recall over the control."""
    recall = np.array([each.found.recall for each in kept])
    iou = np.array([each.found.iou for each in kept])
    gain = recall - np.array([each.found.recall for each in control])
    intervals = bootstrap(np.stack((recall, iou, gain), axis=1))
    share = float(np.mean([each.share for each in kept]))
    shown = [f"{100 * share:.0f}"]
    for values, interval in zip((recall, iou, gain), intervals, strict=True):
        shown.append(
            f"{100 * values.mean():.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
        )
    return shown


def rows(asked: Sequence[Asked], methods: Sequence[str], encoder: FrozenEncoder) -> list[list[str]]:
    """A row a method and retention, and the shipped pruning after them."""
    scored = {}
    for method in methods:
        scored[method] = score(load_attributor(method, encoder), asked)
        say(f"  {method} scored")
    made: list[list[str]] = []
    for retention in RETENTIONS:
        bare = PruningSettings(retention=retention, profile="none")
        control = prune(asked, scored["random"], bare)
        for method in methods:
            kept = prune(asked, scored[method], bare)
            made.append([f"{retention:.0%}", method, *cells(kept, control)])
        guarded = PruningSettings(retention=retention, profile="general")
        kept = prune(asked, scored["adjoint"], guarded)
        made.append([f"{retention:.0%}", "adjoint, protected", *cells(kept, control)])
        clauses = PruningSettings(retention=retention, profile="none", granularity="clause")
        kept = prune(asked, scored["adjoint"], clauses)
        made.append([f"{retention:.0%}", "adjoint, clauses", *cells(kept, control)])
    return made


def main() -> None:
    """Prune, score, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--questions", type=int, default=60, help="of each set")
    parser.add_argument("--chunks", type=int, default=3)
    parser.add_argument("--slow", type=int, default=0, help="questions for the slow methods")
    parser.add_argument("--answers", type=int, default=0, help="xquad questions to answer")
    args = parser.parse_args()
    top = heading("What pruning keeps")
    embedder = SentenceTransformerEmbedder(bundled_model(), name=BUNDLED)
    encoder = FrozenEncoder(bundled_model(), name=BUNDLED)
    columns = (
        "words kept", "method", "characters kept, %", "recall, %", "IoU, %", "recall over random",
    )  # fmt: skip
    print(top)
    print(
        f"The first {args.chunks} chunks of a search; {args.questions} questions of each set, "
        "drawn by a digest of their ids. 95 % bootstrap intervals over questions; the last column "
        "is paired. *Real* gains have an interval that leaves out 0.\n"
    )
    every: list[Asked] = []
    for name in args.sets:
        say(name)
        asked = ask(name, args.questions, args.chunks, embedder)
        every += asked
        print(f"### {name}\n\n{table(columns, rows(asked, FAST, encoder))}")
    if len(args.sets) > 1:
        say("together")
        print(f"### Together\n\n{table(columns, rows(every, FAST, encoder))}")
    if args.slow:
        few = [
            Asked(each.question, each.chunks[:1])
            for each in sorted(every, key=lambda each: digest(["slow", each.question.id]))
        ][: args.slow]
        say(f"slow methods on {len(few)} questions")
        print(f"### Slow methods: {len(few)} questions, the first chunk\n")
        print(table(columns, rows(few, (*FAST, *SLOW), encoder)))
    if args.answers:
        say("answers")
        print(f"### Answers: {args.answers} questions of xquad, SmolLM2-135M, two chunks\n")
        answering = ask("xquad", args.answers, 2, embedder)
        heads = ("words kept", "method", "token F1, %", "F1 over random")
        print(table(heads, answer_rows(answering, encoder)))


if __name__ == "__main__":
    main()
