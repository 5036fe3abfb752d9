"""What a page asks of those who read it by machine, and where its links lead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from connectors.net.client import Response
from connectors.web.manners import AGENT
from connectors.web.page import MARKUP, content_of, suffix_of
from connectors.web.urls import resolve

__all__ = ["Wishes", "wishes_of"]

_MOST_LINKS = 10_000  # of one page
_MOST_BYTES = 32 * 2**20  # of one page; no reader ever came to the links behind them


@dataclass(frozen=True, slots=True)
class Wishes:
    """Whether the page may be indexed, and the links on it that may be followed."""

    index: bool = True
    links: tuple[str, ...] = ()


def wishes_of(found: Response) -> Wishes:
    """Read robots' wishes in the header and in the page, and the page's links, in their order.

    Raises:
        NoDocument: it is in no format that is read.
    """
    words = _header_words(found.headers.get("x-robots-tag", ""))
    suffix = suffix_of(found)
    tree = _tree(content_of(found, suffix)[:_MOST_BYTES]) if suffix in MARKUP else None
    if tree is None:
        return Wishes(not words & {"noindex", "none"})
    for meta in tree.iter("meta"):
        if meta.get("name", "").strip().lower() in ("robots", AGENT):
            words |= _words(meta.get("content", ""))
    follow = not words & {"nofollow", "none"}
    links = islice(_links(tree, found.url), _MOST_LINKS) if follow else ()
    return Wishes(not words & {"noindex", "none"}, tuple(dict.fromkeys(links)))


def _tree(markup: bytes) -> Any:
    from lxml import etree

    try:
        return etree.fromstring(markup, etree.HTMLParser(no_network=True))
    except etree.XMLSyntaxError:  # empty, or nothing but a comment
        return None


def _links(tree: Any, where: str) -> Iterable[str]:
    bases = (resolve(where, node.get("href")) for node in tree.iter("base") if node.get("href"))
    base = next((found for found in bases if found), where)
    for node in tree.iter("a", "area"):
        link = node.get("href")
        if link is None or "nofollow" in node.get("rel", "").lower().split():
            continue
        if found := resolve(base, link):
            yield found


def _words(written: str) -> set[str]:
    return {word.strip().lower() for word in written.split(",")}


def _header_words(written: str) -> set[str]:
    """The words for us: "noindex, otherbot: nofollow" has one, and whatever follows is otherbot's.

    >>> sorted(_header_words("noindex, otherbot: nofollow, noarchive"))
    ['noindex']
    """
    found, ours = set[str](), True
    for part in written.split(","):
        agent, colon, word = part.strip().lower().partition(":")
        if colon and " " not in agent and agent not in ("unavailable_after", "max-snippet"):
            ours, part = agent in (AGENT, "*"), word
        if ours:
            found.add(part.strip().lower())
    return found
