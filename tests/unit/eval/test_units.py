from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from eval.located import Located
from eval.metrics.overlap import ChunkMap, overlap
from eval.units import TokenRuler
from rag.tokens import TokenCounter

TEXT = (
    "Net sales 🦦 rose 4.2%\r\nin naïve Äschen, antidisestablishmentarianism!\r\n\r\n  Ende 東京."
)

pieces = st.sampled_from(
    ["net", "unfathomably", "🦦", "👍🏽", "\r\n", " ", "4.2%", "é", "東京", "."]
)
texts = st.lists(pieces, min_size=1, max_size=10).map("".join)


def byte_level() -> TokenCounter:
    """As Qwen has it: an emoji is several tokens of the very same place."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["net sales rose"] * 9, trainer)
    return TokenCounter(tokenizer, "bytes")


def unigram() -> TokenCounter:
    """As multilingual-e5 has it: a token may be white space alone."""
    letters = [(letter, -4.0) for letter in "\u2581.,%🦦abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("\u2581net", -2.0), *letters], 0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return TokenCounter(tokenizer, "unigram")


@pytest.fixture(scope="module", params=["bundled", "bytes", "unigram"])
def any_counter(request: pytest.FixtureRequest, counter: TokenCounter) -> TokenCounter:
    return {"bundled": lambda: counter, "bytes": byte_level, "unigram": unigram}[request.param]()


def covered(counter: TokenCounter, text: str, start: int, end: int) -> set[int]:
    """The numbers of the tokens that have a character in [start, end), one by one."""
    tokens = [pair for pair in counter.offsets(text).tolist() if pair[0] < pair[1]]
    return {
        number for number, (first, last) in enumerate(tokens) if max(first, start) < min(last, end)
    }


def measured(counter: TokenCounter, text: str, start: int, end: int) -> Located:
    (found,) = TokenRuler(counter, {"d": text}).measure([Located("d", start, end)])
    return found


@given(data=st.data(), text=texts)
def test_a_token_counts_where_it_shares_a_character_with_the_span(
    any_counter: TokenCounter, data: st.DataObject, text: str
) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    found = measured(any_counter, text, start, end)
    assert set(range(found.start, found.end)) == covered(any_counter, text, start, end)


def test_a_span_that_cuts_a_token_in_two_holds_it(counter: TokenCounter) -> None:
    inside = TEXT.index("sales") + 2
    found = measured(counter, TEXT, inside, inside + 1)
    assert (found.doc, found.end - found.start) == ("d", 1)
    assert found == measured(counter, TEXT, inside - 2, inside + 3)


def test_white_space_and_line_ends_belong_to_no_token(counter: TokenCounter) -> None:
    gap = TEXT.index("\r\n\r\n")
    assert not measured(counter, TEXT, gap, gap + 6)
    before = measured(counter, TEXT, 0, gap)
    assert before == measured(counter, TEXT, 0, gap + 6)
    assert measured(counter, TEXT, gap, len(TEXT)).start == before.end


def test_an_emoji_moves_no_later_token(counter: TokenCounter) -> None:
    at = TEXT.index("rose")
    found = measured(counter, TEXT, at, at + 4)
    assert counter.offsets(TEXT)[found.start].tolist() == [at, at + 4]
    assert found.end == found.start + 1


def test_an_empty_stretch_holds_no_token(counter: TokenCounter) -> None:
    for at in range(len(TEXT)):
        assert not measured(counter, TEXT, at, at)


def test_each_stretch_is_measured_in_its_own_document(counter: TokenCounter) -> None:
    ruler = TokenRuler(counter, {"a": "one two three", "b": "longer words first one two"})
    found = ruler.measure([Located("b", 13, 18), Located("a", 4, 7), Located("b", 0, 26)])
    assert found == (Located("b", 2, 3), Located("a", 1, 2), Located("b", 0, 5))
    assert ruler.name == counter.name


def test_metrics_per_token_are_those_of_sets_of_tokens(counter: TokenCounter) -> None:
    ruler = TokenRuler(counter, {"d": TEXT})
    half = TEXT.index("naïve") + 2  # the reference begins within a word
    references, retrieved = [Located("d", half, 60)], [Located("d", 0, 40), Located("d", 30, 50)]
    wanted = covered(counter, TEXT, half, 60)
    had = covered(counter, TEXT, 0, 50)
    found = overlap(ruler.measure(references), ruler.measure(retrieved))
    assert found == (len(wanted & had), len(wanted - had), len(wanted), len(had))
    chunks = [Located("d", 0, 30), Located("d", 30, len(TEXT))]
    reached = covered(counter, TEXT, 0, 30) | covered(counter, TEXT, 30, len(TEXT))
    assert ChunkMap(ruler.measure(chunks)).precision_omega(ruler.measure(references)) == (
        len(wanted) / len(reached)
    )
