import pytest

from rag.embedding.lexical import LexicalEncoder
from rag.retrieval.naming import held_share, naming

NAMES = {
    "a": "3M_2018_10K",
    "b": "3M_2022_10K",
    "c": "BESTBUY_2024Q2_10Q",
    "d": "AMCOR_2022_8K",
    "e": "how-attackers-use-stolen-cookies-to-get-past-passwords",
}


@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("What is 3M's FY2018 capital expenditure?", "a"),
        ("Is 3M capital-intensive based on FY2022 data?", "b"),
        ("How many stores did Best Buy have in Q2 of FY2024?", "c"),
        ("What was the agenda of AMCOR's 8K of 1 July 2022?", "d"),
    ],
)
def test_a_question_names_a_document(question: str, best: str) -> None:
    found = naming(question, NAMES, LexicalEncoder())
    assert max(found.mass, key=lambda doc: found.mass[doc]) == best
    assert found.share >= 0.5


def test_a_word_of_a_long_name_names_nothing() -> None:
    assert 0 < naming("Who uses stolen cookies?", NAMES, LexicalEncoder()).share < 0.5


def test_one_word_names_nothing() -> None:
    found = naming("How did sales develop?", {"a": "sales", "b": "costs"}, LexicalEncoder())
    assert found.mass["a"] > 0
    assert found.share == 0


def test_no_names_and_no_terms() -> None:
    lexical = LexicalEncoder()
    assert naming("Who?", {}, lexical) == ({}, 0.0)
    assert naming("Why is the sky blue?", NAMES, lexical).share == 0
    assert held_share("Who?", [], lexical) == 0


def test_the_share_that_a_text_holds() -> None:
    texts = ["net sales fell", "net sales of umbrellas rose"]
    lexical = LexicalEncoder()
    assert held_share("net sales", texts, lexical) == pytest.approx(1)
    assert 0 < held_share("sales of umbrellas", texts, lexical) < 0.5
