"""How scoring grows: 1,000 questions against 10,000 chunks, up to 20,000 against 200,000.

Synthetic coordinates: documents of 500 chunks, some of which overlap; a question has one to five
references in a document, and ten chunks retrieved for it, half of them near a reference. Measured
are the library (a recorded run is read and scored, with 95 % intervals) and the command `rag eval
score` on files, each in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import commands
import numpy as np
from report import heading, say, table

from eval.datasets import Question
from eval.located import Located
from eval.metrics.overlap import ChunkMap
from eval.runs import DocumentRecord, Header, QuestionRecord, Run, StageRecord, read_run
from eval.score import score_run
from eval.stats import bootstrap

SIZES = ("1000:10000", "10000:100000", "20000:200000")
RETRIEVED = 10
IN_DOCUMENT = 500  # chunks
CHUNK = 800  # characters


class Synthetic:
    """A recorded run of made-up coordinates, always the same for one size."""

    def __init__(self, questions: int, chunks: int) -> None:
        self._chance = random.Random(0)
        self._documents = [f"part/{at:05}.txt" for at in range(max(1, chunks // IN_DOCUMENT))]
        self._chunks = {doc: self._cut(chunks // len(self._documents)) for doc in self._documents}
        self._questions = questions

    def run(self) -> Run:
        """The run."""
        documents = tuple(
            DocumentRecord(doc, edges[-1][1], "made up", tuple(edges))
            for doc, edges in self._chunks.items()
        )
        records = tuple(self._record(at) for at in range(self._questions))
        return Run(Header("synthetic", "none"), documents, records)

    def _cut(self, count: int) -> list[tuple[int, int]]:
        edges, start = [], 0
        for _ in range(count):
            end = start + self._chance.randint(CHUNK // 2, CHUNK * 3 // 2)
            edges.append((start, end))
            start = end - self._chance.choice((0, 0, 100))
        return edges

    def _record(self, number: int) -> QuestionRecord:
        chance = self._chance
        doc = chance.choice(self._documents)
        edges = self._chunks[doc]
        references = []
        for _ in range(chance.randint(1, 5)):
            start = chance.randrange(edges[-1][1] - 300)
            references.append(Located(doc, start, start + chance.randint(20, 300)))
        question = Question(f"q{number:06}", "made up", tuple(references), f"corpus {number % 4}")
        near = [at for at, (_, end) in enumerate(edges) if end > references[0].start][:1]
        spans = []
        for rank in range(RETRIEVED):
            if rank % 2:
                elsewhere = chance.choice(self._documents)
                spans.append(Located(elsewhere, *chance.choice(self._chunks[elsewhere])))
            else:
                at = min(near[0] + rank // 2, len(edges) - 1)
                spans.append(Located(doc, *edges[at]))
        return QuestionRecord(question, (StageRecord("retrieve", tuple(spans), 2_000, 0.01),))


def files_of(run: Run, folder: Path) -> dict[str, Path]:
    """What `rag eval score` reads."""
    lines: dict[str, Iterator[Any]] = {
        "questions": (
            {
                "question_id": each.question.id,
                "question": each.question.text,
                "references": list(map(place, each.question.references)),
            }
            for each in run.questions
        ),
        "retrieved": (
            {
                "question_id": each.question.id,
                "spans": list(map(place, each.stage("retrieve").spans or ())),
            }
            for each in run.questions
        ),
        "chunks": map(place, run.chunks),
    }
    paths = {name: folder / f"{name}.jsonl" for name in lines}
    for name, rows in lines.items():
        paths[name].write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return paths


def place(stretch: Located) -> dict[str, Any]:
    """A span as JSON."""
    return {"doc": stretch.doc, "start": stretch.start, "end": stretch.end}


def measure(folder: Path) -> dict[str, float]:
    """Seconds of every step on a recorded run, in this process."""
    clock = Clock()
    run = read_run(folder / "run.jsonl")
    clock.lap("read")
    ChunkMap(run.chunks)
    clock.lap("chunk map")
    scores = score_run(run)
    clock.lap("score")
    values = np.array(list(scores.stages["retrieve"].values.values())).T
    clock.lap("")
    bootstrap(values)
    clock.lap("bootstrap")
    return clock.laps


class Clock:
    """Seconds since the last lap, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """End a lap."""
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now


def cells(size: str) -> Sequence[object]:
    """The row of one size."""
    questions, chunks = map(int, size.split(":"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        run = Synthetic(questions, chunks).run()
        run.write(folder / "run.jsonl")
        made = time.perf_counter() - began
        files = files_of(run, folder)
        library = commands.run([sys.executable, __file__, "--measure", name])
        laps = json.loads(library.output)
        options = [part for name, path in files.items() for part in (f"--{name}", str(path))]
        command = commands.run([commands.RAG, "eval", "score", *options, "--json"])
    if json.loads(command.output)["n"] != questions:
        raise SystemExit("the command has scored other questions")
    say(f"{size}: scored in {laps['score']:.1f} s, the command took {command.seconds:.1f} s")
    steps = (laps[name] for name in ("read", "chunk map", "score", "bootstrap"))
    return (
        f"{questions:,}",
        f"{chunks:,}",
        *(f"{seconds:.2f}" for seconds in (made, *steps)),
        f"{library.peak:,.0f}",
        f"{command.seconds:.1f}",
        f"{command.peak:,.0f}",
    )


def main() -> None:
    """Score every size, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="questions:chunks")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure)))
        return
    top = heading("Scoring speed")
    rows = [cells(size) for size in args.sizes]
    print(top)
    print(
        f"Seconds, and MiB at the peak. {RETRIEVED} retrieved chunks and 1 to 5 references a "
        "question. *Make* draws the run and writes it; *score* is `score_run`, with the chunk map "
        "and every interval in it; *command* is `rag eval score --questions --retrieved --chunks "
        "--json`, from start to end.\n"
    )
    columns = ("questions", "chunks", "make", "read", "chunk map", "score", "one bootstrap")
    print(table((*columns, "peak", "command", "its peak"), rows))


if __name__ == "__main__":
    main()
