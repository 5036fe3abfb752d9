from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.grounding.sticker import read_sticker

FACTS = [
    {"text": "A bridge fell.", "quote": "the bridge fell", "source": 1},
    {"text": 'It "fell" {in} 1987.', "quote": "in 1987", "source": 2},
]
WHOLE = json.dumps({"facts": FACTS, "question": "Which bridge?"})


@given(st.integers(0, len(WHOLE)))
def test_a_sticker_that_is_cut_off_counts_as_far_as_it_goes(length: int) -> None:
    found = read_sticker(WHOLE[:length], few_shot=False)
    ends = [WHOLE.index(json.dumps(fact["text"])) + len(json.dumps(fact["text"])) for fact in FACTS]
    told = [str(fact["text"]) for fact, end in zip(FACTS, ends, strict=True) if end <= length]
    if WHOLE[:length].startswith('{"facts": ['):
        assert found is not None
        assert [fact.text for fact in found.facts] == told
    else:
        assert found is None


@pytest.mark.parametrize(
    "around", ["{}", "```json\n{}\n```", "Here it is:\n{}\nI hope {{this}} helps."]
)
def test_words_around_a_sticker_are_passed_over(around: str) -> None:
    found = read_sticker(around.format(WHOLE), few_shot=False)
    assert found is not None
    assert [fact.text for fact in found.facts] == [fact["text"] for fact in FACTS]
    assert found.question == "Which bridge?"


@pytest.mark.parametrize(
    "text",
    ["", "no", "[1]", "{", "{}", '{"facts": 3}', '{"facts": ["a"]}', '{"facts": [{"quote": "a"}]}',
     '{"facts": [3', '{"question": "?"}', "事実はありません", '{"facts": [{"text": null}]}'],
)  # fmt: skip
def test_what_is_no_sticker_is_none(text: str) -> None:
    assert read_sticker(text, few_shot=False) is None


def test_a_line_of_sentences_is_a_sticker_of_a_model_that_completes() -> None:
    found = read_sticker("A bridge fell. It fell in 1987.", few_shot=True)
    assert found is not None
    assert [fact.text for fact in found.facts] == ["A bridge fell.", "It fell in 1987."]
    assert read_sticker(" ... ", few_shot=True) is None
