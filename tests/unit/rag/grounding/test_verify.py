from __future__ import annotations

import pytest

from rag.grounding.verify import unsupported
from rag.spans import Span
from rag.types import Citation, Place

QUOTE = "Revenue rose 4.2% to $1.3 billion on 12 May 2018, says CVE-2021-44228."


def cited(*quotes: str) -> list[Citation]:
    return [
        Citation("d", "r", "/a", "a", Span(0, len(quote)), quote, Place(0), verified=True)
        for quote in quotes
    ]


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ("Revenue rose 4.2 percent to USD 1,300 million in 2018 [1].", ()),
        ("It rose 4.3% [1].", ("4.3%",)),
        ("On 13 May 2018 [1].", ("13 May 2018",)),
        ("See CVE-2021-44229 [1] and CVE-2021-44228 [1].", ("CVE-2021-44229",)),
        ("It rose 7% and then 7% again [1].", ("7%",)),
        ("The first of three reasons [1].", ()),
        ("Revenue rose [12].", ()),
        ("", ()),
    ],
)
def test_what_no_cited_quote_holds_is_named(answer: str, missing: tuple[str, ...]) -> None:
    assert unsupported(answer, cited("A first quote.", QUOTE)) == missing


def test_without_citations_nothing_is_supported() -> None:
    assert unsupported("It rose 4.2%.", []) == ("4.2%",)


def test_the_citations_of_a_quoted_paper_are_no_values() -> None:
    paper = "Fever was seen in 12 infants [29, 30, 32] ."
    shown = "Fever was seen in 12 infants ⟦29, 30, 32] . [1]"
    assert unsupported(shown, cited(paper)) == ()
