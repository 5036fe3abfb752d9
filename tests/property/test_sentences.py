"""Sentences of any text: ordered, disjoint, complete, bounded."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from rag.sentences import LONGEST_SENTENCE, sentence_spans
from rag.spans import Span

pieces = st.sampled_from(
    [
        "Net sales rose. ",
        "Inc. ",
        "U.S. ",
        "the ",
        "3.50",
        "\n",
        "\r\n",
        "\n\n",
        "\f",
        "\u2028",
        " ",
        "| a | b |",
        "1,204 1,150",
        "# Heading",
        "- item",
        "1. item",
        "(a) ",
        '."',
        "...",
        "?!",
        "\u2026",
        "\u201cNo.\u201d ",
        "e\u0301",
        "\U0001f44d",
        "\u6771\u4eac\u3002",
        "x" * 900,
        "y " * 700,
    ]
) | st.text(max_size=4)
texts = st.lists(pieces, max_size=20).map("".join)
cuts = st.tuples(st.integers(0, 60), st.integers(0, 60))


def check(text: str, spans: list[Span], window: Span) -> None:
    assert all(before.end <= after.start for before, after in pairwise(spans))
    assert all(window.covers(span) for span in spans)
    for span in spans:
        assert 0 < len(span) <= LONGEST_SENTENCE
        assert span.trim_in(text) == span
    held = {offset for span in spans for offset in range(span.start, span.end)}
    lost = [at for at in range(window.start, window.end) if at not in held]
    assert [at for at in lost if not text[at].isspace()] == []


@given(texts)
@example("x" * (3 * LONGEST_SENTENCE + 1))
@example("word " * LONGEST_SENTENCE)
@example("\n" + " " * LONGEST_SENTENCE + "x" * LONGEST_SENTENCE)
def test_sentences_are_ordered_disjoint_complete_and_bounded(text: str) -> None:
    check(text, list(sentence_spans(text)), Span(0, len(text)))


@given(texts, cuts)
def test_sentences_of_a_part_hold_all_of_it_and_nothing_else(
    text: str, cut: tuple[int, int]
) -> None:
    window = Span(min(*cut, len(text)), min(max(cut), len(text)))
    check(text, list(sentence_spans(text, window)), window)


@given(texts)
def test_sentences_are_the_same_every_time(text: str) -> None:
    assert list(sentence_spans(text)) == list(sentence_spans(text))


@given(texts, texts)
def test_a_blank_line_cuts_a_text_in_two_that_do_not_know_of_each_other(
    before: str, after: str
) -> None:
    before, after = before.strip(), after.strip()
    joined = f"{before}\n\n{after}"
    apart = [span.text_in(text) for text in (before, after) for span in sentence_spans(text)]
    assert [span.text_in(joined) for span in sentence_spans(joined)] == apart
