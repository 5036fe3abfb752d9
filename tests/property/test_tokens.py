"""The token counter against the tokenizer it wraps."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from rag.embedding.registry import bundled_tokenizer
from rag.tokens import TokenCounter

pieces = st.sampled_from(
    [
        "net",
        "sales",
        " ",
        "\r\n",
        "1,204",
        "e\u0301",
        "\u00e9",
        "\U0001f44d\U0001f3fd",
        "\u6771\u4eac",
        "\ud55c\uad6d\uc5b4",
        "antidisestablishmentarianism",
        "x" * 70,
        "qzxvk" * 30,
        "\u200b",
        ".",
        "-",
    ]
) | st.text(max_size=3)
texts = st.lists(pieces, max_size=14).map("".join)
unbroken = st.lists(st.sampled_from(["net", "sales", "x" * 90, "."]), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """The bundled tokenizer as its library has it."""
    tokenizer = Tokenizer.from_file(str(bundled_tokenizer()))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@given(text=texts)
def test_offsets_are_those_of_the_tokenizer_but_for_long_words(
    counter: TokenCounter, tokenizer: Tokenizer, text: str
) -> None:
    wanted: list[tuple[int, int]] = []
    for start, end in tokenizer.encode(text, add_special_tokens=False).offsets:
        cuts = [*range(start, end, 64), end] if end > start else [start, end]
        wanted += pairwise(cuts)
    assert [tuple(pair) for pair in counter.offsets(text).tolist()] == wanted


@given(text=texts)
def test_tokens_are_ascending_short_and_without_white_space(
    counter: TokenCounter, text: str
) -> None:
    offsets = counter.offsets(text).tolist()
    assert offsets == sorted(offsets)
    for start, end in offsets:
        assert 0 <= start < end <= min(start + 64, len(text))
        assert not text[start:end].isspace()


@given(text=texts)
def test_all_ways_of_counting_agree(counter: TokenCounter, text: str) -> None:
    count = counter.count(text)
    assert count == len(counter.offsets(text)) == counter.count_all([text, ""])[0]
    assert counter.fits(text, count)
    assert not count or not counter.fits(text, count - 1)


@given(text=texts, tokens=st.integers(0, 12))
def test_a_head_is_a_start_of_the_text_with_no_more_tokens_than_asked(
    counter: TokenCounter, text: str, tokens: int
) -> None:
    head = counter.head(text, tokens)
    assert text.startswith(head)
    assert counter.count(head) <= tokens
    if counter.count(text) <= tokens:
        assert head == text


@settings(max_examples=15)
@given(words=unbroken, repeats=st.integers(1, 2), newline=st.sampled_from([" ", "\n", "\r\n"]))
def test_counting_does_not_depend_on_the_blocks_it_is_done_in(
    counter: TokenCounter, tokenizer: Tokenizer, words: list[str], repeats: int, newline: str
) -> None:
    line = " ".join(words) + newline
    text = line * (repeats * 33_000 // len(line) + 1)
    by_line = counter.count(line)
    assert counter.count(text) == by_line * (len(text) // len(line))
