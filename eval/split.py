"""Keeping tuning and testing apart: questions are split by the documents they are about.

Two questions that share a document are always on the same side, so nothing learned from a
document on one side can help on the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from eval.datasets import Question
from rag.errors import UsageError
from rag.ids import digest

__all__ = ["Side", "document_groups", "on_tuning_side", "split_questions"]

Side = Literal["all", "tune", "test"]


def document_groups(questions: Sequence[Question]) -> list[str]:
    """Of each question, the name of its group: the first of all documents it hangs together with.

    A question about several documents ties them into one group; one without references is a
    group of its own.
    """
    above: dict[str, str] = {}

    def root(doc: str) -> str:
        above.setdefault(doc, doc)
        while above[doc] != doc:
            above[doc] = above[above[doc]]
            doc = above[doc]
        return doc

    for question in questions:
        for reference in question.references[1:]:
            one, other = sorted((root(question.references[0].doc), root(reference.doc)))
            above[other] = one
    return [
        root(question.references[0].doc) if question.references else f"question {question.id}"
        for question in questions
    ]


def split_questions(
    questions: Sequence[Question], side: Side, *, tune_share: float = 0.5, seed: int = 0
) -> list[Question]:
    """The questions of one side, in order.

    A group goes to a side by a digest of its name, so new documents move no other, unless a new
    question ties groups together.

    Args:
        questions: of one corpus.
        side: "all" leaves nothing out.
        tune_share: the share of groups that are tuned on.
        seed: another seed is another split.

    Raises:
        UsageError: that side is empty: the questions are about too few documents.
    """
    if side == "all":
        return list(questions)
    groups = document_groups(questions)
    chosen = [
        question
        for question, group in zip(questions, groups, strict=True)
        if on_tuning_side(group, tune_share, seed) == (side == "tune")
    ]
    if not chosen:
        raise UsageError(
            f"the {side} split is empty: the questions hang together in {len(set(groups))} groups "
            "of documents",
            hint="use --split all, or questions about more documents",
        )
    return chosen


def on_tuning_side(name: str, share: float = 0.5, seed: int = 0) -> bool:
    """Whether a document (or a group, by its first) is tuned on; its name and the seed decide."""
    return int(digest([seed, name])[:12], 16) / 16**12 < share
