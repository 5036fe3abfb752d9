from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.embedding.base import Embedder, Vectors
from rag.embedding.registry import load_embedder
from rag.pruning import SelectSentences
from rag.settings import EmbeddingSettings
from rag.spans import Span, SpanSet
from rag.types import Chunk, Context, Passage

WORDS = ["harbour", "timber", "arrivals", "margin", "revenue", "turbine", "kidney", "gateway"]


class WordEmbedder:
    """Counts words: the cosine of two texts is what a reader can work out. It notes each text."""

    def __init__(self) -> None:
        self.judged: list[str] = []

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


def test_the_nearest_sentences_are_kept_and_point_into_the_document() -> None:
    select = SelectSentences(WordEmbedder(), 1)
    narrowed = select("harbour arrivals", Context((passage(TURBINE, 50), passage(HARBOUR, 900))))
    assert pieces(narrowed) == [["The harbour counted its arrivals in May."]]
    (only,) = narrowed.passages
    assert only.kept == SpanSet([Span(900, 940)])
    assert only.score == pytest.approx(narrowed.evidence)


def test_passages_are_ordered_by_their_best_sentence_and_spans_by_place() -> None:
    select = SelectSentences(WordEmbedder(), 3)
    narrowed = select("margin revenue kidney", Context((passage(HARBOUR), passage(TURBINE, 100))))
    first, second = narrowed.passages
    assert first.chunk.text == TURBINE
    assert second.chunk.text == HARBOUR
    assert first.score > second.score
    both = select("kidney kidney harbour", Context((passage(HARBOUR),)))
    assert pieces(both) == [
        ["The harbour counted its arrivals in May.", "The kidney filters the blood of mammals."]
    ]


def test_the_evidence_is_the_best_cosine_whatever_is_kept(bundled: Embedder) -> None:
    context = Context((passage(HARBOUR), passage(TURBINE, 100)))
    question = "How many ships arrived at the port?"
    sentences = [*HARBOUR.split(". "), *TURBINE.split(". ")]
    sentences = [sentence if sentence.endswith(".") else sentence + "." for sentence in sentences]
    cosines = bundled.embed_documents(sentences) @ bundled.embed_queries([question])[0]
    for keep in (0, 1, 2, 50):
        narrowed = SelectSentences(bundled, keep)(question, context)
        assert narrowed.evidence == pytest.approx(float(cosines.max()), abs=0.01)
        if keep == 1:
            assert pieces(narrowed) == [[sentences[int(cosines.argmax())]]]


def test_the_bundled_embedder_tells_evidence_from_its_absence(bundled: Embedder) -> None:
    context = Context((passage(HARBOUR), passage(TURBINE, 100)))
    select = SelectSentences(bundled, 1)
    asked, foreign = (
        select(question, context).evidence
        for question in ("What was counted at the harbour in May?", "Who won the chess title?")
    )
    assert asked is not None
    assert foreign is not None
    assert asked > 0.5 > 0.3 > foreign


def test_0_sentences_keeps_every_passage_whole_and_only_judges() -> None:
    context = Context((passage(HARBOUR), passage(TURBINE, 100, kept=[Span(100, 137)])))
    narrowed = SelectSentences(WordEmbedder(), 0)("harbour", context)
    assert narrowed.passages == context.passages
    assert narrowed.evidence is not None


def test_a_sentence_that_several_chunks_hold_is_judged_and_kept_once() -> None:
    embedder = WordEmbedder()
    context = Context((passage(HARBOUR, key="a"), passage(HARBOUR, key="b"), passage(TURBINE, 100)))
    narrowed = SelectSentences(embedder, 4)("harbour arrivals", context)
    assert len(embedder.judged) == len(set(embedder.judged)) == 4
    assert [each.chunk.doc_id for each in narrowed.passages] == ["a", "a"]


def test_only_what_is_still_kept_is_judged() -> None:
    embedder = WordEmbedder()
    kept = [Span(41, len(HARBOUR))]
    narrowed = SelectSentences(embedder, 5)(
        "harbour arrivals", Context((passage(HARBOUR, 0, kept),))
    )
    assert embedder.judged == ["The kidney filters the blood of mammals."]
    assert narrowed.passages[0].kept == SpanSet(kept)


def test_what_holds_hardly_a_letter_is_no_evidence() -> None:
    embedder = WordEmbedder()
    text = f"Total\n\n17\n\n1,204 1,150 980\n\n{HARBOUR}"
    SelectSentences(embedder, 5)("harbour", Context((passage(text),)))
    assert len(embedder.judged) == 2


@pytest.mark.parametrize("text", ["17", "Total 4", "— . … !"])
def test_where_no_sentence_can_be_judged_nothing_is_dropped(text: str) -> None:
    context = Context((passage(text),))
    narrowed = SelectSentences(WordEmbedder(), 3)("harbour", context)
    assert (narrowed.passages, narrowed.evidence) == (context.passages, None)


def test_an_empty_context_stays_empty() -> None:
    assert SelectSentences(WordEmbedder(), 3)("harbour", Context()) == Context()


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


@given(contexts(), st.integers(0, 5), st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join))
def test_selection_only_narrows(context: Context, keep: int, question: str) -> None:
    embedder = WordEmbedder()
    narrowed = SelectSentences(embedder, keep)(question, context)
    given_to = {each.chunk.doc_id: each for each in context.passages}
    assert len({each.chunk.doc_id for each in narrowed.passages}) == len(narrowed.passages)
    for each in narrowed.passages:
        assert each.chunk == given_to[each.chunk.doc_id].chunk
        assert each.kept <= given_to[each.chunk.doc_id].kept
    if embedder.judged:
        query = embedder.embed_queries([question])[0]
        cosines = WordEmbedder().embed_documents(embedder.judged) @ query
        assert narrowed.evidence == pytest.approx(float(cosines.max()))
        if keep:
            assert 1 <= len(narrowed.passages) <= keep
            # Exactly the best are kept: as many as asked for, or all there are.
            kept = "".join(piece for each in pieces(narrowed) for piece in each)
            best = sorted(cosines.tolist(), reverse=True)[:keep]
            worst_kept = min(
                cosine
                for text, cosine in zip(embedder.judged, cosines.tolist(), strict=True)
                if text in kept
            )
            assert worst_kept <= best[-1] + 1e-6
            assert narrowed.passages[0].score == pytest.approx(narrowed.evidence)
    else:
        assert narrowed == context
