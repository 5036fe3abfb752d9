from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.answer import contained, exact_match, token_f1

words = st.sampled_from(["net", "sales", "Rose", "the", "4.2%", ",", "  ", "Äschen"])
texts = st.lists(words, max_size=7).map(" ".join)


@pytest.mark.parametrize(
    ("answer", "right", "wanted"),
    [
        ("The Fed.", ["fed"], 1.0),
        ("  a  FED ", ["the Fed!"], 1.0),
        ("the Fed of New York", ["fed"], 0.0),
        ("May 2019", ["June", "may, 2019"], 1.0),
        ("another", ["other"], 0.0),
        ("then", ["n"], 0.0),
        ("", ["fed"], 0.0),
        ("fed", [], 0.0),
    ],
)
def test_exact_match_is_of_normalised_words(answer: str, right: list[str], wanted: float) -> None:
    assert exact_match(answer, right) == wanted


@pytest.mark.parametrize(
    ("answer", "right", "wanted"),
    [
        ("in May 2019", ["May 2019"], 2 * 2 / 5),
        ("May", ["May 2019"], 2 * 1 / 3),
        ("sales sales", ["sales"], 2 * 1 / 3),
        ("sales rose sales", ["sales sales fell"], 2 * 2 / 6),
        ("it fell", ["sales rose"], 0.0),
        ("in May 2019", ["nothing of it", "2019", "May 2019"], 2 * 2 / 5),
        ("", ["May"], 0.0),
        ("May", [], 0.0),
    ],
)
def test_f1_is_of_the_words_shared_with_the_nearest_right_answer(
    answer: str, right: list[str], wanted: float
) -> None:
    assert token_f1(answer, right) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("answer", "right", "wanted"),
    [
        ("Net sales rose 4.2% in May.", ["sales rose"], 1.0),
        ("Net sales rose", ["net", "costs"], 1.0),
        ("Net sales rose", ["rose sales"], 0.0),
        ("Net salesmen rose", ["sales"], 0.0),
        ("412 arrivals", ["41"], 0.0),
        ("Net sales rose", ["The", " "], 0.0),
        ("", ["sales"], 0.0),
        ("sales", [], 0.0),
    ],
)
def test_contained_is_word_for_word(answer: str, right: list[str], wanted: float) -> None:
    assert contained(answer, right) == wanted


@given(texts, st.lists(texts, max_size=3))
def test_scores_lie_between_nought_and_one_and_follow_each_other(
    answer: str, right: list[str]
) -> None:
    match, f1 = exact_match(answer, right), token_f1(answer, right)
    assert match in (0.0, 1.0)
    assert 0 <= f1 <= 1
    assert f1 == 1.0 or not match


@given(texts, texts)
def test_f1_is_symmetric_and_one_for_the_answer_itself(one: str, other: str) -> None:
    assert token_f1(one, [other]) == pytest.approx(token_f1(other, [one]))
    assert token_f1(one, [one]) == exact_match(one, [one]) == 1.0


@given(texts, st.lists(texts, max_size=3), texts)
def test_another_right_answer_never_lowers_a_score(
    answer: str, right: list[str], more: str
) -> None:
    for metric in (exact_match, token_f1, contained):
        assert metric(answer, [*right, more]) >= metric(answer, right)
