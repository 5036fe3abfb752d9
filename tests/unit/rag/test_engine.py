from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.engine import ABSTENTION, QueryEngine
from rag.errors import ModelError, StoreError
from rag.generation import ExtractiveGenerator, Generation
from rag.generation.base import Watch
from rag.index import Index, open_index
from rag.ledger import Entry
from rag.pruning import SelectSentences
from rag.settings import SelectionSettings, Settings, StoreSettings
from rag.spans import Span, SpanSet
from rag.store import parse_condition
from rag.types import Answer, Context, Document

TEXTS = {
    "harbour.txt": (
        "The harbour office recorded 412 arrivals in May, 38 more than in April. "
        "Most of them carried timber. The ferry was repaired in June."
    ),
    "drug.txt": "Tamrezumab lowered asthma attacks by a third. Headache was common among patients.",
    "sales.txt": "Net sales rose 4.2% to 1.3 billion dollars. Operating costs fell in Norway.",
}
QUESTION = "How many arrivals did the harbour record in May?"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def index(home: Path) -> Iterator[Index]:
    with open_index(Settings(store=StoreSettings(path=home / "full")), create=True) as index:
        for year, (key, text) in enumerate(TEXTS.items(), start=2020):
            of = Document("file", key, f"docs/{key}", key, text, meta={"year": year})
            chunks = list(index.chunk(of))
            vectors = index.embed(chunks)
            index.store.stage(of, chunks, vectors.dense, vectors.lexical)
            index.store.commit(of.id, of.revision, 50)
        yield index


@pytest.fixture(scope="module")
def empty(home: Path) -> Iterator[Index]:
    with open_index(Settings(store=StoreSettings(path=home / "empty")), create=True) as index:
        yield index


class Scripted:
    """A generator that writes what it is told to, and keeps what it was given."""

    name = "scripted"

    def __init__(self, written: str | Exception | Generation) -> None:
        self._written = written
        self.given: list[Context] = []

    def generate(
        self, question: str, context: Context, *, watch: Watch | None = None
    ) -> Generation:
        self.given.append(context)
        if isinstance(self._written, Exception):
            raise self._written
        return self._written if isinstance(self._written, Generation) else Generation(self._written)


class Broken:
    name = "broken"

    def __call__(self, question: str, context: Context) -> Context:
        raise RuntimeError("the model is gone\nand here is a stack")


class Halve:
    """Keeps the first half of every passage."""

    name = "halve"

    def __call__(self, question: str, context: Context) -> Context:
        return Context(
            tuple(
                each.narrow(
                    SpanSet(
                        [Span(each.chunk.span.start, each.chunk.span.start + each.kept.length // 2)]
                    )
                )
                for each in context.passages
            ),
            context.evidence,
        )


def stages(answer: Answer) -> dict[str, Entry]:
    return {entry.stage: entry for entry in answer.ledger}


def held(answer: Answer, index: Index) -> int:
    counter = index.embedder.counter
    return sum(counter.count(piece) for each in answer.context.passages for piece in each.pieces)


def test_an_answer_is_quoted_cited_and_verified(index: Index) -> None:
    answer = QueryEngine(index, ExtractiveGenerator()).query(QUESTION)
    assert (answer.question, answer.abstained, answer.dropped_citations) == (QUESTION, False, 0)
    first = answer.citations[0]
    assert first.quote.startswith("The harbour office recorded 412 arrivals in May")
    assert first.span.text_in(TEXTS["harbour.txt"]) == first.quote
    assert (first.source, first.name, first.verified) == ("docs/harbour.txt", "harbour.txt", True)
    line = answer.text.splitlines()[0]
    assert line.startswith("The harbour office recorded 412 arrivals in May")
    assert line.endswith(" [1]")


def test_the_ledger_follows_the_tokens_from_stage_to_stage(index: Index) -> None:
    answer = QueryEngine(index, ExtractiveGenerator()).query(QUESTION)
    names = ["retrieve", "cluster", "select", "generate", "verify"]
    assert [entry.stage for entry in answer.ledger] == names
    assert answer.ledger.unit == index.embedder.counter.name
    booked = stages(answer)
    count = index.embedder.counter.count
    assert booked["retrieve"].tokens_out == sum(map(count, TEXTS.values()))
    assert booked["cluster"].tokens_in == booked["retrieve"].tokens_out
    assert booked["cluster"].tokens_out == booked["cluster"].tokens_in, "nothing is said twice"
    assert booked["select"].tokens_in == booked["cluster"].tokens_out
    assert 0 < booked["select"].tokens_out < booked["select"].tokens_in
    assert booked["generate"].tokens_in == booked["select"].tokens_out == held(answer, index)
    assert booked["verify"].tokens_in == booked["generate"].tokens_in
    assert booked["verify"].tokens_out == sum(count(each.quote) for each in answer.citations)
    assert 0 < booked["verify"].tokens_out <= booked["verify"].tokens_in
    for entry in answer.ledger:
        assert entry.seconds > 0
        assert (entry.llm_calls, entry.llm_tokens, entry.degraded) == (0, 0, "")
    assert answer.ledger.seconds == pytest.approx(sum(entry.seconds for entry in answer.ledger))


def test_what_a_generator_cost_and_left_out_is_booked(index: Index) -> None:
    written = Generation("412 arrivals [S1].", llm_calls=2, llm_tokens=345, degraded="1 left out")
    booked = stages(QueryEngine(index, Scripted(written)).query(QUESTION))["generate"]
    assert (booked.llm_calls, booked.llm_tokens, booked.degraded) == (2, 345, "1 left out")
    assert booked.tokens_out == index.embedder.counter.count("412 arrivals [S1].")


def test_stages_run_in_order_and_each_is_booked(index: Index) -> None:
    chosen = [SelectSentences(index.embedder, index.lexical, index.settings.selection), Halve()]
    answer = QueryEngine(index, ExtractiveGenerator(), chosen).query(QUESTION)
    names = [entry.stage for entry in answer.ledger]
    assert names == ["retrieve", "select", "halve", "generate", "verify"]
    booked = stages(answer)
    assert booked["halve"].tokens_in == booked["select"].tokens_out
    assert booked["halve"].tokens_out < booked["halve"].tokens_in


def test_without_stages_whole_chunks_go_to_the_generator(index: Index) -> None:
    generator = Scripted("412 arrivals [S1].")
    QueryEngine(index, generator, []).query(QUESTION)
    (context,) = generator.given
    assert {"".join(each.pieces) for each in context.passages} == set(TEXTS.values())
    assert context.evidence is None


def test_a_stage_that_raises_is_booked_as_degraded_and_changes_nothing(
    index: Index, caplog: pytest.LogCaptureFixture
) -> None:
    select = SelectSentences(index.embedder, index.lexical, index.settings.selection)
    with caplog.at_level(logging.WARNING, "rag.engine"):
        answer = QueryEngine(index, ExtractiveGenerator(), [select, Broken()]).query(QUESTION)
    plain = QueryEngine(index, ExtractiveGenerator(), [select]).query(QUESTION)
    assert (answer.text, answer.citations) == (plain.text, plain.citations)
    assert answer.context == plain.context
    booked = stages(answer)["broken"]
    assert booked.degraded == "RuntimeError: the model is gone"
    assert booked.tokens_in == booked.tokens_out == stages(answer)["select"].tokens_out
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "broken" in caplog.text


def test_an_answer_is_given_even_where_every_stage_fails(index: Index) -> None:
    answer = QueryEngine(index, ExtractiveGenerator(), [Broken(), Broken()]).query(QUESTION)
    assert not answer.abstained
    assert [entry.degraded != "" for entry in answer.ledger] == [False, True, True, False, False]


class Nonsense:
    name = "nonsense"

    def __call__(self, question: str, context: Context) -> Context:
        return None  # type: ignore[return-value]  # what a stage of a user's own may come to


def test_a_stage_that_returns_no_context_is_degraded_like_one_that_raises(index: Index) -> None:
    answer = QueryEngine(index, ExtractiveGenerator(), [Nonsense()]).query(QUESTION)
    assert not answer.abstained
    assert stages(answer)["nonsense"].degraded


def test_weak_evidence_abstains_and_says_how_weak(index: Index, home: Path) -> None:
    generator = Scripted("412 arrivals [S1].")
    answer = QueryEngine(index, generator).query("Who won the chess championship in Reykjavik?")
    assert answer.abstained
    assert answer.text.startswith(ABSTENTION)
    evidence = answer.context.evidence
    assert evidence is not None
    assert evidence < index.settings.selection.min_evidence
    assert f"{evidence:.2f}" in answer.text
    assert f"{index.settings.selection.min_evidence:.2f}" in answer.text
    assert (answer.citations, generator.given) == ((), [])
    assert [entry.stage for entry in answer.ledger] == ["retrieve", "cluster", "select"]


@pytest.mark.parametrize(("threshold", "abstains"), [(-1.0, False), (1.5, True)])
def test_the_threshold_is_the_settings_one(index: Index, threshold: float, abstains: bool) -> None:
    strict = index.settings.model_copy(
        update={"selection": SelectionSettings(min_evidence=threshold)}
    )
    engine = QueryEngine(Index(strict, index.store, index.embedder), ExtractiveGenerator())
    assert engine.query(QUESTION).abstained is abstains


def test_an_empty_index_abstains(empty: Index) -> None:
    generator = Scripted("anything")
    answer = QueryEngine(empty, generator).query(QUESTION)
    assert answer.abstained
    assert answer.text == f"{ABSTENTION} (nothing was retrieved)."
    assert answer.context.passages == ()
    assert (answer.citations, generator.given) == ((), [])
    assert stages(answer)["retrieve"].tokens_out == 0


def test_conditions_that_nothing_meets_abstain(index: Index) -> None:
    engine = QueryEngine(index, ExtractiveGenerator())
    answer = engine.query(QUESTION, conditions=[parse_condition("year=1999")])
    assert answer.abstained


def test_conditions_and_top_k_reach_retrieval(index: Index) -> None:
    engine = QueryEngine(index, ExtractiveGenerator(), [])
    narrowed = engine.query(QUESTION, conditions=[parse_condition("year>=2021")])
    assert {each.chunk.name for each in narrowed.context.passages} == {"drug.txt", "sales.txt"}
    assert len(engine.query(QUESTION, top_k=1).context.passages) == 1


@pytest.mark.parametrize("written", ["NOT FOUND", "  NOT FOUND.\n", "NOT FOUND in the sources", ""])
def test_a_model_that_finds_nothing_abstains(index: Index, written: str) -> None:
    answer = QueryEngine(index, Scripted(written)).query(QUESTION)
    assert answer.abstained
    assert answer.text == f"{ABSTENTION} (scripted found none in the sources)."
    assert answer.citations == ()
    names = ["retrieve", "cluster", "select", "generate"]
    assert [entry.stage for entry in answer.ledger] == names


def test_marks_of_a_model_are_resolved_and_false_ones_counted(index: Index) -> None:
    written = "412 arrivals were recorded in May [S1]. Penguins swim [S1][S9]."
    answer = QueryEngine(index, Scripted(written)).query(QUESTION)
    assert answer.text == "412 arrivals were recorded in May [1]. Penguins swim."
    assert answer.dropped_citations == 2
    assert [citation.verified for citation in answer.citations] == [True]


def test_a_model_error_passes_through(index: Index) -> None:
    failure = ModelError("no answer", hint="try again")
    with pytest.raises(ModelError) as caught:
        QueryEngine(index, Scripted(failure)).query(QUESTION)
    assert caught.value is failure


def test_a_store_error_passes_through(home: Path) -> None:
    with open_index(Settings(store=StoreSettings(path=home / "shut")), create=True) as index:
        engine = QueryEngine(index, ExtractiveGenerator())
    with pytest.raises(StoreError):
        engine.query(QUESTION)
