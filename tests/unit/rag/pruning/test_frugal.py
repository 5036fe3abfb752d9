"""Pruning keeps what is salient or protected, in order, in the source's own characters."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.attribution.base import TokenScores
from rag.pruning.frugal import FrugalPrompt, prune_text
from rag.pruning.render import readable, render
from rag.pruning.units import unit_scores, unit_spans
from rag.settings import PruningSettings
from rag.spans import Span, SpanSet
from rag.tokens import TokenCounter
from rag.types import Chunk, Context, Document, Passage

TEXT = "Net  sales rose sharply,\nbut costs did not fall in Köln."


def scored(text: str, salience: dict[str, float] | None = None) -> TokenScores:
    """A token a word; a word's salience, or its length."""
    words = [Span(at, at + len(word)) for at, word in _words(text)]
    values = [(salience or {}).get(word.text_in(text), float(len(word))) for word in words]
    return TokenScores(
        tuple(word.text_in(text) for word in words),
        np.array([(word.start, word.end) for word in words], dtype=np.int64).reshape(-1, 2),
        np.array(values),
        np.ones(len(words), dtype=bool),
    )


def _words(text: str) -> list[tuple[int, str]]:
    found, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        found.append((at, word))
        at += len(word)
    return found


def kept(text: str, scores: TokenScores, granularity: str = "word", **settings: object) -> str:
    options = PruningSettings(**{"profile": "none", **settings})
    spans = prune_text(text, scores, options, granularity).kept  # type: ignore[arg-type]
    return "|".join(spans.texts_in(text))


class ByLength:
    """An attributor: a word is as salient as it is long."""

    name = "by length"
    query_aware = True
    bias = None

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    def readout(self, query: str | None = None) -> None:
        return None

    def scores(
        self, texts: Sequence[str], *, query: str | None = None, pairs: Sequence[str] | None = None
    ) -> list[TokenScores]:
        self.asked.append(query)
        return [scored(text) for text in texts]


def passage(text: str, *spans: Span) -> Passage:
    document = Document("test", "doc", "doc", "doc", text)
    chunk = Chunk(document.id, document.revision, 0, Span(0, len(text)), text)
    return Passage(chunk, SpanSet(spans or [chunk.span]))


def test_the_most_salient_words_are_kept_in_order_as_they_stand() -> None:
    assert kept(TEXT, scored(TEXT), retention=0.4) == "sales rose sharply,|costs|Köln."
    assert kept(TEXT, scored(TEXT, {"Net": 99.0, "sales": 98.0}), retention=0.1) == "Net  sales"


@given(st.text(alphabet="ab, .\nÄ🙂|", max_size=60))
def test_nothing_is_lost_where_all_is_kept(text: str) -> None:
    whole = prune_text(text, scored(text), PruningSettings(retention=1.0), "word").kept
    assert "".join(whole.texts_in(text)) == text


@given(
    st.text(alphabet="ab1, .\nnot", max_size=80),
    st.floats(0.05, 1.0),
    st.sampled_from(["token", "word", "clause"]),
)
def test_what_is_kept_is_of_the_text_and_as_much_as_asked(
    text: str, retention: float, granularity: str
) -> None:
    scores = scored(text)
    settings = PruningSettings(retention=retention, profile="none")
    spans = prune_text(text, scores, settings, granularity).kept  # type: ignore[arg-type]
    units = unit_spans(text, granularity, scores)  # type: ignore[arg-type]
    if units:
        whole = sum(all(at in spans for at in range(unit.start, unit.end)) for unit in units)
        assert whole == max(1, int(np.ceil(len(units) * retention - 1e-9)))
    more = PruningSettings(retention=min(retention * 2, 1.0), profile="none")
    assert spans <= prune_text(text, scores, more, granularity).kept  # type: ignore[arg-type]


def test_protected_words_stay_whatever_their_salience() -> None:
    salience = {"not": -5.0, "sharply,": 50.0, "4.2%": -9.0}
    text = "Sales rose sharply, 4.2% and costs did not fall."
    pruned = prune_text(text, scored(text, salience), PruningSettings(retention=0.3), "word")
    assert "|".join(pruned.kept.texts_in(text)) == "sharply, 4.2%|not"
    assert pruned.overruled == 2


def test_protection_may_keep_more_than_was_asked() -> None:
    text = "1 2 3 4 words"
    pruned = prune_text(text, scored(text), PruningSettings(retention=0.2), "word")
    assert "|".join(pruned.kept.texts_in(text)) == "1 2 3 4"


def test_a_share_of_the_score_can_be_kept_in_place_of_a_share_of_words() -> None:
    text = "one two three four"
    salience = {"one": 6.0, "two": 3.0, "three": 1.0, "four": -4.0}
    for mass, wanted in ((0.5, "one"), (0.6, "one"), (0.61, "one two"), (1.0, "one two three")):
        assert kept(text, scored(text, salience), mass=mass) == wanted


def test_sub_words_count_for_their_word_and_text_without_tokens_goes_first() -> None:
    text = "unbelievable ￼ ok"
    scores = TokenScores(
        ("un", "##believable", "ok", "[SEP]"),
        np.array([[0, 2], [2, 12], [15, 17], [0, 0]]),
        np.array([1.0, 2.0, 2.5, 99.0]),
        np.array([True, True, True, False]),
    )
    units = unit_spans(text, "word", scores)
    assert unit_scores(units, scores).tolist() == [3.0, -np.inf, 2.5]
    assert kept(text, scores, retention=0.6) == "unbelievable|ok"
    assert kept(text, scores, "token", retention=0.5) == "believable|ok"


def test_clauses_are_kept_whole() -> None:
    text = "Sales rose in May, but costs fell; the board met."
    salience = {"but": 50.0}
    assert kept(text, scored(text, salience), "clause", retention=0.3) == "but costs fell;"


def test_pruned_text_is_rendered_with_its_own_characters() -> None:
    text = "The CEO's  plan, as\ttold, is “bold”. It failed. Costs rose."
    words = dict((word, Span(at, at + len(word))) for at, word in _words(text))
    pruned = passage(
        text, words["The"], words["CEO's"], words["plan,"], words["told,"], words["rose."]
    )
    assert render(pruned) == "The CEO's plan, told, … rose."
    assert readable(pruned).texts_in(text) == ["The CEO's  plan, as\ttold,", "rose."]
    assert render(passage(text)) == text


def test_a_stage_narrows_every_passage_by_the_question(counter: TokenCounter) -> None:
    attributor = ByLength()
    settings = PruningSettings(mode="on", retention=0.5, profile="none")
    stage = FrugalPrompt(attributor, settings, counter)
    given = Context((passage("A tiny elephant walked."), passage("Big houses stay.", Span(4, 15))))
    pruned = stage("Who walked?", given)
    assert attributor.asked == [None, "Who walked?"]  # the first loads the model
    assert [render(each) for each in pruned.passages] == ["elephant walked.", "houses"]
    assert all(b.kept <= a.kept for a, b in zip(given.passages, pruned.passages, strict=True))


def test_a_question_about_figures_is_answered_from_whole_clauses(counter: TokenCounter) -> None:
    settings = PruningSettings(mode="on", retention=0.5, profile="none")
    stage = FrugalPrompt(ByLength(), settings, counter)
    text = "Forty ships came, though it rained heavily."
    pruned = stage("How many rose?", Context((passage(text),)))
    assert render(pruned.passages[0]) == "though it rained heavily."
    assert "whole clauses" in pruned.remark.note


@pytest.mark.parametrize(
    ("speed", "words", "note"),
    [
        (float("inf"), 200, "the generator reads no prompt"),
        (0.0, 3, "tokens are few"),
        (1e12, 200, "would save"),
    ],
)
def test_pruning_that_would_not_pay_is_left_out_and_says_so(
    counter: TokenCounter, speed: float, words: int, note: str
) -> None:
    stage = FrugalPrompt(ByLength(), PruningSettings(mode="auto"), counter, lambda: speed)
    given = Context((passage("word " * words + "end"),))
    stage("Who?", given)  # the first pruning measures what it costs
    again = stage("Who?", given)
    assert again.passages == given.passages
    assert note in again.remark.note


def test_pruning_that_pays_is_done(counter: TokenCounter) -> None:
    settings = PruningSettings(mode="auto", retention=0.5)
    stage = FrugalPrompt(ByLength(), settings, counter, lambda: 1e-3)
    given = Context((passage("word " * 200 + "end"),))
    for _ in range(2):
        assert stage("Who?", given).passages != given.passages


class SlowToLoad(ByLength):
    """Its first call reads the model."""

    def scores(
        self, texts: Sequence[str], *, query: str | None = None, pairs: Sequence[str] | None = None
    ) -> list[TokenScores]:
        if not self.asked:
            time.sleep(0.5)
        return super().scores(texts, query=query, pairs=pairs)


def test_loading_the_model_is_no_cost_of_pruning(counter: TokenCounter) -> None:
    # At 1,000 tokens a second 100 saved tokens pay 0.1 s: more than pruning, less than loading.
    settings = PruningSettings(mode="auto", retention=0.5)
    stage = FrugalPrompt(SlowToLoad(), settings, counter, lambda: 1000.0)
    given = Context((passage("word " * 200 + "end"),))
    for _ in range(3):
        assert stage("Who?", given).passages != given.passages


@pytest.mark.parametrize("mode", ["on", "auto"])
def test_a_summary_is_not_pruned_nor_what_stands_beside_it(
    counter: TokenCounter, mode: str
) -> None:
    attributor = ByLength()
    stage = FrugalPrompt(attributor, PruningSettings(mode=mode, retention=0.5), counter)
    before = list(attributor.asked)
    told = replace(passage("word " * 200 + "end"), written="Words, and an end.")
    given = Context((passage("word " * 200 + "end"), told), evidence=0.4)
    found = stage("Who?", given)
    assert found.passages == given.passages
    assert found.evidence == 0.4
    assert found.remark.note == "not pruned: a summary is left as it is"
    assert attributor.asked == before
    assert not found.remark.why


def test_it_says_of_each_chunk_why_words_of_it_went(counter: TokenCounter) -> None:
    settings = PruningSettings(mode="on", retention=0.5, profile="none")
    given = Context((passage("A tiny elephant walked."),))
    for question, what in (("Who walked?", "words"), ("How many walked?", "clauses")):
        why = FrugalPrompt(ByLength(), settings, counter)(question, given).remark.why
        assert why == {given.passages[0].chunk.id: f"the least salient {what}"}
