from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from eval.compare import CONTEXT, FIGURES, Difference, compare_runs, require_comparable
from eval.datasets import Question
from eval.located import Located
from eval.runs import DocumentRecord, Header, QuestionRecord, Run, StageRecord
from eval.score import score_run
from rag.errors import ConfigError

LENGTH = 100
DOCUMENT = DocumentRecord.of("doc", "x" * LENGTH, [(0, 50), (50, 100)])


def run(recalled: Sequence[int], label: str = "one", stage: str = "select") -> Run:
    """A run whose questions have 10 characters of evidence, of which so many were kept."""
    questions = tuple(
        QuestionRecord(
            Question(f"q{number}", "?", (Located("doc", 0, 10),)),
            (
                StageRecord("retrieve", (Located("doc", 0, 50),), 50, 0.5),
                StageRecord(stage, (Located("doc", 0, kept),) if kept else (), kept, 0.25),
                StageRecord("generate", None, 5),
                StageRecord("verify", ()),
            ),
        )
        for number, kept in enumerate(recalled)
    )
    return Run(Header(label, "MiniLM"), (DOCUMENT,), questions)


def compared(one: Run, other: Run) -> dict[tuple[str, str], Difference]:
    found = compare_runs(one, other, score_run(one), score_run(other))
    return {(each.stage, each.figure): each for each in found}


WEAK = [number % 5 for number in range(40)]
STRONG = [5 + number % 4 for number in range(40)]


def test_identical_runs_do_not_differ() -> None:
    found = compared(run(WEAK), run(WEAK, "two"))
    assert {each.difference for each in found.values()} == {0.0}
    assert not [each for each in found.values() if each.real]
    assert {tuple(each.interval) for each in found.values()} == {(0.0, 0.0)}


def test_a_clearly_better_run_really_differs() -> None:
    found = compared(run(WEAK), run(STRONG))
    recall = found["select", "recall"]
    assert (recall.a, recall.b) == pytest.approx((0.2, 0.65))
    assert recall.difference == pytest.approx(0.45)
    assert recall.interval.low < recall.difference < recall.interval.high
    assert recall.real
    assert not found["retrieve", "recall"].real


def test_the_other_way_round_is_the_same_difference_negated() -> None:
    there, back = compared(run(WEAK), run(STRONG)), compared(run(STRONG), run(WEAK))
    for key, each in there.items():
        assert back[key].difference == pytest.approx(-each.difference)
        assert back[key].interval == pytest.approx((-each.interval.high, -each.interval.low))
        assert back[key].real is each.real


def test_a_difference_lost_in_the_noise_is_not_real() -> None:
    other = [kept + (1 if number % 2 else -1) for number, kept in enumerate(STRONG)]
    found = compared(run(STRONG), run(other))["select", "recall"]
    assert found.interval.low < 0 < found.interval.high
    assert not found.real


def test_the_difference_is_paired() -> None:
    """A small gain on every question is real, however much the questions differ."""
    spread = [9 * (number % 2) for number in range(20)]
    found = compared(run(spread), run([kept + 1 for kept in spread]))["select", "recall"]
    assert found.interval == pytest.approx((0.1, 0.1))
    assert found.real


def test_questions_are_paired_by_their_ids_whatever_their_order() -> None:
    one, other = run(WEAK), run(STRONG)
    turned = replace(other, questions=tuple(reversed(other.questions)))
    assert compared(one, turned) == compared(one, other)


@pytest.mark.parametrize("count", [1, 5])
def test_a_handful_of_questions_proves_nothing(count: int) -> None:
    """By chance alone, all of five differences have one sign once in sixteen times."""
    found = compared(run(WEAK[:count]), run(STRONG[:count]))
    assert not found["select", "recall"].real


def test_every_figure_of_every_stage_that_both_have_is_compared() -> None:
    found = compared(run(WEAK), run(STRONG))
    stages = ("retrieve", "select", "verify")
    assert list(found) == [(stage, figure) for stage in stages for figure in FIGURES]


def test_what_the_generators_were_given_is_compared_whichever_stage_it_came_from() -> None:
    found = compared(run(WEAK), run(STRONG, stage="rerank"))
    assert {stage for stage, _ in found} == {"retrieve", "verify", CONTEXT}
    assert found[CONTEXT, "recall"].difference == pytest.approx(0.45)
    assert found[CONTEXT, "tokens"].difference == pytest.approx(4.5)


def test_unanswerable_questions_are_left_out() -> None:
    def with_one_more(of: Run, tokens: int) -> Run:
        stages = (StageRecord("retrieve", (), tokens),)
        extra = QuestionRecord(Question("none", "?", ()), stages)
        return replace(of, questions=(extra, *of.questions))

    found = compared(with_one_more(run(WEAK), 0), with_one_more(run(STRONG), 9_999))
    assert found == compared(run(WEAK), run(STRONG))


# --- runs that cannot be compared --------------------------------------------------------------


def refused(one: Run, other: Run) -> str:
    """Why, without the hint."""
    with pytest.raises(ConfigError) as caught:
        compare_runs(one, other, score_run(one), score_run(other))
    with pytest.raises(ConfigError):
        require_comparable(other, one)
    assert caught.value.hint
    return caught.value.message


def asking(of: Run, at: int, **changed: Any) -> Run:
    """The run, with one of its questions changed."""
    questions = list(of.questions)
    record = questions[at]
    questions[at] = replace(record, question=replace(record.question, **changed))
    return replace(of, questions=tuple(questions))


ONE = run(WEAK, "ours")
OTHER = run(WEAK, "theirs")


def test_runs_of_the_same_corpus_and_questions_are_comparable() -> None:
    require_comparable(ONE, OTHER)
    require_comparable(ONE, asking(OTHER, 0, corpus="another name", answers=("?",)))
    chunked = replace(OTHER, documents=(replace(DOCUMENT, chunks=((0, 100),)),))
    require_comparable(ONE, chunked)


def test_another_document_is_named() -> None:
    more = replace(OTHER, documents=(DOCUMENT, DocumentRecord.of("more", "?", [])))
    said = refused(ONE, more)
    assert "ours and theirs cannot be compared" in said
    assert "documents: 1 only in the second, such as more" in said
    assert "documents: 1 only in the first, such as more" in refused(more, ONE)


def test_a_document_that_has_changed_is_named() -> None:
    changed = replace(OTHER, documents=(DocumentRecord.of("doc", "y" * LENGTH, []),))
    assert "documents: 1 differ, such as doc" in refused(ONE, changed)


def test_other_questions_are_named() -> None:
    fewer = replace(OTHER, questions=OTHER.questions[:-2])
    assert "questions: 2 only in the first, such as q38" in refused(ONE, fewer)
    for changed in ({"text": "What?"}, {"references": (Located("doc", 0, 11),)}):
        said = refused(ONE, asking(OTHER, 7, **changed))
        assert "questions: 1 differ, such as q7" in said
    assert "documents" not in said


def test_only_what_makes_questions_others_is_named() -> None:
    said = refused(ONE, asking(asking(OTHER, 3, answers=("?",), corpus="c"), 7, text="What?"))
    assert "questions: 1 differ, such as q7" in said


def test_another_side_of_the_split_is_named() -> None:
    tune = replace(ONE, header=replace(ONE.header, split="tune"), questions=ONE.questions[:20])
    test = replace(
        OTHER, header=replace(OTHER.header, split="test"), questions=OTHER.questions[20:]
    )
    said = refused(tune, test)
    assert "split: tune against test" in said
    assert "questions: 20 only in the first, such as q0" in said


def test_another_tokenizer_is_named() -> None:
    other = replace(OTHER, header=replace(OTHER.header, token_unit="bge"))
    assert "tokens: MiniLM against bge" in refused(ONE, other)


def test_all_that_differs_is_named_at_once() -> None:
    other = replace(
        asking(OTHER, 0, text="What?"),
        header=replace(OTHER.header, token_unit="bge"),
        documents=(),
    )
    said = refused(ONE, other)
    assert [each for each in ("documents: ", "questions: ", "tokens: ") if each not in said] == []
