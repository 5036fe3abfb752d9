from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.located import Located
from eval.metrics.grounding import citation_precision, citation_recall, unsupported_numbers

REFERENCES = [Located("a", 10, 20), Located("b", 0, 5)]

stretches = st.builds(
    lambda doc, start, length: Located(doc, start, start + length),
    st.sampled_from("ab"),
    st.integers(0, 15),
    st.integers(1, 6),
)


def test_citations_are_right_where_they_touch_a_reference() -> None:
    cited = [Located("a", 19, 40), Located("a", 20, 30), Located("b", 4, 6), Located("c", 10, 20)]
    assert citation_precision(REFERENCES, cited) == 2 / 4
    assert citation_recall(REFERENCES, cited) == 1.0


def test_references_are_recalled_one_by_one() -> None:
    assert citation_recall(REFERENCES, [Located("a", 11, 12), Located("a", 15, 16)]) == 1 / 2
    assert citation_precision(REFERENCES, [Located("a", 11, 12), Located("a", 15, 16)]) == 1.0


def test_nothing_cited_and_nothing_to_cite_are_nought() -> None:
    assert citation_precision(REFERENCES, []) == citation_recall(REFERENCES, []) == 0.0
    assert citation_precision([], REFERENCES) == citation_recall([], REFERENCES) == 0.0


@given(st.lists(stretches, max_size=4), st.lists(stretches, max_size=4), stretches)
def test_citing_more_never_lowers_citation_recall(
    references: list[Located], cited: list[Located], more: Located
) -> None:
    before = citation_recall(references, cited)
    assert 0 <= before <= citation_recall(references, [*cited, more]) <= 1
    assert 0 <= citation_precision(references, cited) <= 1


@pytest.mark.parametrize(
    ("answer", "sources", "wanted"),
    [
        ("It fell 12% to 1,204 [1].", ["1204 units"], ["12"]),
        ("It fell to 1204.", ["1,204 units"], []),
        ("1,234,567 in all", ["1234567"], []),
        ("1234567 in all", ["of 1,234,567 people"], []),
        ("It rose 4.2%.", ["by 4.25%"], ["4.2"]),
        ("It rose 42.", ["by 4.2"], ["42"]),
        ("It rose 4.", ["by 4.2"], ["4"]),
        ("In 2019 and 2019.", [], ["2019", "2019"]),
        ("See [S2] and [13].", [], []),
        ("See [page 13].", [], ["13"]),
        ("May 5 and 7", ["the 5th", "and the 7th"], []),
        ("no number at all", [], []),
        ("It was 3.", ["in 2003"], ["3"]),
    ],
)
def test_numbers_of_an_answer_are_looked_for_in_its_sources(
    answer: str, sources: list[str], wanted: list[str]
) -> None:
    assert unsupported_numbers(answer, sources) == wanted


@given(st.text(alphabet="0123456789,. ab[]S", max_size=30))
def test_what_a_source_says_itself_is_supported(text: str) -> None:
    marks_apart = text.replace("[", "(")
    assert unsupported_numbers(marks_apart, [marks_apart]) == []
