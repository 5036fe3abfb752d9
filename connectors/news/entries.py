"""One entry of a feed: what it says, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from connectors.parsing import html
from connectors.parsing.base import Parsed
from connectors.parsing.formats import parse
from connectors.parsing.rows import facts
from connectors.parsing.writer import TextWriter
from rag.errors import DocumentError
from rag.ids import digest

__all__ = ["ENTRY_VERSION", "Entry", "read_entry"]

ENTRY_VERSION = "entry-1"

_MARKUP = {"text/html", "application/xhtml+xml"}
_LONGEST_TITLE = 300  # characters; what is longer is text, and no title
_LONGEST_KEY = 1_000
_LONGEST_LIST = 1_000  # characters of all tags or authors together


@dataclass(frozen=True, slots=True)
class Entry:
    """What a feed says of one piece of news.

    Args:
        key: its id, else its link, else a digest of what it says; "" where it says nothing.
        link: where it can be read, or "".
        title: one line.
        body: its content as the feed has it.
        markup: whether the body is HTML.
        meta: facts to filter by.
    """

    key: str
    link: str
    title: str
    body: str = field(repr=False)
    markup: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Changes with anything that a document is made of."""
        own = [self.title, self.body, self.markup, dict(self.meta)]
        return digest([ENTRY_VERSION, html.PARSER_VERSION, *own])

    def parse(self) -> Parsed:
        """The title as the first line, the readable text of the body below it.

        Raises:
            DocumentError: neither has any text.
        """
        writer = TextWriter()
        if self.title:
            writer.line(self.title, gap=2)
        body = self._body()
        start = writer.line(body.text, gap=2) if body.text else 0
        if not writer.text:
            raise DocumentError(f"entry {self.key!r} is empty: neither a title nor text")
        sections = tuple(replace(each, span=each.span.shift(start)) for each in body.sections)
        title = self.title if len(self.title) <= _LONGEST_TITLE else ""
        return Parsed(writer.text, title=title, sections=sections, meta=self.meta)

    def _body(self) -> Parsed:
        if not self.body.strip():
            return Parsed("")
        # Of HTML that is but a picture, nothing is left.
        found = _parsed(self.body) if self.markup else Parsed(self.body.strip())
        if found is None:
            return Parsed("")
        return Parsed("") if _flat(found.text) == self.title else found


def read_entry(entry: Mapping[str, Any], feed: Mapping[str, Any], base: str = "") -> Entry:
    """What feedparser made of an entry and its feed, as our own.

    Args:
        entry: one of a feed's entries.
        feed: what is known of all of them.
        base: the address from which relative links lead.
    """
    title = _title(entry)
    body, markup = _content(entry)
    link = _link(entry, base)
    published, updated = _moment(entry, "published"), _moment(entry, "updated")
    named = _flat(str(entry.get("id") or "")) or link
    if not named and (title or body.strip()):
        named = digest([title, published] if title else body)
    first = published or updated
    known: dict[str, Any] = {
        "published": published,
        "updated": updated,
        "year": int(first[:4]) if first else None,
        "authors": _short(each.get("name") for each in entry.get("authors") or ()),
        "tags": _short(each.get("term") or each.get("label") for each in entry.get("tags") or ()),
        "feed": _flat(str(feed.get("title") or "")),
        "link": link,
        "language": (entry.get("title_detail") or {}).get("language") or feed.get("language"),
    }
    return Entry(
        key=named if len(named) <= _LONGEST_KEY else digest(named),
        link=link,
        title=title,
        body=body,
        markup=markup,
        meta=facts({name: value for name, value in known.items() if value}),
    )


def _title(entry: Mapping[str, Any]) -> str:
    written = str(entry.get("title") or "")
    if (entry.get("title_detail") or {}).get("type") in _MARKUP:
        found = _parsed(written)
        written = found.text if found else written
    return _flat(written)


def _content(entry: Mapping[str, Any]) -> tuple[str, bool]:
    """The fullest text an entry has, and whether it is HTML."""
    whole = [each for each in entry.get("content") or () if _is_text(each)]
    if not whole and _is_text(entry.get("summary_detail") or {}):
        whole = [entry["summary_detail"]]
    if not whole:
        return "", False
    # Some feeds have the same text twice, plain and as HTML, which is longer and has headings.
    best = max(whole, key=lambda each: len(each["value"]))
    return _whole(best["value"]), best["type"] in _MARKUP


def _is_text(content: Mapping[str, Any]) -> bool:
    kind, value = content.get("type") or "", content.get("value")
    return isinstance(value, str) and bool(value.strip()) and (kind in _MARKUP or "text/" in kind)


def _parsed(markup: str) -> Parsed | None:
    try:
        return parse(_whole(markup).encode(), ".html")
    except DocumentError:
        return None


def _link(entry: Mapping[str, Any], base: str) -> str:
    # A citation shows it: nothing but what leads to a page ("javascript:" does not).
    link = _whole(str(entry.get("link") or "")).strip()
    if link and link != entry.get("id"):  # which feedparser takes for a link, for want of one
        with suppress(ValueError):
            link = urljoin(base, link)
    fits = link.lower().startswith(("http://", "https://")) and len(link) <= _LONGEST_KEY
    return link if fits and not any(map(str.isspace, link)) else ""


def _moment(entry: Mapping[str, Any], name: str) -> str:
    """A date in UTC, "2021-06-22T20:52:00Z"; "" where there is none that can be read."""
    # Asked for by "in" first: feedparser gives the one date for the other, with a warning.
    if f"{name}_parsed" not in entry:
        return ""
    try:
        found = entry[f"{name}_parsed"]
        return f"{datetime(*found[:6]).isoformat()}Z" if found else ""
    except ValueError:
        return ""


def _short(names: Iterable[Any]) -> list[str]:
    """Each name once, as many as a fact may hold."""
    kept: dict[str, None] = {}
    left = _LONGEST_LIST
    for name in map(_flat, (str(each) for each in names if each)):
        left -= len(name) if name not in kept else 0
        if left < 0:
            break
        kept.setdefault(name)
    return [name for name in kept if name]


def _flat(text: str) -> str:
    return " ".join(_whole(text).split())


def _whole(text: str) -> str:
    """Without halves of surrogate pairs, which no UTF-8 holds."""
    return text.encode("utf-8", "replace").decode("utf-8")
