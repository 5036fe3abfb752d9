"""One PubMed record as a document: title, abstract with its sections, facts."""

from __future__ import annotations

import re
from itertools import pairwise

from lxml import etree

from connectors.parsing.base import Parsed
from connectors.parsing.writer import TextWriter
from connectors.pubmed.facts import article_of, citation_of, is_retracted, notices, read_facts
from connectors.pubmed.inline import flat_text
from rag.errors import DocumentError
from rag.spans import Span
from rag.types import Section

__all__ = ["PARSER_VERSION", "address", "parse_record"]

PARSER_VERSION = "pubmed-1"

_UNLABELLED = {"UNLABELLED", "UNASSIGNED"}
_MARKED = re.compile(r"(?:\[retracted\]|retracted(?: article)?\s*:)\s*", re.IGNORECASE)


def address(pmid: str) -> str:
    """The article's page, which is what citations show."""
    return f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/"


def parse_record(record: etree._Element) -> Parsed:
    r"""The text and the map of one article or book chapter.

    The text is the title and the abstract, the label of each of its sections on a line of its own.
    An abstract in another language is read only where there is no other. A retracted article says
    so in its first line and its title, so that nobody cites it unknowing.

    Raises:
        DocumentError: it has neither a title nor an abstract.
    """
    title, blocks = _title(article_of(record)), _abstract(record)
    if not title and not blocks:
        raise DocumentError("the record has neither a title nor an abstract")
    writer = TextWriter()
    if is_retracted(record):
        title = f"RETRACTED: {_MARKED.sub('', title, count=1)}".rstrip()
    if title:
        writer.line(title, gap=2)
    for notice in notices(record, "RetractionIn"):
        writer.line(f"This article was retracted: {notice}", gap=2)
    sections = _write(blocks, writer)
    return Parsed(writer.text, title, sections, meta=read_facts(record))


def _title(article: etree._Element) -> str:
    paths = ("ArticleTitle", "VernacularTitle", "Book/BookTitle")
    said = (flat_text(article.find(path)) for path in paths)
    return next((each for each in said if each and each != "[Not Available]."), "")


def _abstract(record: etree._Element) -> list[tuple[str, str]]:
    """The paragraphs of the abstract and their labels, "" where they have none."""
    for part, name in ((article_of(record), "Abstract"), (citation_of(record), "OtherAbstract")):
        for abstract in part.iterfind(name):
            paragraphs = [(_label(each), flat_text(each)) for each in abstract.iter("AbstractText")]
            if found := [each for each in paragraphs if each[1]]:
                return found
    return []


def _label(paragraph: etree._Element) -> str:
    label = " ".join((paragraph.get("Label") or "").split())
    return "" if label.upper() in _UNLABELLED else label


def _write(blocks: list[tuple[str, str]], writer: TextWriter) -> tuple[Section, ...]:
    """Write the abstract; a section runs from its label to the next, or to text without one."""
    starts: list[tuple[int, str]] = []
    for label, text in blocks:
        writer.gap(2)
        if label and (not starts or starts[-1][1] != label):
            starts.append((writer.line(label, gap=1), label))
            writer.line(text, gap=1)
        else:
            at = writer.line(text, gap=1)
            if not label:
                starts.append((at, ""))
    edges = [*starts, (len(writer.text), "")]
    return tuple(
        Section(Span(start, end), label) for (start, label), (end, _) in pairwise(edges) if label
    )
