"""Documents that are pages of a web site."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from connectors.base import Access, SourceRef
from connectors.net.client import RequestFailed, Response
from connectors.web.listing import Listing, is_passing
from connectors.web.manners import Disallowed
from connectors.web.page import facts, read_page
from connectors.web.site import Site
from connectors.web.sitemap import read_sitemap
from connectors.web.urls import Scope, origin_of, resolve
from connectors.web.wishes import wishes_of
from rag.errors import DocumentError, SourceError, UsageError
from rag.types import Document

__all__ = ["WebConnector", "WebOptions"]


@dataclass(frozen=True, slots=True)
class WebOptions:
    """The options behind an address.

    Args:
        depth: how many links away from the page others are listed too; 0 is that page alone.
        most: how many pages are listed.
        per_second: the most requests a second.
    """

    depth: Annotated[int, Field(ge=0, le=100)] | None = None
    most: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    per_second: Annotated[float, Field(gt=0, le=1_000)] = 5.0


class WebConnector:
    """Lists and reads pages of a web site.

    Which ones, the address says:

    - of a sitemap: the pages that it, or the sitemaps it names, list on the same host.
    - of a folder ("https://example.org/docs/"), without a depth: those below it that the sitemaps
      of the site list (named by its robots.txt, else /sitemap.xml); where there are none, the
      page alone.
    - with a depth: the page and those below its folder that links lead to.
    - any other: that page alone, wherever it redirects to.

    A document is known by its address without login and fragment. It is taken to have changed
    with its `lastmod` in the sitemap; a page without one is read when it is listed, and known by
    its content. robots.txt, `noindex` and `nofollow` are kept to.

    Args:
        place: the address. A login in it ("https://name:password@host/...") is sent to its host,
            and shown nowhere.
        options: what is listed.
        access: how servers are asked.

    Raises:
        UsageError: the address is malformed.
    """

    namespace = "web"

    def __init__(self, place: str, options: WebOptions, access: Access) -> None:
        self._options = options
        self._site = Site(place, access, options.per_second)
        self._scope = Scope.below(self._site.start)

    def list(self) -> Iterator[SourceRef]:
        """Every page there is now: in the sitemaps' order, or breadth first; asked for as it goes.

        Raises:
            UsageError: there is no such page, or it may not be read.
            SourceError: the site does not answer now, or its sitemap is broken.
        """
        self._site.forget()
        try:
            yield from self._listed()
        except RequestFailed as error:
            refused = 400 <= error.status < 500 and not is_passing(error)
            kind = UsageError if refused else SourceError
            raise kind(error.message, hint=error.hint or "try the address in a browser") from None
        except DocumentError as error:
            raise UsageError(error.message, hint=error.hint) from None

    def covers(self, key: str) -> bool:
        """Whether a page of this address belongs to what the last listing was about."""
        return self._scope.covers(key)

    def fetch(self, ref: SourceRef) -> Document:
        """Read and parse one page.

        Raises:
            DocumentError: it cannot be read, or asks not to be.
        """
        if ref.problem is not None:
            raise ref.problem
        found = self._site.page(ref.key)
        if not wishes_of(found).index:
            raise DocumentError(f"{ref.key}: asks not to be indexed (robots: noindex)")
        parsed = read_page(found)
        said = replace(parsed, meta={**parsed.meta, **facts(found)})
        return said.as_document(ref, self.namespace)

    def _listed(self) -> Iterator[SourceRef]:
        start, depth = self._site.start, self._options.depth
        named, sitemaps = (False, ()) if depth is not None else self._sitemaps()
        if sitemaps:
            self._scope = Scope.whole(start) if named else Scope.below(start)
            refs = self._listing().of_sitemaps(sitemaps)
            if (first := next(refs, None)) is not None:
                yield first
                yield from refs
                return
            if named:
                raise UsageError(
                    f"{start} lists no page of {self._scope.origin}",
                    hint="name a sitemap of the host that its pages are on",
                )
        self._scope = Scope.below(start) if depth else Scope.only(start)
        yield from self._listing().of_links(start, depth or 0)

    def _listing(self) -> Listing:
        return Listing(self._site, self._scope, self._options.most)

    def _sitemaps(self) -> tuple[bool, Sequence[str]]:
        """Whether the address itself is that of a sitemap, and those to begin with."""
        start = self._site.start
        if not urlsplit(start).path.endswith("/"):
            return (True, [start]) if self._is_sitemap(start, self._site.any) else (False, [])
        told = [resolve(start, each) for each in self._site.manners.sitemaps(start)]
        if known := [each for each in told if each]:
            return False, known
        usual = f"{origin_of(start)}/sitemap.xml"
        try:
            return False, [usual] if self._is_sitemap(usual, self._site.sitemap) else []
        except (Disallowed, RequestFailed) as error:
            if is_passing(error):
                raise
            return False, []

    def _is_sitemap(self, address: str, ask: Callable[[str], Response]) -> bool:
        found = ask(address)
        self._site.keep(address, found)
        try:
            return read_sitemap(found) is not None
        except DocumentError as error:
            raise SourceError(error.message, hint="try again later") from None
