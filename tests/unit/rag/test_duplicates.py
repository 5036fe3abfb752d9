from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.duplicates import marks_of, standing
from rag.spans import Span

WORDS = [f"word{chr(97 + a)}{chr(97 + b)}" for a in range(20) for b in range(20)]
LETTERS = st.characters(categories=["L", "N"])


def text_of(seed: int, words: int = 400) -> str:
    return " ".join(Random(seed).choices(WORDS, k=words))


def marks(text: str, title: str = "") -> tuple[str, ...]:
    return marks_of(title, text, near=True)


@given(st.lists(st.text(LETTERS, min_size=1), min_size=50, max_size=60), st.data())
def test_white_space_does_not_count(words: list[str], data: st.DataObject) -> None:
    space = st.text(" \n\t\r\u00a0", min_size=1, max_size=3)
    one, other = ("".join(word + data.draw(space) for word in words) for _ in range(2))
    assert marks(one) == marks(other)
    assert standing(one, other, 1.0) == Span(0, len(other)).trim_in(other)


def test_texts_longer_than_a_slice_are_digested_alike_wherever_the_slices_fall() -> None:
    words = text_of(1, words=300_000)
    spread = " \n " + words.replace(" ", "  ")
    assert marks(words) == marks(spread)
    assert standing(words, spread, 1.0) == Span(3, len(spread))
    assert standing(words, words[:-1], 1.0) is None
    assert len(marks(words)) == 1, "too long to be a near copy"


def test_a_copy_without_heading_or_footer_stands_in_its_original() -> None:
    body = text_of(2)
    original = f"From the wire.  {body} All rights reserved."
    assert {*marks(body)} & {*marks(original)}
    found = standing(body, original, 0.9)
    assert found is not None
    assert found.text_in(original) == body
    assert standing(body, original, 1.0) is None, "the same words only"
    assert standing(original, body, 0.9) is None, "it says more"


def test_a_quotation_is_no_copy() -> None:
    assert standing(text_of(2, 400), f"{text_of(2, 400)} {text_of(3, 60)}", 0.9) is None
    assert standing(text_of(2, 400), f"{text_of(2, 400)} {text_of(3, 40)}", 0.9) is not None


def test_nearly_every_near_copy_is_found_by_its_marks() -> None:
    missed = 0
    for seed in range(200):
        missed += not {*marks(text_of(seed))} & {*marks(f"{text_of(seed)} {text_of(-seed, 28)}")}
    assert missed <= 2
    strangers = sum(bool({*marks(text_of(n))} & {*marks(text_of(n + 1))}) for n in range(200))
    assert strangers == 0


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ("1,234", "(1,234)"),
        ("5", "-5"),
        ("p<0.05", "p>0.05"),
        ("$500", "€500"),
        ("5%", "5"),
        ("not safe", "safe"),
        ("isn’t", "is"),  # noqa: RUF001
        ("nicht", "auch"),
        ("Acme acquired Apex", "Apex acquired Acme"),
        ("10 in 2021 and 20 in 2022", "20 in 2021 and 10 in 2022"),
        ("approved", "rejected"),
        ("March", "April"),
        ("US", "us"),
        ("a == b", "a != b"),
    ],
)
def test_whatever_differs_inside_makes_another_document(said: str, other: str) -> None:
    one, two = (f"{text_of(4, 200)} {each} {text_of(5, 200)}" for each in (said, other))
    assert standing(one, two, 0.5) is None
    assert standing(two, one, 0.5) is None


def test_a_title_is_part_of_what_is_the_same() -> None:
    text = text_of(6)
    assert marks(text, "Acme Corp")[0] != marks(text, "Apex Inc")[0]
    assert marks(text, "Acme  Corp")[0] == marks(text, "Acme Corp")[0]


def test_short_texts_are_nobodys_copies() -> None:
    assert marks(text_of(7, 49)) == ()
    assert standing(text_of(7, 49), text_of(7, 49), 1.0) is None
    assert standing(text_of(7, 50), text_of(7, 50), 1.0) is not None


@given(st.text(), st.text(), st.integers(0, 80))
def test_what_stands_there_stands_there(before: str, after: str, words: int) -> None:
    text = text_of(8, words)
    original = f"{before} {text} {after}"
    if (found := standing(text, original, 0.5)) is not None:
        assert found.text_in(original).split() == text.split()
    else:
        assert words < 50 or len(text.split()) < 0.5 * len(original.split())
