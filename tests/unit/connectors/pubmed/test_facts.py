from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from connectors.pubmed.facts import read_facts

Article = Callable[..., str]


def facts(xml: str) -> dict[str, Any]:
    return read_facts(etree.fromstring(xml))


@pytest.mark.parametrize(
    ("issue", "published"),
    [
        ("<Year>2018</Year>", "2018"),
        ("<Year>2018</Year><Month>Feb</Month>", "2018-02"),
        ("<Year>2018</Year><Month>02</Month><Day>9</Day>", "2018-02-09"),
        ("<Year>2018</Year><Season>Winter</Season>", "2018"),
        ("<Year>2018</Year><Month>13</Month><Day>9</Day>", "2018"),
        ("<Year>2018</Year><Month>Feb</Month><Day>99</Day>", "2018-02"),
        ("<MedlineDate>1998 Dec-1999 Jan</MedlineDate>", "1998"),
        ("<MedlineDate>sometime</MedlineDate>", None),
    ],
)
def test_dates_are_as_precise_as_known(
    article: Article, issue: str, published: str | None
) -> None:  # fmt: skip
    inside = f"<Journal><JournalIssue><PubDate>{issue}</PubDate></JournalIssue></Journal>"
    found = facts(article(inside=inside))
    assert found.get("published") == published
    assert found.get("year") == (int(published[:4]) if published else None)


def test_lists_are_cut_where_they_grow_long(article: Article) -> None:
    people = "".join(
        f"<Author><LastName>Name{n:04}</LastName><Initials>AB</Initials></Author>"
        for n in range(3_000)
    )
    authors = facts(article(inside=f"<AuthorList>{people}</AuthorList>"))["authors"]
    assert authors[:2] == ["Name0000 AB", "Name0001 AB"]
    assert sum(map(len, authors)) <= 1_000 < sum(map(len, authors)) + 11


def test_text_too_long_for_a_fact_is_none(article: Article) -> None:
    long = f"<Journal><Title>{'J' * 1_001}</Title></Journal>"
    assert "journal" not in facts(article(inside=long))


def test_names_of_authors(article: Article) -> None:
    found = facts(
        article(
            inside="<AuthorList><Author><LastName>Solo</LastName></Author>"
            '<Author ValidYN="N"><LastName>Wrong</LastName></Author>'
            "<Author><CollectiveName>The Network</CollectiveName></Author></AuthorList>"
        )
    )
    assert found["authors"] == ["Solo", "The Network"]


def test_ids_are_the_articles_own_and_not_those_it_cites(article: Article) -> None:
    cited = (
        "<ReferenceList><Reference><ArticleIdList>"
        '<ArticleId IdType="doi">10.1/cited</ArticleId><ArticleId IdType="pmc">PMC9</ArticleId>'
        "</ArticleIdList></Reference></ReferenceList>"
    )
    wrong = '<ELocationID EIdType="doi" ValidYN="N">10.1/wrong</ELocationID>'
    right = '<ELocationID EIdType="doi" ValidYN="Y">10.1/right</ELocationID>'
    found = facts(article(inside=wrong + right, data=cited))
    assert found["doi"] == "10.1/right"
    assert "pmcid" not in found


def test_a_month_of_endless_digits_is_none(article: Callable[..., str]) -> None:
    date = f"<ArticleDate><Year>2020</Year><Month>0{'1' * 5_000}</Month></ArticleDate>"
    record = etree.fromstring(article(inside=date))
    assert read_facts(record)["published"] == "2020"
