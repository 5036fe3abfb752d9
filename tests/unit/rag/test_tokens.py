from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from rag.embedding.registry import bundled_tokenizer
from rag.errors import ModelError
from rag.tokens import TokenCounter

SENTENCE = "net sales rose. the cat sat on the mat."


def unigram() -> Tokenizer:
    """As XLM-R models have it (multilingual-e5, bge-m3): a word's token begins with its space."""
    words = [(f"\u2581{word}", -2.0) for word in "net sales rose the cat sat on mat".split()]
    letters = [(letter, -4.0) for letter in "\u2581.abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), *words, *letters], 0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


def byte_level(trim: bool) -> Tokenizer:
    """As RoBERTa (offsets trimmed) and Qwen (not trimmed) have it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([SENTENCE] * 9, trainer)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    return tokenizer


OTHERS = {
    "unigram": unigram,
    "byte level": lambda: byte_level(trim=False),
    "byte level trimmed": lambda: byte_level(trim=True),
}


@pytest.fixture(params=OTHERS)
def other(request: pytest.FixtureRequest) -> TokenCounter:
    """A counter with a tokenizer of another family than the bundled one."""
    return TokenCounter(OTHERS[request.param](), request.param)


def whole(text: str) -> list[tuple[int, int]]:
    """What the bundled tokenizer itself says of the whole text."""
    tokenizer = Tokenizer.from_file(str(bundled_tokenizer()))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return list(tokenizer.encode(text, add_special_tokens=False).offsets)


def places(counter: TokenCounter, text: str) -> list[tuple[int, int]]:
    return [(start, end) for start, end in counter.offsets(text).tolist()]


def test_a_token_is_a_slice_of_the_text(counter: TokenCounter) -> None:
    text = "Net sales: $1,204.5 (2023), re-stated."
    slices = [text[start:end] for start, end in places(counter, text)]
    assert slices == [
        "Net", "sales", ":", "$", "1", ",", "204", ".", "5", "(", "202", "3", ")", ",",
        "re", "-", "stated", ".",
    ]  # fmt: skip


def test_a_word_of_several_tokens_leaves_no_gap(counter: TokenCounter) -> None:
    text = "antidisestablishmentarianism"
    offsets = places(counter, text)
    assert len(offsets) > 2
    assert "".join(text[start:end] for start, end in offsets) == text


def test_offsets_count_code_points_behind_emoji_and_accents(counter: TokenCounter) -> None:
    text = "\U0001f44d\U0001f3fd na\u00efve e\u0301tude sales"
    assert places(counter, text)[-1] == (text.index("sales"), len(text))


def test_an_empty_text_has_no_tokens(counter: TokenCounter) -> None:
    assert counter.offsets("").shape == (0, 2)
    assert counter.offsets(" \n\t ").shape == (0, 2)
    assert counter.count("") == counter.count(" \n") == 0
    assert counter.head("", 3) == ""
    assert counter.fits("", 0)


def test_counting_leaves_out_special_tokens(counter: TokenCounter) -> None:
    assert counter.count("net") == 1
    assert counter.special_tokens == 2


def test_a_counter_does_not_truncate_although_the_models_tokenizer_does() -> None:
    tokenizer = Tokenizer.from_file(str(bundled_tokenizer()))
    assert tokenizer.truncation is not None
    counter = TokenCounter(tokenizer, "own copy")
    assert counter.count("net " * 1_000) == 1_000
    assert tokenizer.truncation is not None


@pytest.mark.parametrize(
    "text",
    [
        "net sales rose. " * 5_000,
        "net sales rose.\n" * 5_000,
        "cover\n" + "net sales rose " * 5_000,
        "net\tsales\trose\t" * 5_000,
        "net\u3000sales\u3000rose\u3000" * 5_000,
        "antidisestablishmentarianism " * 3_000,
        "  \n\n  net \r\n" * 9_000,
    ],
    ids=["spaces", "lines", "one newline", "tabs", "ideographic", "long words", "blank lines"],
)
def test_offsets_do_not_depend_on_where_a_block_ends(counter: TokenCounter, text: str) -> None:
    assert len(text) > 2 * 32_768
    assert places(counter, text) == whole(text)
    assert counter.count(text) == len(whole(text))


def test_a_text_without_white_space_is_measured_to_its_end(counter: TokenCounter) -> None:
    text = "x" * 100_000
    offsets = places(counter, text)
    assert offsets[0][0] == 0
    assert offsets[-1][1] == len(text)
    assert all(end == start for (_, end), (start, _) in pairwise(offsets))


@pytest.mark.parametrize("length", [101, 128, 129, 1_000])
def test_an_unknown_long_word_counts_one_token_for_64_characters(
    counter: TokenCounter, length: int
) -> None:
    text = "net " + "x" * length + " rose"
    offsets = places(counter, text)
    assert offsets[0] == (0, 3)
    assert offsets[-1] == (length + 5, length + 9)
    assert offsets[1:-1] == [
        (at, min(at + 64, 4 + length)) for at in range(4, 4 + length, 64)
    ]  # fmt: skip


def test_counting_many_texts_is_counting_each(counter: TokenCounter) -> None:
    texts = ["", "net sales", "x" * 300, "\U0001f44d", " ", SENTENCE]
    assert counter.count_all(texts) == [counter.count(text) for text in texts]
    longer = [*texts, "net " * 20_000]
    assert counter.count_all(longer) == [counter.count(text) for text in longer]
    assert counter.count_all([]) == []


@pytest.mark.parametrize("tokens", [0, 1, 2, 3, 4, 8, 9, 10, 11, 100])
def test_a_text_fits_where_it_has_no_more_tokens(counter: TokenCounter, tokens: int) -> None:
    assert counter.fits(SENTENCE, tokens) == (counter.count(SENTENCE) <= tokens)


def test_a_text_of_many_blocks_fits_only_as_a_whole(counter: TokenCounter) -> None:
    text = "net " * 30_000
    assert counter.fits(text, 30_000)
    assert not counter.fits(text, 29_999)
    assert not counter.fits(text, 10)


@pytest.mark.parametrize(
    ("tokens", "head"),
    [
        (0, ""),
        (1, "net"),
        (2, "net sales"),
        (3, "net sales"),  # the fourth token is the full stop of "rose."
        (4, "net sales rose."),
        (5, "net sales rose. the"),
        (100, SENTENCE),
    ],
)
def test_a_head_ends_with_a_word_and_has_no_more_tokens_than_asked(
    counter: TokenCounter, tokens: int, head: str
) -> None:
    assert counter.head(SENTENCE, tokens) == head


def test_a_head_never_ends_inside_a_word(counter: TokenCounter) -> None:
    text = "the antidisestablishmentarianism"
    whole_word = counter.count(text)
    assert counter.head(text, whole_word) == text
    assert {counter.head(text, tokens) for tokens in range(1, whole_word)} == {"the"}


def test_white_space_belongs_to_no_token_whatever_the_tokenizer(other: TokenCounter) -> None:
    slices = [SENTENCE[start:end] for start, end in places(other, SENTENCE)]
    assert "".join(slices) == SENTENCE.replace(" ", "")
    assert [piece for piece in slices if piece != piece.strip()] == []


def test_a_head_ends_with_a_word_whatever_the_tokenizer(other: TokenCounter) -> None:
    head = other.head(SENTENCE, 3)
    assert head in {"net", "net sales", "net sales rose"}
    assert other.count(head) <= 3
    assert other.head(SENTENCE, other.count(SENTENCE)) == SENTENCE


def test_a_counter_is_named_after_its_folder_unless_told() -> None:
    file = bundled_tokenizer()
    assert TokenCounter.from_file(file).name == file.parent.name
    assert TokenCounter.from_file(file, "mine").name == "mine"


def missing(folder: Path) -> Path:
    return folder / "tokenizer.json"


def malformed(folder: Path) -> Path:
    file = folder / "tokenizer.json"
    file.write_text('{"model": "none"}')
    return file


@pytest.mark.parametrize("make", [missing, malformed])
def test_a_tokenizer_that_cannot_be_read_is_a_model_error(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    with pytest.raises(ModelError) as caught:
        TokenCounter.from_file(make(tmp_path))
    assert str(tmp_path / "tokenizer.json") in caught.value.message
    assert caught.value.hint
