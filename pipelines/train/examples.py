"""Questions with what a search finds for them: what both the reader and the scorer learn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from connectors.registry import open_source
from eval.datasets import Question, read_questions
from eval.split import document_groups, split_questions
from pipelines.ingest import Progress, ingest
from rag.ids import digest
from rag.index import Index
from rag.spans import Span, SpanSet
from rag.types import Chunk, ScoredChunk

__all__ = ["TRAINING_SETS", "Asked", "ask", "evidence_in", "fold", "training_questions"]

TRAINING_SETS = ("chroma", "covidqa", "xquad")


class Asked(NamedTuple):
    """A question and the chunks a search found for it, best first."""

    question: Question
    found: list[ScoredChunk]


def training_questions(data: Path, sets: Sequence[str] = TRAINING_SETS) -> list[Question]:
    """The tuning side of each set, by the split that every evaluation uses."""
    return [
        question
        for name in sets
        for question in split_questions(read_questions(data / name / "questions.jsonl"), "tune")
    ]


def fold(questions: Sequence[Question], count: int, seed: int = 1) -> list[int]:
    """The fold of each question; questions that share documents are in the same one."""
    groups = document_groups(questions)
    return [int(digest([seed, group])[:12], 16) % count for group in groups]


def ask(
    index: Index,
    corpora: Sequence[Path],
    questions: Sequence[Question],
    top_k: int,
    progress: Progress | None = None,
) -> list[Asked]:
    """Index the corpora, and search them for every question."""
    ingest(index, [open_source(str(folder)) for folder in corpora], progress=progress)
    return [Asked(each, index.search(each.text, top_k=top_k)) for each in questions]


def evidence_in(chunk: Chunk, question: Question) -> SpanSet:
    """What of a chunk is reference, in document coordinates."""
    own = [Span(r.start, r.end) for r in question.references if r.doc == chunk.name]
    return SpanSet(own).clip(chunk.span)
