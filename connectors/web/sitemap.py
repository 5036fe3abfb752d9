"""Sitemaps: which pages a site has, by its own account (sitemaps.org)."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, NamedTuple

from connectors.net.client import Response
from connectors.net.unpack import TooLarge, bounded, unpack
from connectors.web.urls import resolve
from rag.errors import DocumentError, first_line

__all__ = ["MOST_BYTES", "Entry", "Sitemap", "read_sitemap", "walk_sitemaps"]

MOST_BYTES = 50 * 2**20  # as the protocol allows, unpacked
_MOST_ENTRIES = 100_000  # of one; the protocol allows half as many
_MOST_SITEMAPS = 1_000
_DEEPEST = 3  # indexes within indexes; the protocol knows no such thing, sites do
_GZIP = b"\x1f\x8b"
_ROOTS = frozenset({"urlset", "sitemapindex"})


class Entry(NamedTuple):
    """A page, or another sitemap, and when it is said to have changed last."""

    address: str
    lastmod: str


@dataclass(frozen=True, slots=True)
class Sitemap:
    """What one sitemap names."""

    pages: list[Entry] = field(default_factory=list)
    sitemaps: list[Entry] = field(default_factory=list)


def read_sitemap(found: Response) -> Sitemap | None:
    """What an answer names, packed with gzip or not, XML or a text of addresses; None: no sitemap.

    Raises:
        DocumentError: it is one, but damaged or too large: what it names is not known.
    """
    data = _unpacked(found)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        return _read_xml(data.lstrip(), found.url)
    if found.url.partition("?")[0].endswith((".txt", ".txt.gz")):
        return _read_lines(data, found.url)
    return None


def walk_sitemaps(
    first: Iterable[str], get: Callable[[str], Response]
) -> Iterator[Entry | DocumentError]:
    """Every page that these sitemaps, and those they name, list: breadth first, in their order.

    For each sitemap that cannot be read there is an error in its place: pages are missing.

    Args:
        first: addresses.
        get: asks for one.
    """
    queue = deque([(address, 1) for address in dict.fromkeys(first)])
    seen = {address for address, _ in queue}
    asked = 0
    while queue:
        address, depth = queue.popleft()
        asked += 1
        if asked > _MOST_SITEMAPS or depth > _DEEPEST:
            yield DocumentError(f"{address}: one sitemap too many, or too deep")
            return
        try:
            sitemap = _read(get(address))
        except DocumentError as error:
            yield error
            continue
        yield from sitemap.pages
        for entry in sitemap.sitemaps:
            if entry.address not in seen:
                seen.add(entry.address)
                queue.append((entry.address, depth + 1))


def _read(found: Response) -> Sitemap:
    sitemap = read_sitemap(found)
    if sitemap is None:
        raise DocumentError(f"{found.url}: not a sitemap")
    return sitemap


def _unpacked(found: Response) -> bytes:
    if not found.content.startswith(_GZIP):
        return found.content
    try:
        return b"".join(bounded(unpack([found.content]), MOST_BYTES))
    except (zlib.error, TooLarge) as error:
        raise DocumentError(f"{found.url}: {first_line(error)}") from None


def _read_xml(data: bytes, where: str) -> Sitemap | None:
    from lxml import etree

    events = etree.iterparse(
        BytesIO(data), events=("start", "end"), resolve_entities=False, no_network=True
    )
    root: Any = None
    sitemap = Sitemap()
    try:
        for event, node in events:
            if root is None:
                root = node
                if _local(root) not in _ROOTS:
                    return None
            if event == "end" and node.getparent() is root:
                _take(node, sitemap, where)
                _check_length(sitemap, where)
                node.clear()
                # Not what follows: it is parsed ahead of its events.
                while node.getprevious() is not None:
                    del root[0]
    except etree.XMLSyntaxError as error:
        if root is None:
            return None
        # Not mended: a sitemap that is cut short would make pages look deleted.
        raise DocumentError(f"{where}: broken sitemap: {first_line(error)}") from None
    return sitemap


def _take(node: Any, sitemap: Sitemap, where: str) -> None:
    # Direct children only: an image in a page's entry has a <loc> of its own.
    said = {_local(child): (child.text or "").strip() for child in reversed(node)}
    address = resolve(where, said["loc"]) if said.get("loc") else None
    into = {"url": sitemap.pages, "sitemap": sitemap.sitemaps}.get(_local(node))
    if address and into is not None:
        into.append(Entry(address, said.get("lastmod", "")[:40]))


def _check_length(sitemap: Sitemap, where: str) -> None:
    if len(sitemap.pages) + len(sitemap.sitemaps) > _MOST_ENTRIES:
        raise DocumentError(f"{where}: more than {_MOST_ENTRIES:,} entries in one sitemap")


def _local(node: Any) -> str:
    return str(node.tag).rpartition("}")[2]


def _read_lines(data: bytes, where: str) -> Sitemap | None:
    lines = [line.strip() for line in data.decode("utf-8-sig", "replace").splitlines()]
    found = [line for line in lines if line]
    if not found or not all(line.lower().startswith(("http://", "https://")) for line in found):
        return None
    addresses = (resolve(where, line) for line in found)
    sitemap = Sitemap([Entry(address, "") for address in addresses if address])
    _check_length(sitemap, where)
    return sitemap
