from __future__ import annotations

import pytest
from harbour import HARBOUR

from pipelines.synthesize.corpus import Corpus
from pipelines.synthesize.draft import Draft, Task
from pipelines.synthesize.filters import Filters
from pipelines.synthesize.windows import Reading, Window
from rag.settings import SynthesisSettings
from rag.spans import Span, SpanSet

ARRIVALS = "In May the harbour office recorded 412 arrivals in all weathers."


def draft(corpus: Corpus, question: str, *excerpts: str, answer: str = "412") -> Draft:
    """A question about the harbour, with these stretches of it as references."""
    document = next(each for each in corpus.documents if each.name == "harbour.txt")
    reading = Reading(document)
    window = Window(reading, 0, len(reading.sentences), 4_000)
    starts = [(HARBOUR.index(each), len(each)) for each in excerpts]
    spans = SpanSet(Span(start, start + length) for start, length in starts)
    return Draft(Task(0, window, "numeric", ""), question, answer, "numeric", spans)


@pytest.mark.parametrize(
    ("question", "excerpts", "answer", "cause"),
    [
        ("How many arrivals did the office count in May?", [ARRIVALS], "412", ""),
        ("Many arrivals were recorded in May", [ARRIVALS], "412", "not a question"),
        ("May?", [ARRIVALS], "412", "not a question"),
        ("Here is a question: how many arrivals?", [ARRIVALS], "412", "not a question"),
        ("How many <b>arrivals</b> were there in May?", [ARRIVALS], "412", "not a question"),
        (f"How many {'very ' * 60}late arrivals?", [ARRIVALS], "412", "not a question"),
        ("Port fees is high here on coast?", [ARRIVALS], "412", "not a question"),
        ("Did 412 ships arrive in one month?", [ARRIVALS], "yes", ""),
        ("How many ships (p < 0.05) came to the harbour office?", [ARRIVALS], "412", ""),
        ("How many arrivals does the passage mention?", [ARRIVALS], "412", "vague"),
        ("How many US ships did the harbour office record in IT?", [ARRIVALS], "412", ""),
        ("Why does the harbour office record its arrivals?", [ARRIVALS], "412", ""),
        ("How many of them arrived in May?", [ARRIVALS], "412", "vague"),
        ("Were there 412 arrivals in May?", [ARRIVALS], "412", "leakage"),
        (
            "Did the harbour office in May have recorded arrivals in all weathers?",
            [ARRIVALS],
            "none",
            "leakage",
        ),
        ("Which rose blooms in the botanical garden?", [ARRIVALS], "412", "unlike its evidence"),
        (
            "How many arrivals did the office count in May?",
            [ARRIVALS, "Divers inspect the pillars of the Kestrel bridge"],
            "412",
            "unlike its evidence",  # every excerpt has to be near
        ),
    ],
)
def test_each_cause_and_nothing_where_there_is_none(
    corpus: Corpus, question: str, excerpts: list[str], answer: str, cause: str
) -> None:
    filters = Filters(corpus.index, SynthesisSettings())
    assert filters.cause(draft(corpus, question, *excerpts, answer=answer)) == cause


def test_a_question_that_another_sentence_answers_as_well_is_ambiguous(corpus: Corpus) -> None:
    filters = Filters(corpus.index, SynthesisSettings())
    spans = "The Kestrel bridge spans the outer basin and carries a single railway track."
    inspect = "Divers inspect the pillars of the Kestrel bridge in spring."
    plain = "What does the Kestrel bridge carry across the basin?"
    assert filters.cause(draft(corpus, plain, spans, answer="a railway track")) == ""
    both = "What is known of the Kestrel bridge?"
    assert filters.cause(draft(corpus, both, inspect, answer="divers inspect it")) == "ambiguous"
    assert filters.cause(draft(corpus, both, inspect, spans, answer="divers inspect it")) == ""


def test_a_question_is_asked_once_in_whatever_words(corpus: Corpus) -> None:
    filters = Filters(corpus.index, SynthesisSettings())
    asked = draft(corpus, "How many arrivals did the office count in May?", ARRIVALS)
    alike = draft(corpus, "How many arrivals did the office count during May?", ARRIVALS)
    other = draft(corpus, "Who records arrivals at the harbour?", ARRIVALS, answer="the office")
    assert [filters.cause(each) for each in (asked, alike, other)] == ["", "", ""]
    filters.admit([asked.question])
    assert filters.cause(asked) == "duplicate"
    assert filters.cause(alike) == "duplicate"
    assert filters.cause(other) == ""


def test_bounds_are_those_of_the_settings(corpus: Corpus) -> None:
    question = draft(corpus, "How many arrivals did the office count in May?", ARRIVALS)
    assert Filters(corpus.index, SynthesisSettings(min_similarity=0.99)).cause(question) == (
        "unlike its evidence"
    )
    assert Filters(corpus.index, SynthesisSettings(max_leakage=0.1)).cause(question) == "leakage"


def test_an_excerpt_that_stands_twice_is_none(corpus: Corpus) -> None:
    filters = Filters(corpus.index, SynthesisSettings())
    once = draft(corpus, "What spans the outer basin of Lenz?", "Kestrel bridge", answer="a bridge")
    assert filters.cause(once) == "repeated text"
