"""EPUB: chapters in the order of the book, each read as the web page it is."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from lxml import etree

from connectors.parsing import html
from connectors.parsing.base import Parsed
from connectors.parsing.xmltree import attribute, local, read_xml
from connectors.parsing.zipped import Zipped, mistaken
from rag.errors import DocumentError
from rag.spans import Span
from rag.types import Section

__all__ = ["PARSER_VERSION", "parse"]

PARSER_VERSION = f"epub-1/{html.PARSER_VERSION}"

_WHAT = "EPUB"
_MOST_BYTES = 64 * 2**20  # of all chapters, as markup; a long novel has 2 MB
_MOST_TAGS = 500_000  # of one chapter: a tree of them takes about 1 kB each
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = {"application/xhtml+xml", "text/html"}
_NCX = "application/x-dtbncx+xml"
_FACTS = {"creator": "author", "language": "language", "publisher": "publisher"}
_FACTS |= {"subject": "subject", "date": "date"}
_LONGEST_FACT = 1_000  # characters
_GAP = "\n\n"


def parse(data: bytes) -> Parsed:
    """The chapters' texts in the order of the spine, sections from their headings.

    A chapter without a heading has the title that the table of contents gives it, which is
    written above it unless it begins with it anyway. `meta` has what the book says of its
    author, language, publisher, subjects and date.

    Raises:
        DocumentError: it is damaged, encrypted, too large or no EPUB.
    """
    archive = Zipped(data, _WHAT, most=_MOST_BYTES)
    if _CONTAINER not in archive:
        raise mistaken(_WHAT, "a zip archive of something else")
    book = _Book(archive)
    sections, pieces, length = list[Section](), list[str](), 0
    for chapter in book.chapters():
        if chapter.text:
            start = length + (len(_GAP) if pieces else 0)
            sections += (_moved(section, start) for section in chapter.sections)
            pieces.append(chapter.text)
            length = start + len(chapter.text)
    title, meta = book.title_and_facts()
    return Parsed(_GAP.join(pieces), title=title, sections=tuple(sections), meta=meta)


class _Book:
    """What the package document of an EPUB says."""

    def __init__(self, archive: Zipped) -> None:
        self._archive = archive
        root = _tree(archive, _CONTAINER).find(".//{*}rootfile")
        self._name = attribute(root, "full-path")
        self._package = _tree(archive, self._name)
        items = self._package.iterfind("{*}manifest/{*}item")
        self._items = {item.get("id", ""): item for item in items}

    def title_and_facts(self) -> tuple[str, dict[str, Any]]:
        """The book's title, or "", and what else it says of itself, as text."""
        values: dict[str, list[str]] = {}
        for element in self._package.iterfind("{*}metadata/{*}*"):
            if value := " ".join("".join(element.itertext()).split()):
                values.setdefault(local(element), []).append(value)
        facts = {fact: "; ".join(values.get(name, ())) for name, fact in _FACTS.items()}
        title = next(iter(values.get("title", ())), "")
        return title, {fact: text for fact, text in facts.items() if 0 < len(text) <= _LONGEST_FACT}

    def chapters(self) -> Iterator[Parsed]:
        """Each chapter, with its headings or its title in the table of contents as sections."""
        titles, locked = self._titles(), self._locked()
        seen = set[str]()
        for reference in self._package.iterfind("{*}spine/{*}itemref"):
            item = self._items.get(reference.get("idref", ""))
            if item is None or item.get("media-type") not in _PAGES or _is_contents(item):
                continue
            name = _resolve(self._name, item.get("href", ""))
            if name in locked:
                raise DocumentError(f"encrypted {_WHAT}: it is protected against being read")
            if name not in seen:
                seen.add(name)
                yield self._chapter(name, titles.get(name, ""))

    def _chapter(self, name: str, title: str) -> Parsed:
        markup = self._archive.read(name)
        if markup.count(b"<") > _MOST_TAGS:
            raise DocumentError(f"{_WHAT} too large: {name!r} has over {_MOST_TAGS:,} tags")
        chapter = html.parse(markup)
        headed = any(section.kind == "section" for section in chapter.sections)
        return chapter if headed or not title or not chapter.text else _titled(chapter, title)

    def _titles(self) -> dict[str, str]:
        """What the table of contents calls the chapters; the first name of each counts."""
        titles: dict[str, str] = {}
        for item in self._items.values():
            name = _resolve(self._name, item.get("href", ""))
            if (_is_contents(item) or item.get("media-type") == _NCX) and name in self._archive:
                for target, title in _entries(self._archive, name):
                    titles.setdefault(_resolve(name, target), " ".join(title.split()))
        return titles

    def _locked(self) -> set[str]:
        """The members that are encrypted: fonts often are, chapters only under DRM."""
        if _ENCRYPTION not in self._archive:
            return set()
        tree = _tree(self._archive, _ENCRYPTION)
        return {_resolve("", attribute(each, "URI")) for each in tree.iter("{*}CipherReference")}


def _entries(archive: Zipped, name: str) -> Iterator[tuple[str, str]]:
    """Targets and titles of an EPUB 3 (`nav`) or EPUB 2 (NCX) table of contents."""
    try:
        tree = _tree(archive, name)
    except DocumentError:
        return  # chapters without headings stay without titles; that is no loss of text
    for nav in tree.iter("{*}nav"):
        if attribute(nav, "type") in {"toc", ""}:
            for link in nav.iter("{*}a"):
                yield link.get("href", ""), "".join(link.itertext())
    for point in tree.iter("{*}navPoint"):
        label = point.find("{*}navLabel/{*}text")
        yield attribute(point.find("{*}content"), "src"), "" if label is None else label.text or ""


def _titled(chapter: Parsed, title: str) -> Parsed:
    begins = (
        " ".join(chapter.text[: 2 * len(title)].split()).casefold().startswith(title.casefold())
    )
    above = "" if begins else title + _GAP
    inside = (replace(each, level=each.level + 1) for each in chapter.sections)
    text = above + chapter.text
    moved = (_moved(section, len(above)) for section in inside)
    return replace(chapter, text=text, sections=(Section(Span(0, len(text)), title), *moved))


def _moved(section: Section, by: int) -> Section:
    return replace(section, span=Span(section.span.start + by, section.span.end + by))


def _is_contents(item: etree._Element) -> bool:
    return "nav" in item.get("properties", "").split()


def _resolve(base: str, target: str) -> str:
    """The member that a link in the member `base` leads to; one out of the archive is in none."""
    path = unquote(target.partition("#")[0])
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), path))


def _tree(archive: Zipped, name: str) -> etree._Element:
    try:
        return read_xml(archive.read(name))
    except etree.XMLSyntaxError as error:
        raise DocumentError(f"damaged {_WHAT}: {name!r}: {error.msg}") from error
