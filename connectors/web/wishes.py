"""What a page asks of those who read it by machine, and where its links lead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from connectors.net.client import Response
from connectors.web.manners import AGENT
from connectors.web.page import MARKUP, content_of, suffix_of
from connectors.web.urls import resolve

__all__ = ["Wishes", "wishes_of"]

_MOST_LINKS = 10_000  # of one page
_MOST_BYTES = 32 * 2**20  # of one page; no reader ever came to the links behind them


@dataclass(frozen=True, slots=True)
class Wishes:
    """Whether the page may be indexed, the links on it to follow, and whether it has more."""

    index: bool = True
    links: tuple[str, ...] = ()
    cut: bool = False


def wishes_of(found: Response) -> Wishes:
    """Read robots' wishes in the header and in the page, and the page's links, in their order.

    Raises:
        NoDocument: it is in no format that is read.
    """
    words = _header_words(found.headers.get("x-robots-tag", ""))
    suffix = suffix_of(found)
    markup = content_of(found, suffix) if suffix in MARKUP else b""
    tags = _read(markup[:_MOST_BYTES])
    for meta in tags.metas:
        if meta.get("name", "").strip().lower() in ("robots", AGENT):
            words |= _words(meta.get("content", ""))
    index = not words & {"noindex", "none"}
    if words & {"nofollow", "none"}:
        return Wishes(index)
    links = dict.fromkeys(islice(_links(tags, found.url), _MOST_LINKS + 1))
    cut = len(links) > _MOST_LINKS or len(markup) > _MOST_BYTES
    return Wishes(index, tuple(islice(links, _MOST_LINKS)), cut)


class _Tags:
    """The start tags that say something here, as lxml's parser comes upon them.

    Not a tree: libxml2 makes none of elements nested over 256 deep, and is silent about it.
    """

    def __init__(self) -> None:
        self.metas: list[dict[str, str]] = []
        self.bases: list[str] = []
        self.links: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Note a tag."""
        if tag == "meta":
            self.metas.append(dict(attributes))
        elif tag == "base" and "href" in attributes:
            self.bases.append(attributes["href"])
        elif tag in ("a", "area") and "href" in attributes and not _is_nofollow(attributes):
            self.links.append(attributes["href"])

    def close(self) -> None:
        """The page ends."""


def _is_nofollow(attributes: Mapping[str, str]) -> bool:
    return "nofollow" in attributes.get("rel", "").lower().split()


def _read(markup: bytes) -> _Tags:
    from lxml import etree

    tags = _Tags()
    with suppress(etree.XMLSyntaxError):  # empty, or nothing but a comment
        etree.fromstring(markup, etree.HTMLParser(target=tags, no_network=True))
    return tags


def _links(tags: _Tags, where: str) -> Iterator[str]:
    base = next(filter(None, (resolve(where, each) for each in tags.bases)), where)
    for link in tags.links:
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
