"""What Clustered RAG does as more is retrieved: prompt, evidence, cost, answers.

Two corpora. `reviews` (see reviews.py) says everything many times, one chunk a review; `xquad` (the
testing side) says it once. Every system narrows the same retrieved chunks. *Growth* is the mean
prompt against the system's own at the smallest size, *reduction* against plain at the same size.
Recall and IoU are of characters, against every sentence that states the answer, so on the reviews
whatever says a thing once recalls little; *answer there* is the share of questions whose context
holds a right answer word for word. *Left alone*: the density gate let the context through.

Controls have the tokens of `cluster` on the same question: `top-m` takes the sentences nearest to
the question, `random clusters` shuffles the groups. Seconds are of the stage with the vectors of
all sentences remembered; stage_latency.py has what they cost when seen for the first time.
Summaries are by the bundled model, with a cache that was empty when the benchmark began.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from clustered import CORPORA, CountingCache, Narrow, load_writer, nearest, open_corpus, systems_of
from numpy.typing import NDArray
from report import heading, say, table

from eval.datasets import Question
from eval.metrics.answer import contained, token_f1
from eval.metrics.overlap import Overlap, overlap
from eval.stats import bootstrap
from pipelines.evaluate import located
from rag.evidence.units import units_of
from rag.generation.llm import LlmGenerator
from rag.index import Index
from rag.types import Context

SIZES = (4, 10, 25, 50, 75)
ANSWERED = ("plain", "select", "cluster", "summaries")
ANSWERED_SIZES = (4, 25, 75)
_NOTE = re.compile(r"\d+ clusters, .*?; (\d+) summarised, (\d+) quoted(?:; (\d+) sentences)?")


class Narrowed(NamedTuple):
    """What one system made of one question's context."""

    context: Context
    tokens: int
    found: Overlap
    there: float
    seconds: float
    left_alone: bool


Results = dict[tuple[int, str], list[Narrowed]]
"""Size and system to what became of each question, in order."""


def ask(
    index: Index, questions: Sequence[Question], sizes: Sequence[int], systems: dict[str, Narrow]
) -> Results:
    """Every question, size and system."""
    results: Results = {}
    for number, question in enumerate(questions):
        every = Context.of(index.search(question.text, top_k=max(sizes)))
        index.sentences.embed_documents([unit.text for unit in units_of(every)])
        for size in sizes:
            context = Context(every.passages[:size])
            alone = True
            for label, narrow in systems.items():
                made = measured(index, question, narrow, context)
                if label == "cluster":
                    alone = "clusters," not in made.context.remark.note
                    budget = made.tokens
                clustered = label not in ("plain", "select")
                results.setdefault((size, label), []).append(
                    made._replace(left_alone=clustered and alone)
                )

            def top(question: str, context: Context, budget: int = budget) -> Context:
                return nearest(index.sentences, question, context, budget)

            made = measured(index, question, top, context)
            results.setdefault((size, "top-m"), []).append(made._replace(left_alone=alone))
        say(f"{number + 1} of {len(questions)} questions")
    return results


def measured(index: Index, question: Question, narrow: Narrow, context: Context) -> Narrowed:
    """One system on one context."""
    began = time.perf_counter()
    narrowed = narrow(question.text, context)
    seconds = time.perf_counter() - began
    found = overlap(question.references, located(narrowed))
    there = contained("\n".join(narrowed.pieces), question.answers)
    tokens = index.embedder.counter.total(narrowed.pieces)
    return Narrowed(narrowed, tokens, found, there, seconds, left_alone=False)


def percent(values: NDArray[np.float64]) -> str:
    """A mean with its interval, in per cent."""
    (interval,) = bootstrap(values[:, None])
    return f"{100 * values.mean():.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def growth_rows(results: Results) -> list[tuple[str, ...]]:
    """A row a size and system."""
    mean = {key: float(np.mean([each.tokens for each in made])) for key, made in results.items()}
    smallest = min(size for size, _ in results)
    return [
        (
            str(size),
            system,
            f"{mean[size, system]:,.0f}",
            f"{mean[size, system] / mean[smallest, system]:.2f}",
            f"{100 * (1 - mean[size, system] / mean[size, 'plain']):.1f}",
            percent(np.array([each.found.recall for each in made])),
            percent(np.array([each.found.iou for each in made])),
            f"{100 * np.mean([each.there for each in made]):.0f}",
            f"{100 * np.mean([each.left_alone for each in made]):.0f}",
            f"{np.mean([each.seconds for each in made]):.3f}",
            f"{np.mean([each.context.remark.llm_tokens for each in made]):,.0f}",
        )
        for (size, system), made in results.items()
    ]


def summary_facts(results: Results, cache: CountingCache) -> str:
    """What became of the clusters that were to be summarised."""
    notes = [
        _NOTE.match(each.context.remark.note)
        for (_, system), made in results.items()
        if system == "summaries"
        for each in made
    ]
    told = [[int(each or 0) for each in note.groups()] for note in notes if note]
    summarised, quoted, dropped = np.sum(told, axis=0).tolist() if told else (0, 0, 0)
    return (
        f"Summaries: {cache.asked} asked for, {cache.known} of them from the cache; {summarised} "
        f"clusters summarised, {quoted} quoted, {dropped} sentences without a source dropped.\n"
    )


def answer_rows(
    index: Index, questions: Sequence[Question], results: Results, writer: LlmGenerator
) -> list[tuple[str, ...]]:
    """The bundled model's answers from each context, beside its answers from everything."""
    rows: list[tuple[str, ...]] = []
    for size in sorted({size for size, _ in results if size in ANSWERED_SIZES}):
        plain: list[str] = []
        for system in ANSWERED:
            written = [
                writer.generate(each.text, made.context)
                for each, made in zip(questions, results[size, system], strict=False)
            ]
            texts = [each.text for each in written]
            plain = plain or texts
            gold = [each.answers for each in questions]
            f1 = np.array([token_f1(*each) for each in zip(texts, gold, strict=True)])
            held = np.array([contained(*each) for each in zip(texts, gold, strict=True)])
            pairs = (index.embedder.embed_documents(each) for each in (texts, plain))
            alike = np.einsum("qd,qd->q", *pairs)
            out = [int(each.degraded.split()[0]) for each in written if each.degraded]
            shown = (percent(f1), percent(held), f"{alike.mean():.2f}")
            rows.append((str(size), system, *shown, f"{sum(out) / len(questions):.1f}"))
            say(f"answers from {system} at {size}: F1 {100 * f1.mean():.1f}")
    return rows


def main() -> None:
    """Ask, narrow, answer, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA), choices=CORPORA)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--questions", type=int, default=24, help="of each corpus, at most")
    parser.add_argument("--answers", type=int, default=12, help="of these, how many to answer")
    args = parser.parse_args()
    sizes = sorted(set(args.sizes))
    print(heading("What clustering does as more is retrieved"))
    print("95 % bootstrap intervals over questions.\n")
    columns = (
        "top_k", "system", "prompt tokens", f"growth over {sizes[0]}", "reduction, %",
        "recall, %", "IoU, %", "answer there, %", "left alone, %", "seconds", "LLM tokens",
    )  # fmt: skip
    answered = ("top_k", "system", "token F1, %", "contained, %", "cosine to plain's", "left out")
    for name in args.corpora:
        say(name)
        index, questions = open_corpus(name, args.questions)
        with index, tempfile.TemporaryDirectory() as scratch:
            writer = load_writer(index)
            cache = CountingCache(Path(scratch) / "summaries.sqlite")
            results = ask(index, questions, sizes, systems_of(index, writer, cache))
            print(
                f"### {name}, {len(questions)} questions\n\n{table(columns, growth_rows(results))}"
            )
            print(summary_facts(results, cache))
            few = questions[: args.answers]
            if few:
                print(f"### {name}, answers of SmolLM2-135M to {len(few)} questions\n")
                print(table(answered, answer_rows(index, few, results, writer)))


if __name__ == "__main__":
    main()
