from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.duplicates import is_copy, marks_of

WORDS = [f"word{chr(97 + a)}{chr(97 + b)}" for a in range(20) for b in range(20)]


def text_of(seed: int, words: int = 400) -> str:
    return " ".join(Random(seed).choices(WORDS, k=words))


def shares_a_mark(one: str, other: str) -> bool:
    return bool({*marks_of(one, near=True)} & {*marks_of(other, near=True)})


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=1), st.data())
def test_white_space_does_not_count(words: list[str], data: st.DataObject) -> None:
    space = st.text(" \n\t\r\u00a0", min_size=1, max_size=3)
    one, other = ("".join(word + data.draw(space) for word in words).strip() for _ in range(2))
    assert marks_of(one, near=True)[0] == marks_of(other, near=True)[0]
    assert is_copy(one, other, 1.0)


def test_texts_longer_than_a_slice_are_digested_alike_wherever_the_slices_fall() -> None:
    words = text_of(1, words=300_000)
    assert is_copy(words, " \n " + words.replace(" ", "  "), 1.0)
    assert not is_copy(words, words[:-1], 1.0)
    assert not is_copy("a" * 3_000_000, "a" * 3_000_001, 1.0)


def test_a_changed_header_makes_a_near_copy_that_is_found_by_its_marks() -> None:
    body = text_of(2)
    one, other = f"From the wire. {body}", f"{body} {WORDS[0]}"
    assert shares_a_mark(body, other)
    assert is_copy(other, body, 0.9)
    assert is_copy(body, one, 0.9)
    assert not is_copy(other, body, 1.0), "exact copies only"


def test_nearly_every_near_copy_is_found_by_its_marks() -> None:
    missed = 0
    for seed in range(200):
        words = text_of(seed).split()
        for at in Random(seed).sample(range(len(words)), 3):  # similarity about 0.93
            words[at] = WORDS[0]
        missed += not shares_a_mark(text_of(seed), " ".join(words))
    assert missed <= 2
    strangers = sum(shares_a_mark(text_of(seed), text_of(seed + 1)) for seed in range(200))
    assert strangers == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda text: f"{text} Sales were 4.1 million.",
        lambda text: f"{text} It did not.",
        lambda text: text.replace("2022", "2023"),
        lambda text: f"{text} {text_of(9, 60)}",
    ],
    ids=["a new number", "a negation", "another year", "a new paragraph"],
)
def test_what_says_something_new_is_no_copy(change: object) -> None:
    original = f"In 2022 {text_of(3)}"
    changed = change(original)  # type: ignore[operator]
    assert not is_copy(changed, original, 0.8)


def test_a_number_said_more_often_is_a_new_one() -> None:
    one, other = (
        " ".join(f"Report {number} in its version has a row {row}." for row in range(60))
        for number in (10, 50)
    )
    assert not is_copy(one, other, 0.8)


def test_what_says_less_is_a_copy_but_its_original_is_none_of_it() -> None:
    less = text_of(4)
    more = f"{less} It did not rise by 4 %."
    assert is_copy(less, more, 0.9)
    assert not is_copy(more, less, 0.9)


def test_short_texts_are_copies_only_where_they_are_the_same() -> None:
    one = "Apex buys Acme in a deal that closes this quarter"
    assert len(marks_of(one, near=True)) == 1
    assert is_copy(one, f" {one}", 0.9)
    assert not is_copy(one, f"{one} today", 0.5)


@given(st.text(), st.text())
def test_any_texts_can_be_compared(one: str, other: str) -> None:
    assert is_copy(one, one, 0.9)
    if is_copy(one, other, 0.9):
        assert one.split() == other.split() or len(one.split()) >= 20
