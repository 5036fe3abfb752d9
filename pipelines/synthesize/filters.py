"""Filters: which questions are worth asking. Every rejection has one cause, of `draft.CAUSES`.

They follow the published pipeline (Smith and Troynikov, "Evaluating Chunking Strategies for
Retrieval", Chroma 2024: a floor for the similarity of question and excerpts, a ceiling for that of
two questions), with bounds for our own embedder, and add what it lacks: leakage, vagueness,
ambiguity against the whole corpus, and a check of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from pipelines.synthesize.draft import Draft
from pipelines.synthesize.grammar import one_line, vague
from rag.evidence.units import Unit, units_of
from rag.grounding.support import content_words
from rag.index import Index
from rag.settings import SynthesisSettings
from rag.spans import SpanSet
from rag.types import Context

__all__ = ["Filters"]

_FEWEST_WORDS, _MOST_WORDS = 3, 60  # of a question
_RIVALS = 10  # chunks in which another answer is looked for
_NEARLY = 0.03  # cosine by which another sentence may be farther from the question, and rival it
_SAME = 0.95  # cosine from which another sentence says what an excerpt says
_SHORT_ANSWER = 6  # words; a longer answer may share words with its question

_ASKS = re.compile(
    r"\b(?:what|which|who|whom|whose|when|where|why|how)\b|(?:^|,\s)(?:is|are|was|were|do|does|did|"
    r"can|could|should|must|has|have|had|will|would)\b",
    re.IGNORECASE,
)
_PREAMBLE = re.compile(
    r"^(?:sure|here (?:is|are)|question:|certainly[,!]|of course)|</?\w|[\n{}]", re.I
)


class Filters:
    """Judges drafts; it remembers the questions that it let through.

    Args:
        index: of the documents that are asked about: rivals of a reference are looked for in it.
        settings: the bounds.
    """

    def __init__(self, index: Index, settings: SynthesisSettings) -> None:
        self._index = index
        self._settings = settings
        self._texts: set[str] = set()
        self._vectors = np.zeros((0, index.embedder.dimension), dtype=np.float32)

    def cause(self, draft: Draft) -> str:
        """Why the question is to be rejected, or ""."""
        checks = (
            ("repeated text", self._stands_twice),
            ("not a question", self._is_no_question),
            ("vague", lambda each: vague(each.question)),
            ("leakage", self._leaks),
            ("unlike its evidence", self._is_unlike),
            ("duplicate", self._is_duplicate),
            ("ambiguous", self._has_rival),  # last: it searches
        )
        return next((cause for cause, fails in checks if fails(draft)), "")

    def admit(self, questions: Iterable[str]) -> None:
        """Remember these questions: none like them is let through again."""
        new = list(questions)
        if new:
            self._texts.update(map(_normal, new))
            vectors = self._index.sentences.embed_queries(new)
            self._vectors = np.concatenate((self._vectors, vectors))

    def _stands_twice(self, draft: Draft) -> bool:
        """Whether the document says an excerpt again, in the same words: which one is meant?"""
        folded = draft.task.window.reading.folded
        return any(folded.count(one_line(each.lower())) > 1 for each in draft.excerpts)

    def _is_no_question(self, draft: Draft) -> bool:
        words = draft.question.split()
        return not (
            draft.question.endswith("?")
            and _FEWEST_WORDS <= len(words) <= _MOST_WORDS
            and _ASKS.search(draft.question)
            and not _PREAMBLE.search(draft.question)
        )

    def _leaks(self, draft: Draft) -> bool:
        """Whether it holds its answer, or nearly all words of an excerpt."""
        asked = content_words(draft.question)
        answer = content_words(draft.answer)
        if len(draft.answer.split()) <= _SHORT_ANSWER and answer and answer <= asked:
            return True
        for excerpt in draft.excerpts:
            told = content_words(excerpt)
            if told and len(told & asked) > self._settings.max_leakage * len(told):
                return True
        return False

    def _is_unlike(self, draft: Draft) -> bool:
        """Whether an excerpt is farther from the question than the settings allow."""
        return min(self._cosines(draft, draft.excerpts)) < self._settings.min_similarity

    def _has_rival(self, draft: Draft) -> bool:
        """Whether a sentence elsewhere is as near to the question, in meaning and in words.

        Or says what an excerpt says: who retrieves that one would be told that he is wrong.
        """
        rivals = self._rivals(draft)
        if not rivals:
            return False
        texts = [one_line(unit.text) for unit in rivals]
        asked = content_words(draft.question)
        own = max(_share(asked, excerpt) for excerpt in draft.excerpts)
        near = max(self._cosines(draft, draft.excerpts)) - _NEARLY
        cosines = self._cosines(draft, texts)
        for text, cosine in zip(texts, cosines, strict=True):
            if cosine >= near and _share(asked, text) >= own:
                return True
        vectors = self._index.sentences.embed_documents([*texts, *draft.excerpts])
        alike = vectors[: len(texts)] @ vectors[len(texts) :].T
        return bool(alike.max() >= _SAME)

    def _rivals(self, draft: Draft) -> list[Unit]:
        """The sentences that a search finds, but those that touch a reference."""
        context = Context.of(self._index.search(draft.question, top_k=_RIVALS))
        own = draft.task.window.document.id
        return [
            unit
            for unit in units_of(context)
            if context.passages[unit.passage].chunk.doc_id != own
            or not SpanSet([unit.span]) & draft.references
        ]

    def _is_duplicate(self, draft: Draft) -> bool:
        if _normal(draft.question) in self._texts:
            return True
        vector = self._index.sentences.embed_queries([draft.question])[0]
        likeness = self._vectors @ vector
        return bool(likeness.size and likeness.max() > self._settings.max_likeness)

    def _cosines(self, draft: Draft, texts: Sequence[str]) -> list[float]:
        sentences = self._index.sentences
        vector = sentences.embed_queries([draft.question])[0]
        return [float(each) for each in sentences.embed_documents(list(texts)) @ vector]


def _share(asked: set[str], text: str) -> float:
    """The share of the question's words that a text holds."""
    return len(asked & content_words(text)) / max(len(asked), 1)


def _normal(question: str) -> str:
    return " ".join(re.findall(r"\w+", question.lower()))
