"""A web site as it is asked: by its rules, with its login, for nothing twice."""

from __future__ import annotations

from functools import partial

from connectors.base import Access
from connectors.net.address import parse_address
from connectors.net.client import Client, Response
from connectors.web.manners import Manners
from connectors.web.page import check_type
from connectors.web.sitemap import MOST_BYTES
from connectors.web.urls import normal, origin_of

__all__ = ["Site"]

_ASKED = "text/html, application/xhtml+xml, text/markdown, text/plain, application/pdf, */*;q=0.5"
_MOST_KEPT = 64 * 2**20  # bytes of pages, between listing and fetching


class Site:
    """Asks for pages; remembers some that are wanted again. Several threads may share one.

    Args:
        place: an address; a login in it is sent to its host only.
        access: how servers are asked.
        per_second: the most requests a second.

    Raises:
        UsageError: the address is malformed.
    """

    def __init__(self, place: str, access: Access, per_second: float) -> None:
        self.start = normal(place)
        self.manners = Manners(per_second, self._get)
        self._login = parse_address(place).userinfo.decode("ascii")
        self._client = Client(access, headers={"Accept": _ASKED}, check=self.manners.check)
        self._kept: dict[str, Response] = {}
        self._room = _MOST_KEPT

    def keep(self, address: str, found: Response) -> None:
        """Remember an answer until it is asked for, as long as there is room for it."""
        if len(found.content) <= self._room:
            self._room -= len(found.content)
            self._kept[address] = found

    def forget(self) -> None:
        """Remember nothing."""
        self._kept, self._room = {}, _MOST_KEPT

    def any(self, address: str) -> Response:
        """Ask for an address, whatever is there.

        Raises:
            Disallowed: robots.txt asks not to.
            RequestFailed: it cannot be had.
            DocumentError: it is not a public address.
        """
        return self._kept.pop(address, None) or self._client.get(self._with_login(address))

    def page(self, address: str) -> Response:
        """Ask for a document; errors are those of `any`, and `NoDocument` for what is none."""
        return self._kept.pop(address, None) or self._client.get(
            self._with_login(address), accept=partial(check_type, address)
        )

    def sitemap(self, address: str) -> Response:
        """Ask for a sitemap; errors are those of `any`."""
        return self._kept.pop(address, None) or self._get(address, MOST_BYTES)

    def _get(self, address: str, most_bytes: int) -> Response:
        return self._client.get(self._with_login(address), most_bytes=most_bytes)

    def _with_login(self, address: str) -> str:
        if not self._login or origin_of(address) != origin_of(self.start):
            return address
        return address.replace("://", f"://{self._login}@", 1)
