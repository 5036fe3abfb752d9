"""Scores: a recorded run, or anybody's retrieval, against its references.

Pure arithmetic on coordinates. What needs the documents' text (figures per token, unsupported
numbers) is left out where the text is not at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from eval.datasets import Question, Texts
from eval.located import Located
from eval.metrics.answer import contained, exact_match, token_f1
from eval.metrics.cost import Cost, cost
from eval.metrics.grounding import (
    citation_precision,
    citation_recall,
    unmarked,
    unsupported_numbers,
)
from eval.metrics.overlap import ChunkMap, Compat, overlap
from eval.metrics.ranking import ndcg, recall_at, reciprocal_rank
from eval.runs import QuestionRecord, Run
from eval.stats import Interval, bootstrap
from eval.units import TokenRuler

__all__ = ["METRICS", "RunScores", "Scores", "score_retrieval", "score_run"]

METRICS = ("iou", "precision", "recall", "precision_omega")
RECALL_AT = (1, 5, 10)


@dataclass(frozen=True)
class Scores:
    """Some figures of some questions, their means, and 95 % intervals of the means.

    Args:
        ids: the questions.
        values: figure name to one value a question, shape (questions,).
    """

    ids: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]] = field(repr=False)

    @cached_property
    def means(self) -> dict[str, float]:
        """Of each figure; 0 of no question."""
        means = self._columns.mean(axis=0) if len(self.ids) else np.zeros(len(self.values))
        return dict(zip(self.values, means.tolist(), strict=True))

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Of each mean. Resampling takes longer than scoring, so it waits until it is asked for."""
        return dict(zip(self.values, bootstrap(self._columns), strict=True))

    @property
    def _columns(self) -> NDArray[np.float64]:
        """Shape (questions, figures)."""
        return np.array(list(self.values.values())).reshape(len(self.values), len(self.ids)).T

    def only(self, ids: frozenset[str]) -> Scores:
        """The same figures of some of the questions."""
        kept = np.array([each in ids for each in self.ids], dtype=bool)
        return Scores(
            tuple(each for each in self.ids if each in ids),
            {name: values[kept] for name, values in self.values.items()},
        )


@dataclass(frozen=True)
class RunScores:
    """All figures of a run.

    Args:
        n: the questions that have references; `unanswerable` have none, and take no part in
            `stages`, `ranking` and `grounding`.
        abstained: how many of all questions got no answer.
        stages: stage name to METRICS, `tokens` and `seconds`, and where the text was at hand
            METRICS again as `token_iou` and so on.
        ranking: of the first stage: recall_at_1 and so on, mrr, ndcg_at_10.
        answer: exact_match, token_f1, contained; of questions that have a right answer.
        grounding: citation_precision, citation_recall, the share of citations that were verified,
            unsupported_numbers, and agreed where answers were grounded; of those answered.
        cost: quantity to its summary over all questions.
        by_corpus: corpus to its stages, as in `stages`.
        degraded: stage name to how many questions went on without it.
        rounds: stage of SIFT to `agreed`, and to token_f1 and exact_match `_from_sticker` and
            `_from_both`; of the questions that came so far and have a right answer.
    """

    n: int
    unanswerable: int
    abstained: int
    stages: dict[str, Scores]
    ranking: Scores
    answer: Scores
    grounding: Scores
    cost: dict[str, Cost]
    by_corpus: dict[str, dict[str, Scores]]
    degraded: dict[str, int]
    rounds: dict[str, Scores] = field(default_factory=dict)


def score_retrieval(
    questions: Sequence[Question],
    retrieved: Mapping[str, Sequence[Located]],
    chunks: ChunkMap | None = None,
    *,
    ruler: TokenRuler | None = None,
    compat: Compat | None = None,
) -> Scores:
    """METRICS of each question that has references.

    Args:
        questions: with their references.
        retrieved: question id to what was retrieved for it; nothing, where the id is missing.
        chunks: the whole corpus, in the unit of `ruler`; without it there is no precision_omega.
        ruler: counts tokens in place of characters.
        compat: "chroma" for the arithmetic of the published code.
    """
    asked = [question for question in questions if question.references]
    rows: list[tuple[float, ...]] = []
    for question in asked:
        wanted: Sequence[Located] = question.references
        had = retrieved.get(question.id, ())
        if ruler is not None:
            wanted, had = ruler.measure(wanted), ruler.measure(had)
        found = overlap(wanted, had, compat)
        row = (found.iou, found.precision, found.recall)
        rows.append((*row, chunks.precision_omega(wanted, compat)) if chunks else row)
    names = METRICS if chunks else METRICS[:3]
    columns = np.array(rows, dtype=np.float64).reshape(len(rows), len(names)).T
    ids = tuple(question.id for question in asked)
    return Scores(ids, dict(zip(names, columns, strict=True)))


def score_run(
    run: Run,
    *,
    ruler: TokenRuler | None = None,
    texts: Texts | None = None,
    compat: Compat | None = None,
) -> RunScores:
    """Every figure of a run.

    Args:
        run: a recorded run.
        ruler: adds the figures per token.
        texts: adds unsupported numbers.
        compat: as `score_retrieval`.
    """
    chunks = ChunkMap(run.chunks)
    measured = ChunkMap(ruler.measure(run.chunks)) if ruler else None
    asked = [each for each in run.questions if each.question.references]
    stages = {
        name: _stage_scores(asked, name, chunks, ruler, measured, compat) for name in run.narrowing
    }
    corpora = sorted({each.question.corpus for each in asked})
    members = {
        corpus: frozenset(each.question.id for each in asked if each.question.corpus == corpus)
        for corpus in corpora
    }
    return RunScores(
        n=len(asked),
        unanswerable=len(run.questions) - len(asked),
        abstained=sum(each.abstained for each in run.questions),
        stages=stages,
        ranking=_ranking(asked, run.stages[0], chunks) if run.stages else Scores((), {}),
        answer=_answer(run.questions),
        grounding=_grounding(asked, texts),
        cost=_cost(run.questions),
        by_corpus={
            corpus: {name: scores.only(ids) for name, scores in stages.items()}
            for corpus, ids in members.items()
        },
        degraded={
            name: sum(bool(each.stage(name).degraded) for each in run.questions)
            for name in run.stages
            if any(each.stage(name).degraded for each in run.questions)
        },
        rounds=_rounds(run.questions),
    )


def _stage_scores(
    asked: Sequence[QuestionRecord],
    stage: str,
    chunks: ChunkMap,
    ruler: TokenRuler | None,
    measured: ChunkMap | None,
    compat: Compat | None,
) -> Scores:
    questions = [each.question for each in asked]
    passed = {each.question.id: each.stage(stage).spans or () for each in asked}
    found = score_retrieval(questions, passed, chunks, compat=compat)
    values = dict(found.values)
    if ruler is not None:
        per_token = score_retrieval(questions, passed, measured, ruler=ruler, compat=compat)
        values |= {f"token_{name}": column for name, column in per_token.values.items()}
    for quantity in ("tokens", "seconds"):
        values[quantity] = np.array(
            [getattr(each.stage(stage), quantity) for each in asked], dtype=np.float64
        )
    return Scores(found.ids, values)


def _ranking(asked: Sequence[QuestionRecord], stage: str, chunks: ChunkMap) -> Scores:
    ranked = [(each.question.references, each.stage(stage).spans or ()) for each in asked]
    figures = {
        f"recall_at_{k}": [recall_at(wanted, spans, k) for wanted, spans in ranked]
        for k in RECALL_AT
    }
    figures["mrr"] = [reciprocal_rank(wanted, spans) for wanted, spans in ranked]
    figures["ndcg_at_10"] = [ndcg(wanted, spans, chunks, 10) for wanted, spans in ranked]
    return _scores([each.question.id for each in asked], figures)


def _answer(records: Sequence[QuestionRecord]) -> Scores:
    asked = [each for each in records if each.question.answers]
    given = [
        ("" if each.abstained else unmarked(each.answer), each.question.answers) for each in asked
    ]
    return _scores(
        [each.question.id for each in asked],
        {
            "exact_match": [exact_match(answer, right) for answer, right in given],
            "token_f1": [token_f1(answer, right) for answer, right in given],
            "contained": [contained(answer, right) for answer, right in given],
        },
    )


def _grounding(asked: Sequence[QuestionRecord], texts: Texts | None) -> Scores:
    answered = [each for each in asked if each.answer and not each.abstained]
    cited = [
        (each.question.references, [citing.at for citing in each.citations]) for each in answered
    ]
    figures = {
        "citation_precision": [citation_precision(*pair) for pair in cited],
        "citation_recall": [citation_recall(*pair) for pair in cited],
        "verified": [
            sum(citing.verified for citing in each.citations) / max(len(each.citations), 1)
            for each in answered
        ],
    }
    if any(each.agreed is not None for each in answered):
        figures["agreed"] = [float(bool(each.agreed)) for each in answered]
    if texts is not None:
        figures["unsupported_numbers"] = [
            float(len(unsupported_numbers(each.answer, _sources(each, texts)))) for each in answered
        ]
    return _scores([each.question.id for each in answered], figures)


def _rounds(records: Sequence[QuestionRecord]) -> dict[str, Scores]:
    stages = dict.fromkeys(each.stage for record in records for each in record.rounds)
    scores: dict[str, Scores] = {}
    for stage in stages:
        reached = [
            (record.question, each)
            for record in records
            if record.question.answers
            for each in record.rounds
            if each.stage == stage
        ]
        figures = {"agreed": [float(each.agreed) for _, each in reached]}
        for name, score in (("token_f1", token_f1), ("exact_match", exact_match)):
            for source in ("from_sticker", "from_both"):
                figures[f"{name}_{source}"] = [
                    score(unmarked(getattr(each, source)), question.answers)
                    for question, each in reached
                ]
        if reached:
            scores[stage] = _scores([question.id for question, _ in reached], figures)
    return scores


def _sources(record: QuestionRecord, texts: Texts) -> list[str]:
    """What the writer of an answer had before it: the question and the last spans let through."""
    spans: Sequence[Located] = ()
    for stage in record.stages:
        if stage.spans is None:
            break
        spans = stage.spans
    return [record.question.text, *(each.span.text_in(texts[each.doc]) for each in spans)]


def _cost(records: Sequence[QuestionRecord]) -> dict[str, Cost]:
    return {
        "seconds": cost([sum(stage.seconds for stage in each.stages) for each in records]),
        "llm_calls": cost([sum(stage.llm_calls for stage in each.stages) for each in records]),
        "llm_tokens": cost([sum(stage.llm_tokens for stage in each.stages) for each in records]),
        "llm_cached": cost([sum(stage.llm_cached for stage in each.stages) for each in records]),
    }


def _scores(ids: Sequence[str], figures: Mapping[str, Sequence[float]]) -> Scores:
    return Scores(
        tuple(ids), {name: np.asarray(values, np.float64) for name, values in figures.items()}
    )
