from __future__ import annotations

import pytest

from rag.chunking import TokenChunker
from rag.tokens import TokenCounter
from rag.types import Document

WORDS = "one two three four five six seven eight nine ten"


def texts(counter: TokenCounter, text: str, size: int, overlap: int = 0) -> list[str]:
    document = Document("file", "k", "k", "k", text)
    return [chunk.text for chunk in TokenChunker(counter, size, overlap).split(document)]


def test_windows_have_exactly_the_size_where_words_are_one_token(counter: TokenCounter) -> None:
    assert texts(counter, WORDS, 4) == [
        "one two three four",
        "five six seven eight",
        "nine ten",
    ]


def test_windows_repeat_the_overlap(counter: TokenCounter) -> None:
    assert texts(counter, WORDS, 4, 1) == [
        "one two three four",
        "four five six seven",
        "seven eight nine ten",
    ]


@pytest.mark.parametrize("overlap", [1, 2, 3])
def test_a_window_is_never_wholly_inside_the_one_before(
    counter: TokenCounter, overlap: int
) -> None:
    long_word = "x-y-z"
    assert counter.count(long_word) == 5
    windows = texts(counter, f"a b c {long_word} d e", 5, overlap)
    assert [inside for inside, before in zip(windows[1:], windows, strict=False)
            if before.endswith(inside)] == []  # fmt: skip
    assert long_word in windows


def test_a_window_is_cut_between_words(counter: TokenCounter) -> None:
    assert counter.count("e-mail-server") == 5
    assert texts(counter, "the old e-mail-server died", 6) == [
        "the old",
        "e-mail-server died",
    ]


def test_a_word_longer_than_a_window_is_cut_inside(counter: TokenCounter) -> None:
    word = "-".join("abcdefgh")
    pieces = texts(counter, word, 5)
    assert "".join(pieces) == word
    assert max(map(counter.count, pieces)) <= 5


def test_white_space_at_a_cut_belongs_to_neither_side(counter: TokenCounter) -> None:
    assert texts(counter, "  one two \r\n\r\n  three four  ", 2) == ["one two", "three four"]


def test_a_long_unknown_word_is_cut_so_that_every_piece_fits(counter: TokenCounter) -> None:
    word = "qzxvk" * 130
    pieces = texts(counter, f"{word} net sales rose", 8)
    assert max(map(counter.count, pieces)) <= 8
    assert "".join(pieces).replace(" ", "") == f"{word}netsalesrose"
