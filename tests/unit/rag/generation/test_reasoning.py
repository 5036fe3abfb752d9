from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.generation.reasoning import without_reasoning


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("42 [S1]", "42 [S1]"),
        ("<think>Is it 41?\nNo.</think>\n\n42 [S1]", "42 [S1]"),
        ("Is it 41? No.</think>42", "42"),
        ("[THINK]a[/THINK]<reasoning>b</reasoning>42", "42"),
        ("<think>cut off while", ""),
        ("a <b>bold</b> claim, p<think", "a <b>bold</b> claim, p<think"),
        ("The element `<think>` opens it, `</think>` ends it [S1].",) * 2,
        ("Use <thought> tags in config, then restart.",) * 2,
    ],
)
def test_what_was_thought_is_left_out(reply: str, answer: str) -> None:
    assert without_reasoning(reply) == answer


@given(st.text(alphabet="ab <>/\n"), st.text(alphabet="ab \n", min_size=1))
def test_only_the_answer_is_left(thought: str, answer: str) -> None:
    assert without_reasoning(f"<think>{thought}</think>{answer}") == answer.strip()
