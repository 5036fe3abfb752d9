from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.embedding.base import Embedder, Vectors
from rag.embedding.lexical import LexicalEncoder
from rag.embedding.registry import load_embedder
from rag.errors import ModelError
from rag.evidence.reader import Reading
from rag.pruning import SelectSentences
from rag.settings import EmbeddingSettings, SelectionSettings
from rag.spans import Span, SpanSet
from rag.types import Chunk, Context, Passage

WORDS = ["harbour", "timber", "arrivals", "margin", "revenue", "turbine", "kidney", "gateway"]


class PlainCounter:
    """Words are tokens."""

    def count_all(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


class WordEmbedder:
    """Counts words: the cosine of two texts is what a reader can work out. It notes each text."""

    def __init__(self) -> None:
        self.judged: list[str] = []
        self.counter = PlainCounter()

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.judged += texts
        return self._embed(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts)

    def _embed(self, texts: Sequence[str]) -> Vectors:
        counts = np.array(
            [[text.lower().count(word) for word in WORDS] + [0.1] for text in texts], np.float32
        )
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def bundled() -> Embedder:
    return load_embedder(EmbeddingSettings())


def passage(text: str, at: int = 0, kept: Sequence[Span] | None = None, key: str = "a") -> Passage:
    """A chunk that starts at offset `at` of its document."""
    span = Span(at, at + len(text))
    chunk = Chunk(doc_id=key, revision="1", ordinal=at, span=span, text=text, name=f"{key}.txt")
    return Passage(chunk, SpanSet([span] if kept is None else kept), score=0.5)


def pieces(context: Context) -> list[list[str]]:
    return [each.pieces for each in context.passages]


HARBOUR = "The harbour counted its arrivals in May. The kidney filters the blood of mammals."
TURBINE = "A turbine turns in every strong wind. Revenue and margin grew with the harbour."


LEXICAL = LexicalEncoder()


def select(embedder: Embedder, **settings: object) -> SelectSentences:
    return SelectSentences(embedder, LEXICAL, SelectionSettings(**settings))  # type: ignore[arg-type]


def scores(embedder: Embedder, question: str, sentences: Sequence[str]) -> list[float]:
    """Cosine, plus half the share of the question's terms, each weighted by its rarity."""
    cosines = embedder.embed_documents(sentences) @ embedder.embed_queries([question])[0]
    terms = LEXICAL.encode_query(question).indices
    held = [set(vector.indices) for vector in LEXICAL.encode_documents(sentences)]
    rarity = {}
    for term in terms:
        holders = sum(term in each for each in held)
        rarity[term] = math.log(1 + (len(held) - holders + 0.5) / (holders + 0.5))
    whole = sum(rarity.values()) or 1.0
    return [
        float(cosine) + 0.5 * sum(rarity[term] for term in terms if term in each) / whole
        for cosine, each in zip(cosines, held, strict=True)
    ]


def test_the_nearest_sentence_is_kept_and_points_into_the_document() -> None:
    context = Context((passage(TURBINE, 50), passage(HARBOUR, 900)))
    narrowed = select(WordEmbedder(), budget=12)("harbour arrivals", context)
    assert pieces(narrowed) == [["The harbour counted its arrivals in May."]]
    (only,) = narrowed.passages
    assert only.kept == SpanSet([Span(900, 940)])
    assert 0 < only.score < 1


def test_passages_are_ordered_by_their_best_sentence() -> None:
    context = Context((passage(HARBOUR), passage(TURBINE, 100)))
    narrowed = select(WordEmbedder(), target_recall=1.0)("margin revenue kidney", context)
    first, second = narrowed.passages
    assert first.chunk.text == TURBINE
    assert second.chunk.text == HARBOUR
    assert first.score > second.score


def test_neighbours_that_are_both_kept_are_one_stretch() -> None:
    narrowed = select(WordEmbedder(), target_recall=1.0)(
        "kidney kidney harbour", Context((passage(HARBOUR, 7),))
    )
    assert pieces(narrowed) == [[HARBOUR]]


def test_white_space_is_not_kept_where_it_was_not_before() -> None:
    kept = [Span(0, 40), Span(41, len(HARBOUR))]
    narrowed = select(WordEmbedder(), target_recall=1.0)(
        "kidney harbour", Context((passage(HARBOUR, 0, kept),))
    )
    assert narrowed.passages[0].kept == SpanSet(kept)


def test_more_weight_on_recall_never_keeps_less(bundled: Embedder) -> None:
    context = Context((passage(HARBOUR), passage(TURBINE, 100)))
    question = "What did the harbour count?"
    kept = [
        sum(each.kept.length for each in select(bundled, **each)(question, context).passages)
        for each in ({"recall_weight": w} for w in (0.2, 1.0, 5.0, 1e6))
    ]
    assert kept == sorted(kept)
    assert kept[-1] > kept[0]


def test_a_budget_holds_and_a_sentence_too_long_for_it_is_passed_over(bundled: Embedder) -> None:
    context = Context((passage(HARBOUR), passage(TURBINE, 100)))
    for budget in (1, 8, 9, 17, 18, 100):
        narrowed = select(bundled, budget=budget)("harbour arrivals in May", context)
        assert bundled.counter.total(narrowed.pieces) <= budget
    whole = select(bundled, budget=100)("harbour arrivals in May", context)
    assert sorted(whole.pieces) == sorted([HARBOUR, TURBINE])


class Broken:
    """A reader that cannot be loaded."""

    def read(self, question: str, passages: Sequence[str]) -> list[Reading]:
        raise ModelError("no weights", hint="train some")


def test_selection_goes_on_without_a_reader_that_fails_and_says_so(bundled: Embedder) -> None:
    context = Context((passage(HARBOUR), passage(TURBINE, 100)))
    broken = SelectSentences(bundled, LEXICAL, SelectionSettings(), Broken())  # type: ignore[arg-type]
    narrowed = broken("What did the harbour count?", context)
    assert narrowed.passages == select(bundled)("What did the harbour count?", context).passages
    assert narrowed.remark.note == "without the joint reader: no weights"


def test_the_evidence_is_the_best_score_whatever_is_kept(bundled: Embedder) -> None:
    context = Context((passage(HARBOUR), passage(TURBINE, 100)))
    question = "How many ships arrived at the harbour?"
    sentences = [*HARBOUR.split(". "), *TURBINE.split(". ")]
    sentences = [sentence if sentence.endswith(".") else sentence + "." for sentence in sentences]
    expected = scores(bundled, question, sentences)
    for settings in ({"keep": "everything"}, {"budget": 12}, {"target_recall": 1.0}, {}):
        narrowed = select(bundled, **settings)(question, context)
        assert narrowed.evidence == pytest.approx(max(expected), abs=0.01)
        if "budget" in settings:
            assert pieces(narrowed) == [[sentences[expected.index(max(expected))]]]


def test_rare_words_of_a_question_count_beside_its_meaning(bundled: Embedder) -> None:
    text = "The fourth implant beacons to its gateway. The implant XJ-904 was seen in spring."
    narrowed = select(bundled, recall_weight=0.1)("Tell me of XJ-904.", Context((passage(text),)))
    assert pieces(narrowed) == [["The implant XJ-904 was seen in spring."]]
    assert narrowed.evidence == pytest.approx(
        max(scores(bundled, "Tell me of XJ-904.", text.replace(". T", ".|T").split("|"))), abs=0.01
    )


def test_the_default_threshold_tells_evidence_from_its_absence(bundled: Embedder) -> None:
    context = Context((passage(HARBOUR), passage(TURBINE, 100)))
    asked, foreign = (
        select(bundled)(question, context).evidence
        for question in ("What was counted at the harbour in May?", "Who won the chess title?")
    )
    assert asked is not None
    assert foreign is not None
    assert asked > SelectionSettings().min_evidence > foreign


def test_keeping_everything_leaves_every_passage_whole_and_only_judges() -> None:
    context = Context((passage(HARBOUR), passage(TURBINE, 100, kept=[Span(100, 137)])))
    narrowed = select(WordEmbedder(), keep="everything")("harbour", context)
    assert narrowed.passages == context.passages
    assert narrowed.evidence is not None


def test_a_sentence_that_several_chunks_hold_is_judged_and_kept_once() -> None:
    embedder = WordEmbedder()
    context = Context((passage(HARBOUR), passage(HARBOUR, 200), passage(TURBINE, 100)))
    narrowed = select(embedder, target_recall=1.0)("harbour arrivals", context)
    assert len(embedder.judged) == len(set(embedder.judged)) == 4
    assert [each.chunk.ordinal for each in narrowed.passages] == [0, 100]


def test_a_sentence_of_two_documents_is_judged_in_each() -> None:
    embedder = WordEmbedder()
    context = Context((passage(HARBOUR, key="a"), passage(HARBOUR, key="b")))
    narrowed = select(embedder, target_recall=1.0)("harbour arrivals", context)
    assert {each.chunk.doc_id for each in narrowed.passages} == {"a", "b"}


def test_only_what_is_still_kept_is_judged() -> None:
    embedder = WordEmbedder()
    kept = [Span(41, len(HARBOUR))]
    narrowed = select(embedder, target_recall=1.0)(
        "harbour arrivals", Context((passage(HARBOUR, 0, kept),))
    )
    assert embedder.judged == ["The kidney filters the blood of mammals."]
    assert narrowed.passages[0].kept == SpanSet(kept)


def test_what_holds_hardly_a_letter_is_no_evidence() -> None:
    embedder = WordEmbedder()
    text = f"Total\n\n17\n\n1,204 1,150 980\n\n{HARBOUR}"
    narrowed = select(embedder, target_recall=1.0)("harbour", Context((passage(text),)))
    assert len(embedder.judged) == 2
    assert pieces(narrowed) == [[HARBOUR]]


@pytest.mark.parametrize("text", ["17", "Total 4", "— . … !"])
def test_where_no_sentence_can_be_judged_nothing_is_dropped(text: str) -> None:
    context = Context((passage(text),))
    narrowed = select(WordEmbedder())("harbour", context)
    assert (narrowed.passages, narrowed.evidence) == (context.passages, None)


def test_an_empty_context_stays_empty() -> None:
    assert select(WordEmbedder())("harbour", Context()) == Context()


@pytest.mark.parametrize("question", ["", "the of and", "\U0001f600"])
def test_a_question_without_terms_is_judged_by_meaning_alone(
    bundled: Embedder, question: str
) -> None:
    narrowed = select(bundled)(question, Context((passage(HARBOUR),)))
    sentences = ["The harbour counted its arrivals in May.", HARBOUR[41:]]
    cosines = bundled.embed_documents(sentences) @ bundled.embed_queries([question])[0]
    assert narrowed.evidence == pytest.approx(float(cosines.max()), abs=0.01)
    assert sentences[int(cosines.argmax())] in narrowed.pieces[0]


SENTENCES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(
    lambda words: f"The {' '.join(words)} stands."
)
TEXTS = st.lists(
    SENTENCES | st.sampled_from(["17", "\n\n", "É 收益 \U0001f600", "Total 4.2%"]),
    min_size=1,
    max_size=6,
).map(" ".join)


@st.composite
def contexts(draw: st.DrawFn) -> Context:
    passages = []
    for number, text in enumerate(draw(st.lists(TEXTS, max_size=4))):
        at = draw(st.integers(0, 1_000))
        edges = sorted(draw(st.lists(st.integers(at, at + len(text)), max_size=6)))
        spans = [Span(*pair) for pair in zip(edges[::2], edges[1::2], strict=False)]
        passages.append(passage(text, at, spans or None, key=str(number)))
    return Context(tuple(passages))


@given(
    contexts(),
    st.sampled_from(
        [{}, {"budget": 9}, {"target_recall": 0.5}, {"recall_weight": 9.0}, {"keep": "everything"}]
    ),
    st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join),
)
def test_selection_only_narrows_to_the_best(
    context: Context, settings: dict[str, object], question: str
) -> None:
    embedder = WordEmbedder()
    stage = select(embedder, **settings)
    narrowed = stage(question, context)
    assert stage(question, context) == narrowed
    given_to = {each.chunk.doc_id: each for each in context.passages}
    assert len({each.chunk.doc_id for each in narrowed.passages}) == len(narrowed.passages)
    for each in narrowed.passages:
        assert each.chunk == given_to[each.chunk.doc_id].chunk
        assert each.kept <= given_to[each.chunk.doc_id].kept
    ranking = stage.rank(question, context)
    if not ranking.units:
        assert narrowed.passages == context.passages
        return
    texts = list(dict.fromkeys(embedder.judged))
    assert narrowed.evidence == pytest.approx(
        max(scores(WordEmbedder(), question, [unit.text for unit in ranking.units])), abs=1e-5
    )
    assert {unit.text for unit in ranking.units} == set(texts)
    assert list(ranking.probabilities) == sorted(ranking.probabilities, reverse=True)
    if "keep" in settings:
        assert narrowed.passages == context.passages
    elif "budget" not in settings:  # a prefix of the ranking, to the last sentence
        kept = {each.chunk.doc_id: each.kept for each in narrowed.passages}
        inside = [
            SpanSet([unit.span]) <= kept.get(context.passages[unit.passage].chunk.doc_id, SpanSet())
            for unit in ranking.units
        ]
        assert inside == sorted(inside, reverse=True)
        assert inside[0]


# --- summaries, and why ---------------------------------------------------------------------


def summarised() -> Context:
    first, second = passage(HARBOUR), passage(TURBINE, 100, key="b")
    told = replace(first, written="Arrivals were counted; turbines turn.", beside=(second,))
    return Context((passage("Gateway and kidney stand.", 0, key="c"), told))


@pytest.mark.parametrize(
    "settings", [{}, {"budget": 1}, {"target_recall": 0.1}, {"keep": "everything"}]
)
def test_a_summarised_context_is_judged_by_its_sources_and_left_as_it_is(
    bundled: Embedder, settings: dict[str, object]
) -> None:
    context, stage = summarised(), select(bundled, **settings)
    question = "What did the harbour count?"
    found = stage(question, context)
    assert found.passages == context.passages
    plain = replace(context, passages=tuple(context.sources))
    assert found.evidence == stage.rank(question, plain).evidence
    assert found.remark.note == "not selected: a summary is left as it is"
    assert not found.remark.why


def test_what_a_summary_was_not_written_from_is_no_evidence() -> None:
    embedder, (other, told) = WordEmbedder(), summarised().passages
    kept = told.chunk.text.index(" The kidney")
    told = replace(told, kept=SpanSet([Span(0, kept)]))
    found = select(embedder)("kidney", Context((told,)))
    assert "The kidney filters the blood of mammals." not in embedder.judged
    assert found.evidence is not None
    assert found.evidence < (select(embedder)("kidney", Context((other,))).evidence or 0)


def test_a_summary_without_a_sentence_that_can_be_judged_has_no_evidence() -> None:
    told = replace(passage("17"), written="Seventeen of them.")
    found = select(WordEmbedder())("harbour", Context((told,)))
    assert (found.passages, found.evidence) == ((told,), None)


class Counting:
    """A reader that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def read(self, question: str, passages: Sequence[str]) -> list[Reading]:
        self.asked += 1
        raise ModelError("not now")


def test_where_nothing_is_selected_the_slow_reader_is_not_asked(bundled: Embedder) -> None:
    reader = Counting()
    stage = SelectSentences(bundled, LEXICAL, SelectionSettings(), reader)  # type: ignore[arg-type]
    stage("What did the harbour count?", summarised())
    assert reader.asked == 0


def test_it_says_of_each_chunk_why_sentences_of_it_went(bundled: Embedder) -> None:
    context = Context((passage(HARBOUR), passage(TURBINE, 100, key="b"), passage("17", key="c")))
    found = select(bundled, budget=9)("What did the harbour count in May?", context)
    why = [found.remark.why[each.chunk.id] for each in context.passages]
    assert why[0].startswith("evidence with ")
    assert why[1].startswith("evidence with ")
    assert why[2] == "said before, or too short to say anything"


CELLS = "Net sales\n$\n1,204\n$\n1,150\nCosts\n801\n790\nMargin\n403\n360"


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, False),
        ({"whole_tables": True}, True),
        ({"whole_tables": True, "budget": 20}, False),
    ],
)
def test_tables_are_kept_whole_where_they_are_much_of_the_text(
    settings: dict[str, object], kept: bool
) -> None:
    text = f"{HARBOUR}\n\n{CELLS}"
    stage = select(WordEmbedder(), recall_weight=0.1, **settings)
    narrowed = stage("the arrivals in the harbour", Context((passage(TURBINE), passage(text, 400))))
    assert "The harbour counted its arrivals in May." in narrowed.pieces[0]
    assert (CELLS in "\n".join(narrowed.pieces)) is kept
    assert "kidney" not in "".join(narrowed.pieces)


def test_a_table_in_a_passage_without_evidence_comes_after_the_evidence() -> None:
    stage = select(WordEmbedder(), recall_weight=0.1, whole_tables=True)
    found = Context((passage(CELLS, key="b"), passage(HARBOUR)))
    narrowed = stage("the arrivals in the harbour", found)
    assert [each.chunk.doc_id for each in narrowed.passages] == ["a", "b"]
    assert narrowed.passages[1].pieces == [CELLS]
    assert narrowed.passages[0].score > narrowed.passages[1].score


def test_a_stray_table_in_prose_is_like_any_other_text() -> None:
    prose = passage(" ".join([TURBINE] * 9))
    stage = select(WordEmbedder(), recall_weight=0.1, whole_tables=True)
    narrowed = stage(
        "the arrivals in the harbour", Context((passage(HARBOUR), prose, passage(CELLS, key="b")))
    )
    assert not any("1,204" in piece for piece in narrowed.pieces)


def test_a_table_narrowed_before_is_not_widened() -> None:
    rows = passage(CELLS, kept=[Span(0, CELLS.index("Costs"))])
    narrowed = select(WordEmbedder(), whole_tables=True)(
        "the arrivals in the harbour", Context((rows,))
    )
    assert "801" not in "".join(narrowed.pieces)
