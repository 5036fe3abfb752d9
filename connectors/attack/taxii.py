"""A collection of a TAXII 2.1 server, read page by page."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator

import httpx

from connectors.attack.places import Part, ask, read_answer
from connectors.base import Access
from connectors.net.address import parse_address, without_user
from connectors.net.client import Client
from rag.errors import SourceError, UsageError

__all__ = ["TaxiiCollection"]

_MEDIA_TYPE = "application/taxii+json;version=2.1"
_MOST_PAGES = 10_000


class TaxiiCollection:
    """All objects of a collection, the latest version of each.

    Every listing reads the collection to its end. What was added since a moment (`added_after`)
    could be asked for, but nothing is remembered between runs by which to ask, and an object that
    was deleted is only seen where all others are. The manifest is shorter, but what a document
    says depends on relationships and on the names at their ends, which only the objects have.

    Args:
        place: the collection's address, "https://host/api1/collections/ID/"; a login in it is
            sent to its host, and shown nowhere.
        access: how the server is asked.
        login: names the environment variable that holds the login, as in `TaxiiOptions`.

    Raises:
        UsageError: the address is malformed, or the login is not there or would be sent in clear.
    """

    def __init__(self, place: str, access: Access, login: str = "") -> None:
        address = parse_address(place).copy_with(fragment=None, query=None)
        path = address.path.rstrip("/").removesuffix("/objects")
        self._objects = str(address.copy_with(path=f"{path}/objects/"))
        self.name = str(without_user(address).copy_with(path=f"{path}/"))
        self._access = access
        self._headers = {"Accept": _MEDIA_TYPE}
        if login:
            self._headers["Authorization"] = _authorization(login)
            self._refuse_clear(address)

    def parts(self) -> Iterator[Part]:
        """The pages, as the server parts them; all together no longer than one document may be."""
        params: dict[str, str] = {}
        asked = {str(params)}
        room = self._access.most_bytes
        with Client(self._access, per_second=5.0) as client:
            for _ in range(_MOST_PAGES):
                answer = ask(client, self._objects, self._headers, params, room)
                room -= len(answer.content)
                bundle = read_answer(answer, self.name, enveloped=True)
                yield Part(self.name, bundle)
                if not bundle.more:
                    return
                if bundle.next:
                    params = {"next": bundle.next}
                elif last := answer.headers.get("x-taxii-date-added-last"):
                    params = {"added_after": last}
                if str(params) in asked or not (bundle.objects or bundle.next):
                    raise SourceError(f"{self.name}: says there is more, and not how to get it")
                asked.add(str(params))
        raise SourceError(f"{self.name}: over {_MOST_PAGES:,} pages")

    def _refuse_clear(self, address: httpx.URL) -> None:
        if address.scheme != "https" and address.host not in self._access.allow_private:
            raise UsageError(
                f"{self.name}: a login would be sent to it unencrypted", hint="write https://"
            )


def _authorization(login: str) -> str:
    """The header that says who asks.

    Raises:
        UsageError: there is no such variable, or it holds no login.
    """
    variable = f"TAXII_LOGIN_{login.upper()}"
    value = os.environ.get(variable, "").strip()
    if not value.isascii() or not value.isprintable() or not value:
        raise UsageError(
            f"the environment variable {variable} holds no login",
            hint='set it to "user:password" or to "Bearer TOKEN"',
        )
    if " " not in value.partition(":")[0]:
        return f"Basic {b64encode(value.encode()).decode()}"
    return value
