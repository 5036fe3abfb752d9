"""One pass over a site: the pages it names, or those that links lead to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from connectors.base import SourceRef
from connectors.net.client import RequestFailed, Response
from connectors.parsing.formats import FORMATS
from connectors.web.manners import Disallowed
from connectors.web.page import NoDocument
from connectors.web.site import Site
from connectors.web.sitemap import walk_sitemaps
from connectors.web.urls import Scope, normal
from connectors.web.wishes import Wishes, wishes_of
from rag.errors import DocumentError, SourceError, UsageError
from rag.ids import digest

__all__ = ["Listing", "is_passing"]

_GONE = frozenset({404, 410})
_PASSING = frozenset({0, 408, 429})
_MOST_FAILURES = 5  # in a row, and the site is taken to be down
# A page may turn out to be of any format, so a change to any parser makes all be read again.
_VERSIONS = sorted({known.version for known in FORMATS.values()})


class Listing:
    """Lists the pages of a site that belong to a scope, no more than `most`.

    A page that is gone, that robots.txt, a `noindex` or its format keeps from being read is passed
    over: on the web such links are everywhere, and none of them is a fault. A page that cannot be
    had now is listed with a problem and so stays as it is. Where pages are missing that cannot be
    named (a broken sitemap, a page whose links are unknown, more than `most`) a reference without
    a key says so: nothing is retired then.

    Args:
        site: how pages are asked for.
        scope: which of them belong here.
        most: how many are listed.
    """

    def __init__(self, site: Site, scope: Scope, most: int) -> None:
        self._site, self._scope, self._most = site, scope, most
        self._failures = 0

    def of_sitemaps(self, first: Iterable[str]) -> Iterator[SourceRef]:
        """The pages that sitemaps name, in their order.

        One with a `lastmod` is known by that, and not asked for; any other is read.

        Raises:
            SourceError: the site no longer answers.
        """
        seen = set[str]()
        for entry in walk_sitemaps(first, self._site.sitemap):
            if isinstance(entry, DocumentError):
                self._note(entry)
                yield self._gap(entry)
                continue
            address = self._scope.adopt(entry.address)
            if address in seen or not self._is_wanted(address):
                continue
            if len(seen) == self._most:
                yield self._gap(self._too_many())
                return
            seen.add(address)
            if entry.lastmod:
                yield self._ref(address, digest([entry.lastmod, *_VERSIONS]))
                continue
            found = self._ask(address)
            if isinstance(found, DocumentError):
                yield self._ref(address, "", found)
            elif found and found[1].index:
                yield self._page(address, found[0])

    def of_links(self, start: str, depth: int) -> Iterator[SourceRef]:
        """The page, and those that links lead to, breadth first: `depth` links away at most.

        A page is listed where a redirect leads, once; the first keeps the name it was given.

        Raises:
            DocumentError: the first cannot be read.
            UsageError: it does not want to be, or it redirects to where its links do not count.
            SourceError: the site no longer answers.
        """
        queue, seen, is_cut = deque([(start, 0)]), {start}, False
        asked = 0
        while queue:
            address, level = queue.popleft()
            asked += 1
            found = self._ask(address) if level else self._first(start, depth)
            if isinstance(found, DocumentError):
                # What it links to is not known either, so it must not be named alone.
                yield self._gap(found) if level < depth else self._ref(address, "", found)
                continue
            key = normal(found[0].url) if found else address
            if found is None or (key != address and level and not self._is_new(key, seen)):
                continue
            seen.add(key)
            if found[1].index:
                yield self._page(key if level else start, found[0])
            for link in map(self._scope.adopt, found[1].links if level < depth else ()):
                if link in seen or not self._is_wanted(link):
                    continue
                if is_cut := asked + len(queue) >= self._most:
                    break
                seen.add(link)
                queue.append((link, level + 1))
            if found[1].cut and level < depth:
                yield self._gap(DocumentError(f"{key}: more links than are followed"))
        if is_cut:
            yield self._gap(self._too_many())

    def _first(self, start: str, depth: int) -> tuple[Response, Wishes]:
        response = self._site.page(start)
        wishes = wishes_of(response)
        if depth and not self._scope.covers(normal(response.url)):
            raise UsageError(
                f"{start} redirects to {normal(response.url)}", hint="name that as the source"
            )
        if not depth and not wishes.index:
            raise UsageError(f"{start} asks not to be indexed (robots: noindex)")
        return response, wishes

    def _ask(self, address: str) -> tuple[Response, Wishes] | DocumentError | None:
        """A page and what it wishes; why it cannot be had; None where it is passed over."""
        try:
            response = self._site.page(address)
            wishes = wishes_of(response)
        except (Disallowed, NoDocument):
            return None
        except DocumentError as error:
            self._note(error)
            return None if getattr(error, "status", 0) in _GONE else error
        self._failures = 0
        return response, wishes

    def _note(self, error: DocumentError) -> None:
        self._failures = self._failures + 1 if is_passing(error) else 0
        if self._failures >= _MOST_FAILURES:
            raise SourceError(f"the site does not answer any more: {error.message}")

    def _is_wanted(self, address: str) -> bool:
        return self._scope.covers(address) and self._site.manners.allows(address)

    def _is_new(self, key: str, seen: set[str]) -> bool:
        return key not in seen and self._scope.covers(key)

    def _page(self, key: str, found: Response) -> SourceRef:
        self._site.keep(key, found)
        body = blake2b(found.content, digest_size=16).hexdigest()
        return self._ref(key, digest([body, found.headers.get("content-type", ""), *_VERSIONS]))

    def _ref(self, key: str, fingerprint: str, problem: DocumentError | None = None) -> SourceRef:
        return SourceRef(key, key, self._scope.name(key), fingerprint, problem)

    def _gap(self, problem: DocumentError) -> SourceRef:
        return SourceRef("", self._scope.origin + self._scope.folder, "", "", problem)

    def _too_many(self) -> DocumentError:
        return DocumentError(
            f"there are more than {self._most:,} pages: the rest is left out",
            hint="name a part of the site, or write #most=NUMBER behind the address",
        )


def is_passing(error: DocumentError) -> bool:
    """Whether a server failed in a way that may pass."""
    status = error.status if isinstance(error, RequestFailed) else -1
    return status in _PASSING or status >= 500
