"""spanrag beside the pipelines people use now, in one run, every one scored by the same code.

Each system retrieves from one index over all documents of a set. What it let through is recorded
as a run (`eval.runs.Run`) and scored from the record, with sets of characters, by `score_run`; the
records are written to --out, where `rag eval report` and `rag eval compare` can read them.
Differences are to LlamaIndex's defaults, paired by question. Intervals are 95 % bootstrap.

Every other system embeds with the bundled all-MiniLM-L6-v2 in float32, as LlamaIndex loads it,
reads at most 256 tokens of a chunk, and searches exactly. spanrag computes in bfloat16 where the
processor has it, and searches its index. BM25 is the same for all: spanrag's term weights. Tokens
are those of the context in the embedder's tokenizer. Seconds are those of retrieval and selection,
on indexes that are built and models that are loaded.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

from chunkers import Cutter, cut, llama_index, recursive, rulers, windows
from report import heading, say, table
from searching import CACHE, DenseSearch, LexicalSearch, plain_embedder, texts_of
from workload import SHARED

from eval.compare import CONTEXT, Difference, compare_runs
from eval.located import Located
from eval.runs import DocumentRecord, QuestionRecord, Run, StageRecord
from eval.score import RunScores, score_run
from pipelines.evaluate import Plan, prepare, record_run
from rag.chunking import SentenceChunker
from rag.embedding.context import embedded_text
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.ids import digest
from rag.settings import Settings, StoreSettings

SETS = ("chroma", "covidqa", "xquad", "cyber", "pubmedqa", "financebench")
DEFAULT = "LlamaIndex 1024/200, top 2 (its defaults)"
RETRIEVE = "retrieve"
MOST = 10
SHOWN = ("recall", "precision", "iou")
TITLES = ("recall", "precision", "IoU")

Rank = Callable[[str, int], Sequence[int]]


class System(NamedTuple):
    """A pipeline: its chunks, how it ranks them for a question, how many it takes."""

    label: str
    chunks: Sequence[Located]
    rank: Rank
    top: int


class Corpus:
    """The documents and questions of a set, cut and embedded in every way."""

    def __init__(self, plan: Plan, embedder: SentenceTransformerEmbedder, cache: Path) -> None:
        self.plan = plan
        self.texts = plan.texts
        self.unplaced: list[str] = []
        self._embedder = embedder
        self._cache = cache

    def systems(self) -> Iterator[System]:
        """Everybody else."""
        _, model = rulers(self._embedder.counter)
        long, large = self._cut("LlamaIndex 1024/200", partial(self._placed, 1024, 200))
        short, small = self._cut("LlamaIndex 256/25", partial(self._placed, 256, 25))
        fixed, fixed_dense = self._cut("windows 200", partial(windows, size=200, overlap=0))
        split, split_dense = self._cut(
            "recursive 200", partial(recursive, size=200, overlap=0, ruler=model)
        )
        yield System(DEFAULT, long, large.rank, 2)
        yield System("LlamaIndex 1024/200, top 5", long, large.rank, 5)
        yield System("LlamaIndex 256/25, top 5", short, small.rank, 5)
        yield System("fixed windows of 200, top 5", fixed, fixed_dense.rank, 5)
        yield System("fixed windows of 200, top 10", fixed, fixed_dense.rank, 10)
        yield System("recursive 200, top 5", split, split_dense.rank, 5)
        yield System("recursive 200, top 10", split, split_dense.rank, 10)
        words = LexicalSearch(texts_of(short, self.texts))
        yield System("BM25 alone, LlamaIndex 256/25, top 5", short, words.rank, 5)
        ours, read = self._our_chunks()
        yield System("BM25 alone, spanrag's chunks, top 5", ours, LexicalSearch(read).rank, 5)

    def record(self, system: System) -> Run:
        """Ask a system every question."""
        system.rank("warm up", 1)
        records = []
        for question in self.plan.questions:
            began = time.perf_counter()
            ranked = system.rank(question.text, system.top)
            seconds = time.perf_counter() - began
            spans = tuple(system.chunks[at] for at in ranked)
            stage = StageRecord(RETRIEVE, spans, self._tokens(spans), seconds)
            records.append(QuestionRecord(question, (stage,)))
        header = replace(
            self.plan.header,
            label=system.label,
            token_unit=self._embedder.counter.name,
            config_hash=digest(system.label)[:12],
            settings={"baseline": system.label},
        )
        edges: dict[str, list[tuple[int, int]]] = {doc: [] for doc in self.texts}
        for chunk in system.chunks:
            edges[chunk.doc].append((chunk.start, chunk.end))
        documents = (DocumentRecord.of(doc, text, edges[doc]) for doc, text in self.texts.items())
        return Run(header, tuple(documents), tuple(records))

    def record_ours(self) -> Iterator[Run]:
        """spanrag, asked once: whole chunks at 5 and 10, and with its default selection."""
        recorded = record_run(self.plan)
        yield self._whole(recorded, 5)
        yield self._whole(recorded, MOST)
        yield replace(recorded, header=replace(recorded.header, label="spanrag, default selection"))

    def _whole(self, recorded: Run, top: int) -> Run:
        records = []
        for record in recorded.questions:
            stage = record.stage(RETRIEVE)
            spans = (stage.spans or ())[:top]
            stage = replace(stage, spans=spans, tokens=self._tokens(spans))
            records.append(QuestionRecord(record.question, (stage,)))
        header = replace(recorded.header, label=f"spanrag, whole chunks, top {top}")
        return replace(recorded, header=header, questions=tuple(records))

    def _tokens(self, spans: Sequence[Located]) -> int:
        return sum(self._embedder.counter.count_all(texts_of(spans, self.texts)))

    def _cut(self, what: str, cutter: Cutter) -> tuple[list[Located], DenseSearch]:
        chunks = cut(self.texts, cutter)
        texts = texts_of(chunks, self.texts)
        return chunks, DenseSearch(self._embedder, texts, self._cache, what)

    def _placed(self, size: int, overlap: int, text: str) -> list[Any]:
        found = llama_index(text, size, overlap)
        if found.lost or found.ambiguous:
            self.unplaced.append(
                f"{size}/{overlap}: of {len(found.spans) + found.lost:,} chunks of a document "
                f"{found.lost} without a place, {found.ambiguous} with several"
            )
        return found.spans

    def _our_chunks(self) -> tuple[list[Located], list[str]]:
        """The chunks spanrag cuts, and what its index reads of each: a header too."""
        chunking, counter = Settings().chunking, self._embedder.counter
        chunker = SentenceChunker(counter, chunking.size, chunking.overlap)
        chunks = [chunk for document in self.plan.documents for chunk in chunker.split(document)]
        places = [Located(each.name, each.span.start, each.span.end) for each in chunks]
        return places, [embedded_text(each, counter, chunking.header_tokens) for each in chunks]


def pooled(runs: Sequence[Run]) -> Run:
    """The same system's runs on several sets, as one."""
    return Run(
        runs[0].header,
        tuple(document for run in runs for document in run.documents),
        tuple(record for run in runs for record in run.questions),
    )


def tables(runs: Mapping[str, Run]) -> str:
    """Every system's figures, and what they differ from LlamaIndex's defaults in."""
    scores = {label: score_run(run) for label, run in runs.items()}
    figures = table(
        ("system", *TITLES, "Precision-Omega", "tokens", "ms a question"),
        (figures_row(run, scores[label]) for label, run in runs.items()),
    )
    rows = []
    for label, run in runs.items():
        if label != DEFAULT:
            found = compare_runs(runs[DEFAULT], run, scores[DEFAULT], scores[label])
            stage = CONTEXT if any(each.stage == CONTEXT for each in found) else RETRIEVE
            given = {each.figure: each for each in found if each.stage == stage}
            rows.append((label, *(difference(given[name]) for name in (*SHOWN, "tokens"))))
    columns = ("less LlamaIndex's defaults", *TITLES, "tokens")
    return f"{figures}\n{table(columns, rows)}"


def figures_row(run: Run, found: RunScores) -> tuple[str, ...]:
    """One system's figures, of what it would give a generator."""
    given = found.stages[run.context_stage]
    cells = []
    for name in SHOWN:
        low, high = (edge * 100 for edge in given.intervals[name])
        cells.append(f"{given.means[name] * 100:.1f} ({low:.1f} - {high:.1f})")
    omega, tokens = given.means["precision_omega"] * 100, given.means["tokens"]
    ran = run.stages[: run.stages.index(run.context_stage) + 1]
    seconds = sum(found.stages[stage].means["seconds"] for stage in ran)
    return (run.header.label, *cells, f"{omega:.1f}", f"{tokens:,.0f}", f"{seconds * 1000:.1f}")


def difference(found: Difference) -> str:
    """A difference and its interval; bold where the interval leaves out nought."""
    scale, places = (1, ",.0f") if found.figure == "tokens" else (100, ".1f")
    value, low, high = (
        format(each * scale, f"+{places}") for each in (found.difference, *found.interval)
    )
    cell = f"{value} ({low} to {high})"
    return f"**{cell}**" if found.real else cell


def slug(label: str) -> str:
    """A label as a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def main() -> None:
    """Ask every system, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--questions", type=int, help="of each set, at most (default: all)")
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=CACHE / "runs", help="default: %(default)s")
    args = parser.parse_args()
    if not SHARED.is_dir():
        raise SystemExit(f"nothing to measure on: {SHARED} is not there")
    top = heading("Baselines")

    embedder = plain_embedder()
    runs: dict[str, list[Run]] = {}
    unplaced: list[str] = []
    for name in args.sets:
        folder = SHARED / name
        plan = prepare(
            Settings(), folder / "questions.jsonl", folder / "corpora", sample=args.questions
        )
        store = StoreSettings(path=args.cache / "baselines" / name)
        plan = replace(plan, settings=plan.settings.model_copy(update={"store": store}))
        corpus = Corpus(plan, embedder, args.cache)
        recorded = [*map(corpus.record, corpus.systems()), *corpus.record_ours()]
        for run in recorded:
            runs.setdefault(run.header.label, []).append(run)
            run.write(args.out / name / f"{slug(run.header.label)}.jsonl")
        say(f"{name}: {len(plan.questions)} questions, {len(plan.documents)} documents")
        unplaced += (f"{name}, {each}" for each in corpus.unplaced)

    print(top)
    doubtful = "; ".join(unplaced) or "none"
    print(
        "Percent, of characters; of what each system would give a generator. Bold differences "
        f"leave out nought. Chunks of LlamaIndex without a certain place: {doubtful}.\n"
    )
    for at, name in enumerate(args.sets):
        found = {label: each[at] for label, each in runs.items()}
        print(f"### {name}: {len(found[DEFAULT].questions)} questions\n\n{tables(found)}")
    if len(args.sets) > 1:
        every = {label: pooled(each) for label, each in runs.items()}
        print(f"### All: {len(every[DEFAULT].questions)} questions\n\n{tables(every)}")


if __name__ == "__main__":
    main()
