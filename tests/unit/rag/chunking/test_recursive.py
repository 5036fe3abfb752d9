from __future__ import annotations

from rag.chunking import RecursiveChunker
from rag.tokens import TokenCounter
from rag.types import Document


def texts(counter: TokenCounter, text: str, size: int, overlap: int = 0) -> list[str]:
    document = Document("file", "k", "k", "k", text)
    return [chunk.text for chunk in RecursiveChunker(counter, size, overlap).split(document)]


def test_a_text_that_fits_is_one_chunk(counter: TokenCounter) -> None:
    assert texts(counter, " one two.\n\nthree four. ", 20) == ["one two.\n\nthree four."]


def test_paragraphs_are_cut_before_lines(counter: TokenCounter) -> None:
    text = "one two\nthree four\n\nfive six\nseven eight"
    assert texts(counter, text, 4) == ["one two\nthree four", "five six\nseven eight"]


def test_lines_are_cut_before_sentences(counter: TokenCounter) -> None:
    text = "one. two.\nthree. four."
    assert texts(counter, text, 4) == ["one. two.", "three. four."]


def test_sentences_are_cut_before_words(counter: TokenCounter) -> None:
    assert texts(counter, "one two. three four five", 5) == ["one two", ". three four five"]


def test_words_are_merged_while_they_fit(counter: TokenCounter) -> None:
    assert texts(counter, "one two three four five", 2) == ["one two", "three four", "five"]


def test_only_the_piece_that_is_too_long_is_cut_finer(counter: TokenCounter) -> None:
    text = "one two\n\nthree four five six\n\nseven"
    assert texts(counter, text, 3) == ["one two", "three four five", "six", "seven"]


def test_neighbours_repeat_whole_pieces_up_to_the_overlap(counter: TokenCounter) -> None:
    assert texts(counter, "one two three four five six", 3, 1) == [
        "one two three",
        "three four five",
        "five six",
    ]


def test_a_piece_without_a_separator_is_cut_into_windows(counter: TokenCounter) -> None:
    word = "-".join("abcdefgh")
    pieces = texts(counter, f"one two {word}", 5)
    assert max(map(counter.count, pieces)) <= 5
    assert "".join(pieces).replace(" ", "") == f"onetwo{word}"


def test_windows_line_endings_are_no_paragraphs_end(counter: TokenCounter) -> None:
    text = "one two\r\nthree four\r\nfive six"
    assert texts(counter, text, 4) == ["one two\r\nthree four", "five six"]
