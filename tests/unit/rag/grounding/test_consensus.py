"""Consensus: whether two answers say the same, and by which rule that was decided."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag.grounding.consensus import Agreement, agree

ARRIVALS = "How many arrivals were recorded in May?"
MUCH = "How much did net sales change?"
OPENED = "When did the Kestrel bridge open?"
ROSE = "Did net sales rise in 2018?"
WHERE = "Where does the company operate?"
WHO = "Who designed the Kestrel bridge?"
WHY = "Why did sales fall?"

AGREE = [
    # yes, no and maybe
    (ROSE, "Yes.", "yes", "yes/no"),
    (ROSE, "Yes, by 4%.", "Yes", "yes/no"),
    (ROSE, "Yes, net sales rose in 2018.", "Yes [S1].", "yes/no"),
    (ROSE, "No, it fell.", "No.", "yes/no"),
    ("Did lumodapine delay relapse?", "No.", "Lumodapine did not delay relapse.", "yes/no"),
    ("Did lumodapine delay relapse?", "Yes.", "It did.", "yes/no"),
    ("Is the drug safe?", "Maybe", "Possibly, more trials are needed.", "yes/no"),
    ("In 2018, did sales rise?", "Yes", "Yes, they rose.", "yes/no"),
    # numbers
    (ARRIVALS, "The harbour recorded 412 arrivals.", "412", "number"),
    (ARRIVALS, "In 2018 the harbour recorded 412 arrivals [S2].", "412 [S1][S3]", "number"),
    (ARRIVALS, "four hundred and twelve", "412", "number"),
    (ARRIVALS, "0", "None.", "number"),
    (ARRIVALS, "No arrivals were recorded.", "zero", "number"),
    (ARRIVALS, "412 (12%) were recorded", "412", "number"),
    ("How many patients died?", "12 of 340 patients died.", "12", "number"),
    ("What percentage of patients died?", "41 of 340 patients (12%)", "12%", "number"),
    ("What was revenue in 2018?", "$1.2 million", "Revenue was USD 1,200,000.", "number"),
    ("What was revenue in 2018?", "In 2018 revenue was $1.2m.", "$1.2 million in 2018", "number"),
    (MUCH, "It rose 4%.", "4 percent", "number"),
    (MUCH, "between 3% and 5%", "3-5%", "number"),
    (MUCH, "not more than 5%", "at most 5%", "number"),
    ("How long is a booking?", "45 minutes; it was set in 2018", "45 min", "number"),
    ("How long is the trial?", "24 hours", "one day", "number"),
    # dates
    (OPENED, "It opened on 12 May 1987.", "May 12, 1987", "date"),
    (OPENED, "1987-05-12", "12/05/1987", "date"),
    (OPENED, "In 1987.", "1987", "date"),
    ("Which fiscal year was it?", "FY2018", "2018", "date"),
    ("What happened?", "12 May 2018", "2018-05-12", "date"),
    # identifiers
    ("Which gene is mutated?", "BRCA1", "The gene is brca1.", "identifier"),
    ("Which CVE is exploited?", "CVE-2021-44228", "cve-2021-44228 [S1]", "identifier"),
    ("Which version fixes it?", "Version 2.13.0", "v2.13.0", "identifier"),
    ("Which version fixes it?", "4.10", "version 4.10", "identifier"),
    ("Which address collects it?", "198.51.100[.]200", "198.51.100.200", "identifier"),
    # lists
    (WHERE, "Norway, Sweden and Denmark", "Denmark, Norway, Sweden", "list"),
    (WHERE, "The company operates in Norway and Sweden.", "Sweden, Norway", "list"),
    (WHERE, "- Norway\n- Sweden", "Sweden and Norway", "list"),
    ("Which letters?", "A, B and C", "C, A, B", "list"),
    # spans
    (WHO, "Mirella Okafor", "mirella okafor.", "span"),
    (WHO, "The Kestrel bridge was designed by Mirella Okafor.", "Mirella Okafor", "span"),
    (WHO, "The Fed", "Fed", "span"),
    # text
    (
        WHY,
        "Sales fell because automotive customers deferred their orders for coordinate machines.",
        "Because automotive customers had deferred orders for coordinate machines, sales fell.",
        "text",
    ),
    # abstention
    (WHO, "NOT FOUND", "I don't know.", "abstained"),
    (WHO, "NOT FOUND [S1]", "The context does not say who designed it.", "abstained"),
    (WHO, "The documents do not hold an answer to this question.", "Unknown", "abstained"),
    (ROSE, "Unfortunately, the provided sources do not mention it.", "N/A", "abstained"),
    (ROSE, "No information is given.", "I cannot answer this from the sources.", "abstained"),
]

DIFFER = [
    (ROSE, "Yes", "No", "yes/no"),
    (ROSE, "Yes, by 4%", "Yes, by 5%", "yes/no"),
    (ROSE, "No, it rose", "No, it fell", "yes/no"),
    (ROSE, "Yes", "Maybe", "yes/no"),
    (ROSE, "Yes", "Net sales did not rise in 2018.", "yes/no"),
    ("Did sales rise?", "Yes", "Sales fell.", "yes/no"),
    ("Did sales not rise?", "Yes", "Sales did not rise.", "yes/no"),
    (ARRIVALS, "412", "413", "number"),
    (ARRIVALS, "412", "not 412", "number"),
    (ARRIVALS, "412", "many", "number"),
    (ARRIVALS, "412", "-412", "number"),
    (ARRIVALS, "412", "412 thousand", "number"),
    (ARRIVALS, "12,345", "12.345", "number"),
    (ARRIVALS, "2018", "In 2018 the harbour recorded 412 arrivals.", "number"),
    (ARRIVALS, "between 3 and 5", "3", "number"),
    (ARRIVALS, "3", "3rd", "number"),
    (ARRIVALS, "more than 412", "fewer than 412", "number"),
    (ARRIVALS, "more than 412", "412", "number"),
    (ARRIVALS, "400 in May, 412 in June", "412 in May, 413 in June", "number"),
    ("How many patients died?", "340", "12 of 340 patients died.", "number"),
    (MUCH, "$5", "€5", "number"),
    (MUCH, "5 kg", "5 lb", "number"),
    (MUCH, "4%", "4 percentage points", "number"),
    (MUCH, "It rose 4%.", "It fell 4%.", "number"),
    (MUCH, "It did not rise by 4%.", "It rose by 4%.", "number"),
    ("What was revenue?", "$1.2 million", "$1.23 million", "number"),
    ("What was revenue?", "$1.2 million", "$1.2 billion", "number"),
    (OPENED, "1987", "1988", "date"),
    (OPENED, "1987", "12 May 1987", "date"),
    (OPENED, "before 1987", "after 1987", "date"),
    (OPENED, "before 1987", "in 1987", "date"),
    (OPENED, "May 1987", "after the war", "date"),
    ("Was it 2018 or 2019?", "2018", "2019", "date"),
    ("Which gene is mutated?", "BRCA1", "BRCA2", "identifier"),
    ("Which version fixes it?", "4.10", "4.1", "identifier"),
    (WHERE, "Norway and Sweden", "Norway", "list"),
    (WHERE, "A, B, C, D, E", "A, B, C, D, F", "list"),
    (WHERE, "Norway and Sweden", "Norway and not Sweden", "list"),
    (WHO, "Mirella Okafor", "John Okafor", "span"),
    (WHO, "Mirella Okafor", "not Mirella Okafor", "span"),
    (
        "Which court?",
        "Southern District Court of North Delaware",
        "Southern District Court of North Nevada",
        "span",
    ),
    ("Did Acme or Bolt win?", "Acme won", "Bolt won", "span"),
    ("Is it A or B?", "A", "B", "span"),
    ("Before or after?", "before", "after", "span"),
    ("Who sued whom?", "Acme sued Bolt", "Bolt sued Acme", "span"),
    ("Which word?", "COVID-19", "COVID-91", "identifier"),
    (
        WHY,
        "Sales fell because automotive customers deferred orders for the coordinate machines.",
        "Sales rose because automotive customers deferred orders for the coordinate machines.",
        "text",
    ),
    (
        WHY,
        "Volume fell by 5.8 points since automotive customers in Norway deferred machine orders.",
        "Volume fell by 5.9 points since automotive customers in Norway deferred machine orders.",
        "text",
    ),
    (
        WHY,
        "Volume fell strongly since automotive customers in Norway deferred many machine orders.",
        "Volume fell strongly since automotive customers in Sweden deferred many machine orders.",
        "text",
    ),
    (
        WHY,
        "The automotive customers did not defer their orders for large coordinate machines then.",
        "The automotive customers did defer their orders for large coordinate machines then.",
        "text",
    ),
    ("What was it in 2018 and why?", "$5 because of tax", "$5 because of the strike", "span"),
    (WHO, "NOT FOUND", "Mirella Okafor", "abstained"),
    (WHO, "I do not know.", "", "unparseable"),
    (WHO, "", "", "unparseable"),
    (WHO, "[S1] [S2]", "[S1] [S2]", "unparseable"),
    (WHO, "...", "...", "unparseable"),
    (WHO, "\U0001f600", "\U0001f600", "unparseable"),
    (WHO, "___", "Mirella", "unparseable"),
]


@pytest.mark.parametrize(("question", "one", "other", "rule"), AGREE)
def test_answers_that_say_the_same_agree(question: str, one: str, other: str, rule: str) -> None:
    assert agree(question, one, other) == Agreement(True, rule)
    assert agree(question, other, one) == Agreement(True, rule)


@pytest.mark.parametrize(("question", "one", "other", "rule"), DIFFER)
def test_answers_that_do_not_say_the_same_do_not(
    question: str, one: str, other: str, rule: str
) -> None:
    assert agree(question, one, other) == Agreement(False, rule)
    assert agree(question, other, one) == Agreement(False, rule)


@pytest.mark.parametrize(
    "text",
    [
        "Unknown threat actors did it.",
        "The backup was not found on the server.",
        "There is no evidence that it works.",
        "The documents do not expire.",
        "I do not know, but it may be 5.",
    ],
)
def test_a_denial_is_no_abstention(text: str) -> None:
    assert agree("What is known?", text, "NOT FOUND") == Agreement(False, "abstained")
    assert agree("What is known?", text, text).rule != "abstained"


PIECES = [
    "412",
    "1,204",
    "$1.2 million",
    "3-5",
    "not",
    "no",
    "yes",
    "12 May 2018",
    "2018",
    "BRCA1",
    "more than",
    "Norway",
    "sales",
    "rose",
    "fell",
    ",",
    "and",
    ".",
    "\n",
    "[S1]",
    "between",
    "%",
    "v2.1",
    "NOT FOUND",
    "\U0001f600",
    "\x00",
    "\ud800",
    "\u3042",
    "\u0663",
    "\u00b2",
    "(",
    "-",
    "first",
    "or",
]
ANSWERS = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=12).map(" ".join)
QUESTIONS = (
    st.sampled_from(
        [
            ARRIVALS,
            MUCH,
            OPENED,
            ROSE,
            WHERE,
            WHO,
            WHY,
            "Which version?",
            "Norway or sales?",
            "",
            "?",
        ]
    )
    | ANSWERS
)


@given(QUESTIONS, ANSWERS, ANSWERS)
def test_agreement_does_not_depend_on_the_order(question: str, one: str, other: str) -> None:
    assert agree(question, one, other) == agree(question, other, one)


@given(QUESTIONS, ANSWERS)
@example(WHO, "\u4e2d\u6587")
def test_what_can_be_read_agrees_with_itself(question: str, text: str) -> None:
    found = agree(question, text, text)
    assert found.agreed is (found.rule != "unparseable")


@given(st.text(), st.text(), st.text())
def test_whatever_was_written_there_is_a_verdict(question: str, one: str, other: str) -> None:
    assert isinstance(agree(question, one, other), Agreement)


@pytest.mark.parametrize(
    "piece",
    [
        "word ",
        "412 ",
        "1,",
        "A, ",
        "not ",
        "12 May 2018 ",
        "a-",
        " ",
        "[S1",
        "I do not ",
        "\n",
        "how ",
        "and ",
        "no-",
    ],
)
def test_a_very_long_answer_is_judged_in_reasonable_time(piece: str) -> None:
    text = "x " + piece * 10_000
    began = time.perf_counter()
    for question in (ARRIVALS, WHERE, "Did it? " + text):
        agree(question, text, text + " y")
    assert time.perf_counter() - began < 20
