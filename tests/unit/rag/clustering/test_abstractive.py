"""Clustering by summaries: whatever a model writes, nothing goes on that no source says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag.clustering import SummariseClusters, SummaryCache
from rag.clustering.abstractive import _words, trace
from rag.embedding.base import Embedder, Vectors
from rag.embedding.memo import RememberingEmbedder
from rag.embedding.registry import load_embedder
from rag.errors import ModelError
from rag.generation import Generation
from rag.generation.base import Summariser
from rag.grounding.support import content_words, figures
from rag.sentences import sentence_spans
from rag.settings import ClusteringSettings, EmbeddingSettings
from rag.spans import Span, SpanSet
from rag.types import Chunk, Context, Passage

REVIEWS = [
    "The battery lasts two days. The screen is bright outdoors.",
    "Battery lasts two days! The camera is poor in the dark.",
    "The battery lasts for two days. The screen is very bright outdoors.",
    "The speaker crackles all the time. The battery lasts two days.",
]
FIGURES = "The phone was sold for 1,300 euros in 2021."
START = 7  # of every chunk in its document


class Scripted:
    """Writes what it is told to (the last again and again), and keeps what it was given."""

    signature = "scripted"

    def __init__(self, *written: str | Exception | Generation) -> None:
        self._written = list(written)
        self.asked: list[tuple[list[str], int]] = []

    def summarise(self, texts: Sequence[str], words: int) -> Generation:
        self.asked.append((list(texts), words))
        told = self._written.pop(0) if len(self._written) > 1 else self._written[0]
        if isinstance(told, Exception):
            raise told
        return told if isinstance(told, Generation) else Generation(told, 1, 10)


class Copying:
    """Writes what it reads."""

    signature = "copying"

    def summarise(self, texts: Sequence[str], words: int) -> Generation:
        return Generation(" ".join(texts), 1, 10)


class Forgetful(SummaryCache):
    """Remembers nothing, and needs no disk for it."""

    def get(self, key: str) -> str | None:
        return None

    def put(self, key: str, text: str) -> None:
        pass


def one_group(vectors: Vectors, policy: str) -> NDArray[np.int64]:
    return np.zeros(len(vectors), dtype=np.int64)


def in_pairs(vectors: Vectors, policy: str) -> NDArray[np.int64]:
    return np.arange(len(vectors), dtype=np.int64) // 2


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return RememberingEmbedder(load_embedder(EmbeddingSettings(precision="float32")))


@pytest.fixture(scope="module")
def new_cache(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], SummaryCache]:
    def new() -> SummaryCache:
        return SummaryCache(tmp_path_factory.mktemp("cache") / "summaries.sqlite")

    return new


@pytest.fixture(scope="module")
def forgetful() -> SummaryCache:
    return Forgetful()


Make = Callable[..., SummariseClusters]


@pytest.fixture(scope="module")
def stage(embedder: Embedder, new_cache: Callable[[], SummaryCache]) -> Make:
    """A stage that puts everything in one group and has room for hardly a sentence."""

    def make(
        summariser: Summariser,
        cache: SummaryCache | None = None,
        grouping: Callable[[Vectors, str], NDArray[np.int64]] = one_group,
        **chosen: object,
    ) -> SummariseClusters:
        settings = ClusteringSettings(
            **{"mode": "abstractive", "budget": 12, "min_redundancy": 0.0} | chosen
        )
        return SummariseClusters(embedder, settings, summariser, cache or new_cache(), grouping)

    return make


def passage(text: str, at: int, kept: Sequence[Span] = (), start: int = START) -> Passage:
    chunk = Chunk(f"d{at}", "r", at, Span(start, start + len(text)), text, name=f"{at}.txt")
    return Passage(chunk, SpanSet(kept or [chunk.span]), score=1.0 - at / 100)


def context(texts: Sequence[str]) -> Context:
    return Context(tuple(passage(text, at) for at, text in enumerate(texts)))


def summaries(found: Context) -> list[str]:
    return [each.written for each in found.passages if each.written]


def assert_sound(found: Context, given_to: Context, embedder: Embedder, budget: float) -> None:
    """What holds of every context that comes out, whatever a model wrote."""
    before = {each.chunk.id: each for each in given_to.passages}
    for each in found.sources:
        assert each.kept, "a source without text"
        assert each.kept <= before[each.chunk.id].kept
        assert not each.written
        assert not each.beside
    stretches = [(each.chunk.id, span) for each in found.sources for span in each.kept]
    assert len(set(stretches)) == len(stretches)
    for each in found.passages:
        if each.written:
            assert_traced(each, embedder, budget)


def assert_traced(summary: Passage, embedder: Embedder, budget: float) -> None:
    """Every sentence stands in the sources; all but one of them fit the budget."""
    said = content_words(" ".join(piece for source in summary.sources for piece in source.pieces))
    sentences = [span.text_in(summary.written) for span in sentence_spans(summary.written)]
    assert sentences
    for sentence in sentences:
        words = content_words(sentence)
        assert figures(words) <= said
        assert len(words & said) >= 0.7 * len(words) - 1e-9
    count = embedder.counter.count
    assert sum(map(count, sentences)) <= budget + max(map(count, sentences))
    assert summary.written == " ".join(summary.written.split())


# --- trace: what a sentence came from ------------------------------------------------------

SAID = [content_words(each) for each in ("The battery lasts two days.", FIGURES, "A bright screen")]


@pytest.mark.parametrize(
    ("sentence", "sources"),
    [
        ("The battery lasts two days.", [0]),
        ("THE BATTERY LASTS TWO DAYS", [0]),
        ("- **Battery** lasts two days", [0]),
        ("The phone was sold for 1,300 euros.", [1]),
        ("The battery lasts two days and the phone was sold for 1,300 euros.", [1, 0]),
        ("The phone was sold for 1300 euros.", []),  # another way to write it may be another number
        ("The phone was sold for 1,3 euros.", []),
        ("The phone was sold for 1 euros.", []),
        ("The phone was sold for 300 euros in 2021.", []),
        ("In 2022 the phone was sold for 1,300 euros.", []),
        ("The battery lasts 2 days.", []),
        ("The camera is good.", []),
        ("It is so.", []),  # nothing that could be looked up
        ("", []),
        ("   \n", []),
        ("!!!", []),
        ("🦦", []),
    ],
)
def test_a_sentence_is_traced_to_what_says_it_and_to_nothing_else(
    sentence: str, sources: list[int]
) -> None:
    assert trace(sentence, SAID) == sources


def test_a_sentence_without_sources_is_not_traced() -> None:
    assert trace("The battery lasts two days.", []) == []
    assert trace("The battery lasts two days.", [set(), set()]) == []


def test_a_sentence_joins_three_sources_at_most() -> None:
    sources = [{f"word{letter}", f"name{letter}"} for letter in "abcd"]
    words = [" ".join(sorted(each)) for each in sources]
    for count in (1, 2, 3):
        assert trace(" ".join(words[:count]), sources) == list(range(count))
    assert len(trace(" ".join(words), sources)) <= 3


def test_a_word_here_and_a_number_there_make_no_claim() -> None:
    said = [{"price", "low", "fair"}, {"warranty", "lasts", "3", "years"}]
    assert trace("The price is 3 years.", said) == []
    assert trace("The warranty lasts 3 years.", said) == [1]


def test_a_sentence_cut_off_at_the_end_is_left_out(stage: Make) -> None:
    writer = Scripted("The battery lasts two days. The speaker crackles all the")
    found = stage(writer, budget=30)("?", context(REVIEWS))
    assert summaries(found) == ["The battery lasts two days."]
    lone = stage(Scripted("The battery lasts two days"), budget=30)("?", context(REVIEWS))
    assert summaries(lone) == ["The battery lasts two days"]


@pytest.mark.parametrize(
    "sentence", ["1. The battery lasts two days.", "2) The battery lasts two days."]
)
def test_the_number_of_a_list_item_is_no_figure_that_a_source_must_hold(sentence: str) -> None:
    assert trace(sentence, SAID) == [0]


def test_a_figure_that_only_another_source_holds_is_looked_for_there() -> None:
    words = [f"word{letter}" for letter in "abcdefghi"]
    sentence = " ".join([*words, "weight", "77"])
    assert trace(sentence, [set(words), {"77", "weight"}]) == [0, 1]


def test_where_four_fifths_are_found_no_further_source_is_looked_for() -> None:
    assert trace("alpha beta gamma delta epsilon", [set("alpha beta gamma delta".split()),
                                                    {"epsilon", "unrelated"}]) == [0]  # fmt: skip


@pytest.mark.parametrize(
    "sentence",
    ["The battery lasts three days.", "The battery lasts ½ days.", "The battery lasts ten days."],
)
def test_a_number_in_words_or_as_a_fraction_is_held_to_its_source_too(sentence: str) -> None:
    assert trace(sentence, SAID) == []


@pytest.mark.parametrize(
    "sentence",
    ["The battery does not last: lasts two days.", "The battery never lasts two days.",
     "The battery lasts no two days."],
)  # fmt: skip
def test_a_sentence_that_denies_what_its_source_says_is_not_traced(sentence: str) -> None:
    assert trace(sentence, SAID) == []


@pytest.mark.parametrize(
    ("sentence", "elsewhere"),
    [
        ("The battery lasts 9 days.", "The box weighs 9 pounds."),
        ("The battery lasts ten days.", "My sister bought ten of them."),
        ("The battery never lasts 2 days.", "She would not buy another strap."),
    ],
)
def test_a_number_or_a_denial_is_not_borrowed_from_a_sentence_about_something_else(
    sentence: str, elsewhere: str
) -> None:
    said = ["The battery lasts 2 days.", elsewhere]
    assert trace(sentence, [_words(each) for each in said]) == []


def test_a_sentence_of_one_word_said_twice_tells_nothing(stage: Make) -> None:
    found = stage(Scripted("The battery was a battery."))("?", context(REVIEWS))
    assert not found.written


WORD = st.sampled_from("battery lasts days screen bright 2 3 1,300 1300 4.2 2021 the is".split())
SENTENCE = st.lists(WORD, max_size=9).map(" ".join)


@given(st.one_of(SENTENCE, st.text(max_size=60)), st.lists(SENTENCE, max_size=5))
@example("battery 1,300", ["battery 1300"])
@example("a-1 b", ["1 a b"])
@example("３ days", ["3 days"])  # noqa: RUF001 (a full-width digit is meant)
def test_no_figure_is_accepted_that_no_source_holds(sentence: str, said: list[str]) -> None:
    sources = [content_words(each) for each in said]
    lead = trace(sentence, sources)
    assert lead == trace(sentence, sources)
    assert len(lead) == len(set(lead)) <= 3
    if lead:
        words = content_words(sentence)
        held: set[str] = set().union(*(sources[at] for at in lead))
        assert figures(words) <= held
        assert len(words & held) >= 0.7 * len(words) - 1e-9
        assert all(sources[at] & words for at in lead), "a source that shares nothing"


@given(st.lists(st.text(max_size=30), min_size=1, max_size=4), st.data())
def test_what_stands_in_a_source_word_for_word_is_always_traced(
    said: list[str], data: st.DataObject
) -> None:
    sentence = data.draw(st.sampled_from(said))
    lead = trace(sentence, [content_words(each) for each in said])
    assert bool(lead) == bool(content_words(sentence))


# --- what goes on --------------------------------------------------------------------------


def test_a_cluster_too_long_for_its_budget_is_told_by_a_summary(
    stage: Make, embedder: Embedder
) -> None:
    writer = Scripted("The battery lasts two days. The screen is bright outdoors.")
    given_to = context(REVIEWS)
    found = stage(writer, budget=20)("How long?", given_to)
    summary, *quoted = found.passages
    assert embedder.counter.total([each for passage in quoted for each in passage.pieces]) <= 8
    assert summary.written == "The battery lasts two days. The screen is bright outdoors."
    assert found.written
    assert summary.pieces == [summary.written]
    assert summary.chunk == summary.sources[0].chunk
    told = {piece for source in summary.sources for piece in source.pieces}
    assert any("two days" in piece for piece in told)
    assert any("bright" in piece for piece in told)
    assert not any("crackles" in piece for piece in told)
    assert (found.remark.llm_calls, found.remark.llm_tokens) == (1, 10)
    assert "1 clusters" in found.remark.note
    assert "1 summarised, 0 quoted" in found.remark.note
    assert set(found.remark.why) == {each.chunk.id for each in given_to.passages}
    assert_sound(found, given_to, embedder, 20)


def test_what_is_said_twice_is_read_once_in_the_order_of_the_passages(stage: Make) -> None:
    writer = Scripted("")
    stage(writer, alike=0.8)("?", context(REVIEWS))
    ((texts, words),) = writer.asked
    assert sum("two days" in text for text in texts) == 1
    assert sum("bright" in text for text in texts) == 1
    assert {"The camera is poor in the dark.", "The speaker crackles all the time."} <= set(texts)
    whole = " ".join(REVIEWS)
    assert texts == sorted(texts, key=whole.index)
    assert 0 < words <= 12


@pytest.mark.parametrize("budget", [1, 2, 5])
def test_a_model_is_never_asked_for_no_words_at_all(stage: Make, budget: int) -> None:
    writer = Scripted("")
    stage(writer, budget=budget, grouping=in_pairs)("?", context([*REVIEWS, *REVIEWS]))
    assert all(words > 0 for _, words in writer.asked)


def test_a_cluster_that_fits_is_quoted_and_nobody_is_asked(stage: Make, embedder: Embedder) -> None:
    writer = Scripted(RuntimeError("asked"))
    given_to = context(REVIEWS)
    found = stage(writer, budget=500, alike=0.8)("?", given_to)
    assert writer.asked == []
    assert not found.written
    assert sum("two days" in piece for piece in found.pieces) == 1
    assert (found.remark.llm_calls, found.remark.llm_tokens) == (0, 0)
    assert "0 summarised, 1 quoted" in found.remark.note
    assert_sound(found, given_to, embedder, 500)


def test_one_context_may_hold_summaries_and_quotations(stage: Make, embedder: Embedder) -> None:
    texts = [REVIEWS[0] + " " + FIGURES, REVIEWS[1], "A turbine turns in wind.", "A turbine turns."]
    writer = Scripted("The battery lasts two days.")
    found = stage(writer, budget=40, grouping=in_pairs)("?", context(texts))
    assert [bool(each.written) for each in found.passages] == [True, False, False, False]
    assert "1 summarised, 1 quoted" in found.remark.note
    assert_sound(found, context(texts), embedder, 20)


def test_clusters_of_one_passage_are_told_one_by_one(stage: Make, embedder: Embedder) -> None:
    def alone(vectors: Vectors, policy: str) -> NDArray[np.int64]:
        return np.arange(len(vectors), dtype=np.int64)

    given_to = context(REVIEWS)
    found = stage(Copying(), budget=16, grouping=alone)("?", given_to)
    assert [each.chunk.doc_id for each in found.passages] == ["d0", "d1", "d2", "d3"]
    assert all(len(each.sources) == 1 for each in found.passages)
    assert_sound(found, given_to, embedder, 4)


@pytest.mark.parametrize("policy", ["fixed:9", "fixed:2", "fixed:1", "silhouette", "sqrt"])
def test_any_number_of_groups_works_for_few_passages(
    embedder: Embedder, new_cache: Callable[[], SummaryCache], policy: str
) -> None:
    settings = ClusteringSettings(budget=8, min_redundancy=0.0, policy=policy)
    summarise = SummariseClusters(embedder, settings, Copying(), new_cache())
    for count in (2, 3, 4):
        given_to = context(REVIEWS[:count])
        found = summarise("?", given_to)
        assert found.passages
        assert found.passages[0].chunk.doc_id == "d0", "the best passage's cluster comes first"
        assert_sound(found, given_to, embedder, 8)


@pytest.mark.parametrize(
    "summary",
    ["", " ", "\n\n \t", "...", "It is so.", "Penguins rule Antarctica in 1812.", "```\n```",
     "The battery lasts 3 days.", "\x00\x1b[31m", "🦦🦦🦦"],
)  # fmt: skip
def test_where_nothing_written_can_be_traced_the_cluster_is_quoted_within_its_budget(
    stage: Make, embedder: Embedder, summary: str
) -> None:
    given_to = context(REVIEWS)
    found = stage(Scripted(summary), budget=14)("?", given_to)
    assert not found.written
    assert found.pieces
    assert embedder.counter.total(found.pieces) <= 14
    assert (found.remark.llm_calls, found.remark.llm_tokens) == (1, 10), "it was asked all the same"
    assert "0 summarised, 1 quoted" in found.remark.note
    assert_sound(found, given_to, embedder, 14)


def test_sentences_without_a_source_are_dropped_and_counted(stage: Make) -> None:
    writer = Scripted(
        "The battery lasts two days. Penguins rule Antarctica. The speaker crackles all the time. "
        "It was sold in 1812."
    )
    found = stage(writer, budget=30)("?", context(REVIEWS))
    assert summaries(found) == ["The battery lasts two days. The speaker crackles all the time."]
    assert "2 sentences without a source dropped" in found.remark.note


@pytest.mark.parametrize(
    "summary",
    [
        "The battery lasts two days.\nThe screen is bright outdoors.",
        "- The battery lasts two days.\n- The screen is bright outdoors.",
        "* **The battery** lasts two days.\n\n* The screen is *bright* outdoors.",
        "## Summary\n\nThe battery lasts two days.\r\n\r\nThe screen is bright outdoors.\n```",
        "The battery lasts two days.\u2028The screen is bright outdoors.",
    ],
)
def test_lines_bullets_and_headings_become_one_line_of_sentences(
    stage: Make, embedder: Embedder, summary: str
) -> None:
    given_to = context(REVIEWS)
    found = stage(Scripted(summary), budget=30)("?", given_to)
    (written,) = summaries(found)
    assert len(written.splitlines()) == 1
    for word in ("battery", "two days", "screen", "bright"):
        assert word in written
    assert_sound(found, given_to, embedder, 30)


def test_what_a_model_lists_by_number_is_told(stage: Make) -> None:
    writer = Scripted("1. The battery lasts two days.\n2. The screen is bright outdoors.")
    found = stage(writer, budget=30)("?", context(REVIEWS))
    assert found.written


def test_a_sentence_that_a_model_repeats_is_told_once(stage: Make) -> None:
    writer = Scripted("The battery lasts two days. " * 5 + "Two days the battery lasts!")
    found = stage(writer, budget=30)("?", context(REVIEWS))
    assert summaries(found) == ["The battery lasts two days."]
    assert "without a source" not in found.remark.note


def test_the_first_sentence_stays_however_long_and_the_next_only_where_there_is_room(
    stage: Make, embedder: Embedder
) -> None:
    given_to = context(REVIEWS)
    summary = "The battery lasts two days. The screen is bright outdoors. The speaker crackles."
    sentences = [span.text_in(summary) for span in sentence_spans(summary)]
    lengths = np.cumsum([embedder.counter.count(each) for each in sentences])
    for budget in range(1, int(lengths[-1]) + 1):
        (piece,) = summaries(stage(Scripted(summary), budget=budget)("?", given_to))
        told = max(int(np.searchsorted(lengths, budget, side="right")), 1)
        assert piece == " ".join(sentences[:told])


def test_the_same_context_is_told_the_same_by_another_stage(stage: Make) -> None:
    writer = Scripted("The screen is bright outdoors. The battery lasts two days.")
    one, other = (stage(writer, budget=20)("?", context(REVIEWS)) for _ in range(2))
    assert one == other


def test_a_summary_does_not_depend_on_the_question(stage: Make) -> None:
    writer = Scripted("The battery lasts two days.")
    summarise = stage(writer)
    one, other = summarise("How long?", context(REVIEWS)), summarise("", context(REVIEWS))
    assert one.passages == other.passages
    assert len(writer.asked) == 1


@pytest.mark.parametrize(
    "texts",
    [[], REVIEWS[:1], ["Total 5", "42"], ["The battery lasts two days.", "42"]],
    ids=["none", "one", "only short text", "one sentence"],
)
def test_what_is_too_little_to_cluster_is_left_as_it_is(stage: Make, texts: list[str]) -> None:
    writer = Scripted(RuntimeError("asked"))
    found = stage(writer)("?", context(texts))
    assert found.passages == context(texts).passages
    assert found.remark.note == "too little to cluster"
    assert writer.asked == []


def test_what_says_little_twice_is_left_as_it_is(stage: Make) -> None:
    given_to = context(["A turbine turns in every strong wind.", "The kidney filters the blood."])
    writer = Scripted(RuntimeError("asked"))
    found = stage(writer, min_redundancy=0.3)("?", given_to)
    assert found.passages == given_to.passages
    assert found.remark.note == "not clustered: 0% is said twice"


def test_a_passage_of_only_short_text_does_not_disturb_the_others(
    stage: Make, embedder: Embedder
) -> None:
    given_to = context([REVIEWS[0], "Total 5", REVIEWS[1], "42", REVIEWS[2]])
    found = stage(Copying(), budget=16, grouping=in_pairs)("?", given_to)
    assert {each.chunk.doc_id for each in found.sources} <= {"d0", "d2", "d4"}
    assert_sound(found, given_to, embedder, 8)


def test_a_passage_that_no_cluster_tells_is_not_said_to_be_told_by_one(stage: Make) -> None:
    given_to = context([REVIEWS[0], "Total 5", REVIEWS[1]])
    found = stage(Copying(), budget=16)("?", given_to)
    assert found.remark.why.get(given_to.passages[1].chunk.id) != "told by its cluster"


def test_chunks_that_overlap_say_their_sentence_once(stage: Make, embedder: Embedder) -> None:
    text = " ".join([*REVIEWS, FIGURES])
    spans = [Span(0, 120), Span(59, 180), Span(59, len(text)), Span(0, len(text))]
    chunks = [
        Chunk("d", "r", at, span, span.text_in(text), name="a.txt") for at, span in enumerate(spans)
    ]
    given_to = Context(tuple(Passage(chunk, SpanSet([chunk.span])) for chunk in chunks))
    for grouping in (one_group, in_pairs):
        writer = Copying()
        found = stage(writer, budget=20, grouping=grouping)("?", given_to)
        assert_sound(found, given_to, embedder, 20)
        for source in found.sources:
            assert source.pieces == source.kept.texts_in(text)


def test_a_chunk_that_occurs_twice_is_told_once(stage: Make, embedder: Embedder) -> None:
    each = passage(REVIEWS[0] + " " + FIGURES, 0)
    given_to = Context((each, each, passage(REVIEWS[1], 1)))
    found = stage(Copying(), budget=16)("?", given_to)
    assert_sound(found, given_to, embedder, 16)


def test_what_was_narrowed_before_stays_narrowed(stage: Make, embedder: Embedder) -> None:
    first = REVIEWS[0].index(" The screen") + START
    narrowed = Context(
        (
            passage(REVIEWS[0], 0, [Span(START, first)]),
            passage(REVIEWS[1], 1),
            passage(REVIEWS[3], 3, [Span(START, START + 34)]),
        )
    )
    writer = Scripted("The screen is bright outdoors. The battery lasts two days.")
    found = stage(writer, budget=10)("?", narrowed)
    assert found.pieces == ["The battery lasts two days."], "what was cut is no source"
    assert "bright" not in " ".join(writer.asked[0][0])
    assert_sound(found, narrowed, embedder, 10)


@pytest.mark.parametrize(
    "texts",
    [
        [
            "Die Größe der Häuser überrascht jeden Gast.",
            "Größe der Häuser überrascht die Gäste. 🦦🦦",
        ],
        ["Батарея работает два полных дня. Экран очень яркий.", "Батарея работает два дня подряд."],
        [
            "电池可以使用整整两天而且屏幕非常明亮清晰。",
            "电池可以使用整整两天但是相机在黑暗中很差。",
        ],
        ["İSTANBUL'DA PİL İKİ GÜN DAYANIYOR!", "istanbul'da pil iki gün dayaniyor, ekran parlak."],
    ],
)
def test_any_script_is_told_in_its_own_characters(
    stage: Make, embedder: Embedder, texts: list[str]
) -> None:
    given_to = context(texts)
    found = stage(Copying(), budget=6)("?", given_to)
    assert_sound(found, given_to, embedder, 6)
    whole = " ".join(texts)
    assert all(piece.split()[0] in whole for piece in found.pieces)


PIECES = [
    *(sentence for review in REVIEWS for sentence in review.split(". ")),
    FIGURES, "The phone was sold for 1300 euros.", "Penguins rule!", "\n- ", "\n\n", "## Summary\n",
    "1. ", "[S1] ", "</passage>", "<|im_start|>", "it is", "🦦 ",
]  # fmt: skip


@given(
    st.lists(st.sampled_from([*REVIEWS, FIGURES, "42"]), min_size=2, max_size=6),
    st.lists(st.sampled_from(PIECES) | st.text(max_size=9), max_size=6).map(" ".join),
    st.integers(1, 60),
    st.sampled_from([one_group, in_pairs]),
)
def test_whatever_a_model_writes_nothing_goes_on_that_no_source_says(
    stage: Make,
    embedder: Embedder,
    forgetful: SummaryCache,
    texts: list[str],
    summary: str,
    budget: int,
    grouping: Callable[[Vectors, str], NDArray[np.int64]],
) -> None:
    given_to = context(texts)
    found = stage(Scripted(summary), forgetful, budget=budget, grouping=grouping)("?", given_to)
    again = stage(Scripted(summary), forgetful, budget=budget, grouping=grouping)("?", given_to)
    assert found == again
    assert_sound(found, given_to, embedder, budget)
    assert found.passages


# --- what it costs -------------------------------------------------------------------------


def test_what_was_written_once_costs_nothing_again_and_is_the_same(
    stage: Make, new_cache: Callable[[], SummaryCache]
) -> None:
    cache, writer = new_cache(), Scripted("The battery lasts two days.")
    first = stage(writer, cache)("?", context(REVIEWS))
    second = stage(writer, cache)("something else?", context(REVIEWS))
    assert first.passages == second.passages
    assert (first.remark.llm_calls, second.remark.llm_calls) == (1, 0)
    assert (first.remark.llm_tokens, second.remark.llm_tokens) == (10, 0)
    assert len(writer.asked) == 1


def test_the_same_passages_in_another_order_cost_nothing_again(
    stage: Make, new_cache: Callable[[], SummaryCache]
) -> None:
    # the same passages otherwise) has all of its clusters written anew.
    cache, writer = new_cache(), Scripted("The battery lasts two days.")
    given_to = context(REVIEWS)
    stage(writer, cache)("?", given_to)
    again = stage(writer, cache)("other?", replace(given_to, passages=given_to.passages[::-1]))
    assert again.written
    assert (again.remark.llm_calls, len(writer.asked)) == (0, 1)


def test_what_was_written_before_another_cluster_failed_is_remembered(
    stage: Make, new_cache: Callable[[], SummaryCache]
) -> None:
    cache = new_cache()
    writer = Scripted("The battery lasts two days.", ModelError("gone"))
    broken = stage(writer, cache, grouping=in_pairs)("?", context(REVIEWS))
    assert broken.pieces[0] == "The battery lasts two days."
    assert all(not each.written for each in broken.passages[1:])
    assert "1 summarised, 1 quoted; the rest quoted: gone" in broken.remark.note
    assert (broken.remark.llm_calls, broken.remark.llm_tokens) == (1, 10)
    later = Scripted("The speaker crackles all the time.")
    found = stage(later, cache, grouping=in_pairs)("?", context(REVIEWS))
    assert len(later.asked) == found.remark.llm_calls == 1
    assert found.pieces[0] == "The battery lasts two days."


@pytest.mark.parametrize("changed", ["text", "budget", "model"])
def test_another_text_length_or_model_is_written_anew(
    stage: Make, new_cache: Callable[[], SummaryCache], changed: str
) -> None:
    cache, writer = new_cache(), Scripted("The battery lasts two days.")
    stage(writer, cache)("?", context(REVIEWS))
    other = Scripted("The battery lasts two days.")
    other.signature = "another" if changed == "model" else writer.signature
    texts = [*REVIEWS, "The strap broke in May."] if changed == "text" else REVIEWS
    stage(other, cache, budget=8 if changed == "budget" else 12)("?", context(texts))
    assert len(other.asked) == 1


def test_each_cluster_is_booked(stage: Make) -> None:
    writer = Scripted(
        Generation("The battery lasts two days.", 1, 30), Generation("Nothing known.", 2, 400)
    )
    found = stage(writer, budget=20, grouping=in_pairs)("?", context(REVIEWS))
    assert (found.remark.llm_calls, found.remark.llm_tokens) == (3, 430)
    assert "1 summarised, 1 quoted" in found.remark.note


def test_a_summariser_that_fails_is_a_model_error_and_nothing_is_remembered(
    stage: Make, new_cache: Callable[[], SummaryCache]
) -> None:
    cache = new_cache()
    with pytest.raises(ModelError, match="gone"):
        stage(Scripted(ModelError("gone")), cache)("?", context(REVIEWS))
    writer = Scripted("The battery lasts two days.")
    assert stage(writer, cache)("?", context(REVIEWS)).written
    assert len(writer.asked) == 1


def test_a_summary_that_came_out_empty_is_not_remembered_for_ever(
    stage: Make, new_cache: Callable[[], SummaryCache]
) -> None:
    cache = new_cache()
    stage(Scripted("  "), cache)("?", context(REVIEWS))
    writer = Scripted("The battery lasts two days.")
    assert stage(writer, cache)("?", context(REVIEWS)).written


def test_texts_that_a_model_had_no_room_for_are_said(stage: Make) -> None:
    left_out = "3 texts did not fit the model's window"
    writer = Scripted(Generation("The battery lasts two days.", 1, 10, left_out))
    assert left_out in stage(writer)("?", context(REVIEWS)).remark.note


def test_a_summary_of_half_the_texts_is_not_remembered_as_that_of_all(
    stage: Make, new_cache: Callable[[], SummaryCache]
) -> None:
    cache = new_cache()
    short = Generation("The battery lasts two days.", 1, 10, "3 texts did not fit")
    stage(Scripted(short), cache, budget=30)("?", context(REVIEWS))
    wider = Scripted("The speaker crackles all the time.")
    found = stage(wider, cache, budget=30)("?", context(REVIEWS))
    assert summaries(found) == ["The speaker crackles all the time."]


def test_what_cannot_be_stored_is_told_all_the_same(stage: Make) -> None:
    # UnicodeEncodeError, which the cache does not catch.
    writer = Scripted("The battery lasts two days. \ud83e")
    found = stage(writer)("?", context(REVIEWS))
    assert found.pieces[0].startswith("The battery lasts two days.")


def test_what_was_summarised_before_is_left_as_it_is(stage: Make) -> None:
    writer = Scripted("The battery lasts two days.")
    told = stage(writer, budget=24, grouping=in_pairs)("?", context(REVIEWS))
    assert told.written
    assert stage(writer, budget=8)("?", told).passages == told.passages


def test_what_a_summary_leaves_out_is_quoted_where_there_is_room(
    stage: Make, embedder: Embedder
) -> None:
    given_to = context(REVIEWS)
    for budget in (16, 24):
        found = stage(Scripted("The battery lasts two days."), budget=budget)("?", given_to)
        assert found.passages[0].written == "The battery lasts two days."
        assert len(found.passages) > 1
        assert embedder.counter.total(found.pieces) <= budget
        assert_sound(found, given_to, embedder, budget)


def test_what_a_summary_says_is_not_quoted_again(stage: Make) -> None:
    texts = ["The battery lasts two days.", "The speaker crackles all the time."] * 3
    writer = Scripted("The battery lasts two days.")
    found = stage(writer, budget=13)("?", context([*texts, "It broke."]))
    assert found.pieces[0] == "The battery lasts two days."
    assert not any("battery" in piece for piece in found.pieces[1:])
