from __future__ import annotations

import random

import pytest

from rag.embedding.context import embedded_text
from rag.spans import Span
from rag.tokens import TokenCounter
from rag.types import Chunk, Place

BODY = "Net sales rose 4% to $1.3 bn."


def chunk(name: str = "", title: str = "", section: str = "", text: str = BODY) -> Chunk:
    return Chunk(
        doc_id="d",
        revision="r",
        ordinal=0,
        span=Span(7, 7 + len(text)),
        text=text,
        name=name,
        title=title,
        places=(Place(7, None, section),),
    )


def header(counter: TokenCounter, given: Chunk, tokens: int = 32) -> list[str]:
    embedded = embedded_text(given, counter, tokens)
    assert embedded.endswith(given.text)
    return embedded[: -len(given.text)].splitlines()


def test_the_header_is_name_and_title_then_section(counter: TokenCounter) -> None:
    given = chunk("10k/apple_2023.html", "Form 10-K", "Part I > Risk factors")
    assert header(counter, given) == ["apple 2023 Form 10-K", "Part I > Risk factors"]


def test_a_title_that_says_the_name_is_not_said_twice(counter: TokenCounter) -> None:
    assert header(counter, chunk("annual-report.pdf", "The Annual Report of 2023")) == [
        "The Annual Report of 2023"
    ]


def test_a_document_without_a_title_has_its_name(counter: TokenCounter) -> None:
    assert header(counter, chunk("a/annual_report-2023.pdf")) == ["annual report 2023"]


def test_a_section_that_says_the_title_is_not_said_twice(counter: TokenCounter) -> None:
    given = chunk("report.md", "Annual report", "Annual report > Risks")
    assert header(counter, given) == ["Annual report", "Risks"]


def test_the_section_path_loses_its_outer_end_first(counter: TokenCounter) -> None:
    given = chunk("r.md", "Fees", "alpha beta > gamma delta > epsilon")
    full = counter.count("r Fees") + 1 + counter.count("alpha beta > gamma delta > epsilon")
    assert header(counter, given, full) == ["r Fees", "alpha beta > gamma delta > epsilon"]
    assert header(counter, given, full - 1) == ["r Fees", "gamma delta > epsilon"]


def test_the_title_loses_its_far_end(counter: TokenCounter) -> None:
    given = chunk("q.md", "one two three four", "Risks")
    assert header(counter, given, 3) == ["q one two"]


def test_a_budget_of_none_leaves_the_header_out(counter: TokenCounter) -> None:
    assert embedded_text(chunk("report.md", "Annual report", "Risks"), counter, 0) == BODY


def test_a_chunk_without_anything_to_say_has_no_header(counter: TokenCounter) -> None:
    assert embedded_text(chunk(), counter, 32) == BODY


@pytest.mark.parametrize("tokens", [1, 2, 3, 8, 32])
def test_a_header_never_exceeds_its_budget(counter: TokenCounter, tokens: int) -> None:
    long = "antidisestablishmentarianism " * 40
    given = chunk(f"{long}.pdf", long.upper(), " > ".join(long.split()))
    embedded = embedded_text(given, counter, tokens)
    assert counter.count(embedded) <= tokens + counter.count(BODY)
    assert embedded.endswith(BODY)


def test_header_and_chunk_never_exceed_their_budgets_together(counter: TokenCounter) -> None:
    random_ = random.Random(7)
    words = [
        *"Part I II risk 2023 10-K & > (a) \u00e9tude e\u0301 \u6771\u4eac \U0001f44d".split(),
        "",
    ]
    words += ["antidisestablishmentarianism", "x" * 120]

    def some(most: int, between: str) -> str:
        return between.join(random_.choices(words, k=random_.randint(0, most)))

    for _ in range(500):
        text = some(30, " ") or "x"
        size, tokens = counter.count(text), random_.randint(0, 40)
        given = chunk(f"{some(9, '_')}.pdf", some(9, " "), some(9, " > "), text)
        embedded = embedded_text(given, counter, tokens)
        assert counter.count(embedded) <= size + tokens
        assert embedded.endswith(text)
