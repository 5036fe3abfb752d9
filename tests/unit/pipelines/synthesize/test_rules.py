from __future__ import annotations

import pytest
from harbour import HARBOUR, task_of, window_of

from pipelines.synthesize.draft import Draft, Rejected, Task
from pipelines.synthesize.grammar import one_line
from pipelines.synthesize.rules import RulesEngine
from rag.settings import QuestionKind, SynthesisSettings

STATEMENTS: list[tuple[QuestionKind, str, str, str]] = [
    (
        "numeric",
        "Gross margin of the group was 47.3% in 2025, after 46.4%.",
        "What was Gross margin of the group in 2025?",
        "47.3%",
    ),
    (
        "numeric",
        "In all, the office recorded 412 arrivals in May. The harbour office recorded 412 arrivals "
        "in May.",
        "How many arrivals did the harbour office record in May?",
        "412",
    ),
    (
        "numeric",
        "About 54% of patients died in hospital within a month.",
        "What percentage of patients died in hospital within a month?",
        "54%",
    ),
    (
        "numeric",
        "412 patients were enrolled at nine hospitals.",
        "How many patients were enrolled at nine hospitals?",
        "412",
    ),
    (
        "numeric",
        "Sales in the northern region rose by as much as 4.2% on the year.",
        'Which figure completes the statement "Sales in the northern region rose by as much as … '
        'on the year"?',
        "4.2%",
    ),
    (
        "definition",
        "Infection by mother-to-child transmission (MTCT) is common.",
        "What does MTCT stand for?",
        "mother-to-child transmission",
    ),
    (
        "definition",
        "Cobalt Strike is a commercial tool that testers of networks use.",
        "What is Cobalt Strike?",
        "a commercial tool that testers of networks use",
    ),
    (
        "procedure",
        "To mitigate the flaw in the gateway, upgrade it to version 7.4.",
        "How can one mitigate the flaw in the gateway?",
        "upgrade it to version 7.4",
    ),
    (
        "procedure",
        "Network operators should patch every server to prevent reuse of stolen tokens.",
        "What should Network operators do to prevent reuse of stolen tokens?",
        "patch every server",
    ),
    (
        "attribution",
        "According to Mirella Okafor, the pier needs a second crane.",
        "Who is the source for the statement that the pier needs a second crane?",
        "Mirella Okafor",
    ),
    (
        "attribution",
        "The Coastal Bureau warned that two groups share one loader.",
        "Who warned that two groups share one loader?",
        "The Coastal Bureau",
    ),
    (
        "attribution",
        "The old lighthouse was built by Anton Reyes in one summer.",
        "By whom or what was the old lighthouse built?",
        "Anton Reyes in one summer",
    ),
    (
        "explanation",
        "Operating costs were higher in March because fuel was dear.",
        "Why were Operating costs higher in March?",
        "fuel was dear",
    ),
    (
        "explanation",
        "The DC-SIGNR gene plays a crucial role in transmission.",
        "What plays a crucial role in transmission?",
        "The DC-SIGNR gene",
    ),
]


def drafts(text: str, kind: QuestionKind, count: int = 8) -> list[Draft]:
    engine = RulesEngine(SynthesisSettings())
    made = [engine.draft([Task(n, window_of(text), kind, "")])[0] for n in range(count)]
    return [each for each in made if isinstance(each, Draft)]


@pytest.mark.parametrize(("kind", "text", "question", "answer"), STATEMENTS)
def test_a_statement_becomes_a_question_with_the_sentence_that_answers_it(
    kind: QuestionKind, text: str, question: str, answer: str
) -> None:
    (found,) = [each for each in drafts(text, kind) if each.question == question]
    assert found.answer == answer
    assert found.kind == kind
    (excerpt,) = found.excerpts
    assert excerpt in text
    assert answer in excerpt
    assert RulesEngine(SynthesisSettings()).confirm(found)[0]


@pytest.mark.parametrize(
    "text",
    [
        "Net income was $5 million higher in 2024 than in 2023.",
        "Operating income of the group was 8% lower than in 2024.",
        "Industrial Metrology operating income was 14.6% of its revenue in 2025.",
        "The growth rate of arrivals was 5% to 7% in 2024.",
        "The harbour light of Lenz was 3 km from the town of Orso.",
        "Ticket prices of the ferry were reduced by 12% in the year 2020.",
        "The running costs were higher not because fuel had become dear.",
        "To a large extent, the harbour was rebuilt in plain stone.",
        "Table 3 showed that many ships came late in the season.",
        "The following provides a closer look at the early version.",
        "The sender was an account at a large portal in the north.",
        "Proofpoint assesses with confidence the group is a known actor.",
        "The executable downloaded the second stage from a far server.",
        "The first of the two downloaded payloads is a plain encoder.",
        "Even though the key length is 24 nobody has read the message.",
        "It was 47.3% of revenue in 2025, as this shows.",
        "These costs were higher because they rose.",
        "Revenue 1,204 1,150 1,020",
        "Who was the first to see that it was so?",
        "we were higher because of costs in the second quarter",
        "See Note 12 for more, as the board has said.",
    ],
)
def test_what_points_elsewhere_or_is_no_statement_is_not_asked_about(text: str) -> None:
    kinds: tuple[QuestionKind, ...] = ("attribution", "procedure", "explanation", "definition")
    assert [each.question for kind in kinds for each in drafts(text, kind)] == []


def test_questions_of_one_document_are_all_different_and_run_out() -> None:
    engine = RulesEngine(SynthesisSettings())
    made = [engine.draft([task_of(HARBOUR, "numeric", n)])[0] for n in range(30)]
    questions = [each.question for each in made if isinstance(each, Draft)]
    assert len(questions) == len(set(questions)) >= 8
    assert isinstance(made[-1], Rejected)
    assert made[-1].cause == "nothing to ask"
    assert {each.kind for each in made if isinstance(each, Draft)} >= {
        "numeric", "definition", "procedure", "attribution", "explanation",
    }  # fmt: skip


def test_what_an_earlier_run_asked_is_not_asked_again() -> None:
    first, later = RulesEngine(SynthesisSettings()), RulesEngine(SynthesisSettings())
    (once,) = first.draft([task_of(HARBOUR)])
    assert isinstance(once, Draft)
    later.remember(once.task.window.document.id, once.question)
    (then,) = later.draft([task_of(HARBOUR)])
    assert isinstance(then, Draft)
    assert then.question != once.question


def test_a_comparison_has_its_excerpts_in_distant_places() -> None:
    window = window_of(HARBOUR, until="Dredging")
    (made,) = RulesEngine(SynthesisSettings()).draft([Task(0, window, "comparison", "")])
    assert isinstance(made, Draft)
    assert made.kind == "comparison"
    assert "Kestrel" in made.question
    assert len(made.references.spans) == 2
    assert all("Kestrel bridge" in excerpt for excerpt in made.excerpts)
    assert [one_line(each) for each in made.excerpts] == made.answer.split(" | ")


def test_bounds_keep_their_hedge_and_figures_their_own_year() -> None:
    (found,) = drafts("The error rate of the gauges was less than 2% in 2021.", "numeric", 1)
    assert found.answer == "less than 2%"
    text = "Landings of cod were 5 million tonnes in 2018 compared with 4 million in 2019."
    (found,) = drafts(text, "numeric", 1)
    assert (found.question, found.answer) == (
        "What were Landings of cod in 2018?",
        "5 million tonnes",
    )


def test_kinds_and_excerpts_are_those_of_the_settings() -> None:
    few = SynthesisSettings(kinds=("definition", "comparison"), max_references=1)
    engine = RulesEngine(few)
    window = window_of(HARBOUR, until="Dredging")
    made = [engine.draft([Task(n, window, few.kinds[n % 2], "")])[0] for n in range(12)]
    asked = [each for each in made if isinstance(each, Draft)]
    assert {each.kind for each in asked} == {"definition"}


def test_an_answer_that_the_excerpts_do_not_hold_is_not_confirmed() -> None:
    (made,) = RulesEngine(SynthesisSettings()).draft([task_of(HARBOUR)])
    assert isinstance(made, Draft)
    other = Draft(made.task, made.question, "no such words", made.kind, made.references)
    assert RulesEngine(SynthesisSettings()).confirm(made)[0]
    assert not RulesEngine(SynthesisSettings()).confirm(other)[0]


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("ACME_2022_10K.txt", "In ACME 2022 10K, what was Gross margin of the group?"),
        ("notes.txt", "What was Gross margin of the group?"),
        ("2022.txt", "What was Gross margin of the group?"),
    ],
)
def test_a_document_with_a_year_in_its_name_is_named(name: str, question: str) -> None:
    text = "Gross margin of the group was 47.3% in the last quarter."
    engine = RulesEngine(SynthesisSettings())
    first, second = (
        engine.draft([Task(0, window_of(text, name), "numeric", "")])[0] for _ in range(2)
    )
    assert first.question == question
    assert second.question != question  # it is not asked twice
