"""What a PubMed record says of its article: facts to filter by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from lxml import etree

from connectors.pubmed.inline import flat_text

__all__ = ["article_of", "citation_of", "is_retracted", "notices", "read_facts"]

_LONGEST = 1_000  # characters of a fact: every chunk carries them
_RETRACTED = "Retracted Publication"
_YEAR = re.compile(r"\d{4}")
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()


def citation_of(record: etree._Element) -> etree._Element:
    """The part that has the PMID: an article's citation or a book's chapter."""
    for name in ("MedlineCitation", "BookDocument"):
        if (found := record.find(name)) is not None:
            return found
    return record


def article_of(record: etree._Element) -> etree._Element:
    """The part that has title, abstract and authors."""
    citation = citation_of(record)
    article = citation.find("Article")
    return citation if article is None else article


def is_retracted(record: etree._Element) -> bool:
    """Whether the article was retracted; the notice that retracts another was not."""
    return _RETRACTED in _types(record) or bool(_corrections(record, "RetractionIn"))


def notices(record: etree._Element, kind: str) -> list[str]:
    """Where what corrects the article stands: "Lancet. 2010;375:445. PMID 20137807"."""
    said = []
    for each in _corrections(record, kind):
        pmid = _text(each, "PMID")
        said.append(" ".join(filter(None, (_text(each, "RefSource"), pmid and f"PMID {pmid}"))))
    return [each for each in said if each]


def read_facts(record: etree._Element) -> dict[str, Any]:
    """The facts of a record; those it does not give are left out, lists cut at 1,000 characters."""
    citation, article = citation_of(record), article_of(record)
    published = _published(article)
    found: dict[str, Any] = {
        "pmid": _text(citation, "PMID"),
        "doi": _id(record, "doi") or _location(article),
        "pmcid": _id(record, "pmc"),
        "journal": _text(article, "Journal/Title") or _text(article, "Book/BookTitle"),
        "year": int(published[:4]) if published else None,
        "published": published,
        "authors": _some(_authors(article)),
        "mesh": _some(_mesh(citation, major=False)),
        "mesh_major": _some(_mesh(citation, major=True)),
        "keywords": _some(map(flat_text, citation.iterfind("KeywordList/Keyword"))),
        "types": _some(_types(record)),
        "language": _some(map(flat_text, article.iterfind("Language"))),
        "errata": _some(notices(record, "ErratumIn")),
        "concern": bool(_corrections(record, "ExpressionOfConcernIn")),
    }
    kept = {name: value for name, value in found.items() if value and _fits(value)}
    return {**kept, "retracted": is_retracted(record)}


def _fits(value: Any) -> bool:
    return not isinstance(value, str) or len(value) <= _LONGEST


def _text(element: etree._Element, path: str) -> str:
    return flat_text(element.find(path))


def _some(values: Iterable[str]) -> list[str]:
    """As many as fit, each once."""
    kept: dict[str, None] = {}
    left = _LONGEST
    for value in values:
        if value and value not in kept:
            left -= len(value)
            if left < 0:
                break
            kept[value] = None
    return list(kept)


def _types(record: etree._Element) -> list[str]:
    article = article_of(record)
    paths = ("PublicationTypeList/PublicationType", "PublicationType")
    return [flat_text(each) for path in paths for each in article.iterfind(path)]


def _corrections(record: etree._Element, kind: str) -> list[etree._Element]:
    every = citation_of(record).iterfind("CommentsCorrectionsList/CommentsCorrections")
    return [each for each in every if each.get("RefType") == kind]


def _id(record: etree._Element, kind: str) -> str:
    # Not those of the articles it cites, which stand deeper.
    for path in ("PubmedData", "PubmedBookData", "BookDocument"):
        for each in record.iterfind(f"{path}/ArticleIdList/ArticleId"):
            if each.get("IdType") == kind:
                return flat_text(each)
    return ""


def _location(article: etree._Element) -> str:
    for each in article.iterfind("ELocationID"):
        if each.get("EIdType") == "doi" and each.get("ValidYN") != "N":
            return flat_text(each)
    return ""


def _authors(article: etree._Element) -> Iterator[str]:
    """Names as PubMed cites them: "Lerro CC", "Canadian Respiratory Research Network"."""
    for names in article.iterfind("AuthorList"):
        if names.get("Type") == "editors":
            continue
        for each in names.iterfind("Author"):
            if each.get("ValidYN") != "N":
                family, given = _text(each, "LastName"), _text(each, "Initials")
                yield f"{family} {given}".strip() or _text(each, "CollectiveName")


def _mesh(citation: etree._Element, *, major: bool) -> Iterator[str]:
    for heading in citation.iterfind("MeshHeadingList/MeshHeading"):
        if not major or any(part.get("MajorTopicYN") == "Y" for part in heading):
            yield _text(heading, "DescriptorName")


def _published(article: etree._Element) -> str:
    """When, as precisely as known: "2018-07-31", "2018-02", "2018".

    It is the date of the issue, by which the article is cited; the day on which it appeared on the
    web says more only where it lies within that.
    """
    paths = ("Journal/JournalIssue/PubDate", "Book/PubDate", "ContributionDate")
    issue = next(filter(None, (_date(article.find(path)) for path in paths)), "")
    online = _date(article.find("ArticleDate"))
    return online if online.startswith(issue) else issue


def _date(element: etree._Element | None) -> str:
    if element is None:
        return ""
    year = _YEAR.search(_text(element, "Year") or _text(element, "MedlineDate"))
    if year is None:
        return ""
    month = _month(_text(element, "Month"))
    day = _text(element, "Day")
    if not month:
        return year[0]
    return f"{year[0]}-{month:02}" + (f"-{int(day):02}" if _is_day(day) else "")


def _month(written: str) -> int:
    if written.isdecimal() and len(written) <= 2 and 1 <= int(written) <= 12:
        return int(written)
    short = written[:3].lower()
    return _MONTHS.index(short) + 1 if short in _MONTHS else 0


def _is_day(written: str) -> bool:
    return written.isdecimal() and len(written) <= 2 and 1 <= int(written) <= 31
