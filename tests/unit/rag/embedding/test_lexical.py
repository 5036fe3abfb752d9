from __future__ import annotations

import pytest

from rag.embedding import LexicalEncoder, SparseVector
from rag.errors import ConfigError

TEXTS = ["Net sales rose by four percent.", "Costs fell.", "The nets were mended.", ""]


def score(query: SparseVector, document: SparseVector) -> float:
    weights = dict(zip(document.indices, document.values, strict=True))
    terms = zip(query.indices, query.values, strict=True)
    return sum(value * weights.get(index, 0.0) for index, value in terms)


def test_encoding_is_the_same_in_every_encoder() -> None:
    first, second = LexicalEncoder(), LexicalEncoder()
    assert first.encode_documents(TEXTS) == second.encode_documents(TEXTS)
    assert first.encode_query("net sales") == second.encode_query("net sales")


def test_each_text_is_encoded_alone_and_in_order() -> None:
    encoder = LexicalEncoder()
    assert encoder.encode_documents(TEXTS) == [
        encoder.encode_documents([text])[0] for text in TEXTS
    ]


def test_a_question_hits_the_documents_that_hold_its_words() -> None:
    encoder = LexicalEncoder()
    sales, costs, *_ = encoder.encode_documents(TEXTS)
    query = encoder.encode_query("sales percent")
    assert score(query, sales) > 0
    assert score(query, costs) == 0


def test_words_are_matched_by_their_stem_whatever_their_case() -> None:
    encoder = LexicalEncoder()
    (document,) = encoder.encode_documents(["Regulations were mended"])
    assert score(encoder.encode_query("REGULATION mending"), document) > 0


def test_stop_words_are_no_terms() -> None:
    assert LexicalEncoder().encode_query("the of and") == SparseVector([], [])
    assert LexicalEncoder().encode_documents(["the of and", ""]) == [SparseVector([], [])] * 2


def test_a_term_of_a_question_weighs_one_however_often_it_is_said() -> None:
    assert LexicalEncoder().encode_query("sales sales sales").values == [1.0]


def test_a_repeated_word_weighs_more_in_a_document_but_ever_less() -> None:
    encoder = LexicalEncoder()
    once, twice, thrice = (
        encoder.encode_documents([" ".join(["sales"] * many + ["filler"] * (9 - many))])[0]
        for many in (1, 2, 3)
    )
    query = encoder.encode_query("sales")
    first, second, third = (score(query, each) for each in (once, twice, thrice))
    assert first < second < third
    assert third - second < second - first


def test_the_language_decides_stems_and_stop_words() -> None:
    german = LexicalEncoder("german")
    assert german.encode_query("der die das") == SparseVector([], [])
    assert german.encode_query("H\u00e4user") == german.encode_query("Haus")
    assert german.fingerprint != LexicalEncoder().fingerprint


@pytest.mark.parametrize("language", ["klingon", "", "Englisch"])
def test_an_unknown_language_is_a_config_error(language: str) -> None:
    with pytest.raises(ConfigError, match="no lexical analysis") as caught:
        LexicalEncoder(language)
    assert repr(language) in caught.value.message
    assert "lexical.language" in caught.value.hint
