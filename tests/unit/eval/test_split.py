from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.datasets import Question
from eval.located import Located
from eval.split import document_groups, split_questions
from rag.errors import UsageError


def about(number: int, *docs: str) -> Question:
    return Question(f"q{number}", "?", tuple(Located(doc, 0, 5) for doc in docs))


documents = st.lists(st.sampled_from("abcdefghijkl"), max_size=3)
question_lists = st.lists(documents, max_size=12).map(
    lambda found: [about(number, *docs) for number, docs in enumerate(found)]
)


def docs_of(questions: list[Question]) -> set[str]:
    return {each.doc for question in questions for each in question.references}


def side(questions: list[Question], name: str, **options: float) -> list[Question]:
    """The questions of one side, none where it is empty."""
    try:
        return split_questions(questions, name, **options)  # type: ignore[arg-type]
    except UsageError:
        return []


@given(question_lists, st.integers(0, 99), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_no_document_is_on_both_sides_and_no_question_on_none(
    questions: list[Question], seed: int, share: float
) -> None:
    tune = side(questions, "tune", seed=seed, tune_share=share)
    test = side(questions, "test", seed=seed, tune_share=share)
    assert not docs_of(tune) & docs_of(test)
    assert sorted([*tune, *test], key=questions.index) == questions
    assert [each for each in questions if each in tune] == tune
    assert [each for each in questions if each in test] == test


@given(question_lists)
def test_questions_are_in_one_group_exactly_where_documents_lead_from_one_to_the_other(
    questions: list[Question],
) -> None:
    reached = [{each.doc for each in question.references} for question in questions]
    for _ in questions:  # the brute force: spread until nothing moves
        reached = [
            one.union(*(other for other in reached if one & other)) if one else one
            for one in reached
        ]
    groups = document_groups(questions)
    for at, one in enumerate(reached):
        for to, other in enumerate(reached):
            assert (groups[at] == groups[to]) == (at == to or bool(one & other))


@given(question_lists, st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order(questions: list[Question], chance: object) -> None:
    shuffled = list(questions)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    for name in ("tune", "test"):
        wanted = {each.id for each in side(questions, name)}
        assert {each.id for each in side(shuffled, name)} == wanted


def test_documents_that_one_question_ties_stay_together() -> None:
    questions = [about(1, "d", "c"), about(2, "a"), about(3, "c", "b"), about(4, "b"), about(5)]
    assert document_groups(questions) == ["b", "a", "b", "b", "question q5"]


MANY = [about(number, f"doc {number // 3}") for number in range(300)]


def test_the_split_is_always_the_same_and_near_the_share() -> None:
    tune = split_questions(MANY, "tune")
    assert split_questions(MANY, "tune") == tune
    assert 100 < len(tune) < 200
    assert 10 < len(split_questions(MANY, "tune", tune_share=0.1)) < 60
    assert split_questions(MANY, "tune", seed=1) != tune
    assert split_questions(MANY, "all") == MANY


def test_a_larger_share_only_adds_to_the_tuning_side() -> None:
    ids = [
        {each.id for each in split_questions(MANY, "tune", tune_share=share)}
        for share in (0.2, 0.5, 0.8)
    ]
    assert ids[0] < ids[1] < ids[2]


def test_questions_about_further_documents_move_no_other() -> None:
    more = [*MANY, *(about(number, f"new {number}") for number in range(300, 350))]
    for name in ("tune", "test"):
        before = {each.id for each in split_questions(MANY, name)}  # type: ignore[arg-type]
        after = {each.id for each in split_questions(more, name)}  # type: ignore[arg-type]
        assert after & {each.id for each in MANY} == before


def test_an_empty_side_is_an_error_that_says_how_few_groups_there_are() -> None:
    questions = [about(1, "a", "b"), about(2, "b"), about(3, "a")]
    empty = "test" if side(questions, "tune") else "tune"
    with pytest.raises(UsageError, match=f"the {empty} split is empty") as caught:
        split_questions(questions, empty)  # type: ignore[arg-type]
    assert " 1 groups of documents" in caught.value.message
    assert "--split all" in caught.value.hint


def test_without_questions_every_side_but_all_is_empty() -> None:
    assert split_questions([], "all") == []
    with pytest.raises(UsageError):
        split_questions([], "tune")
