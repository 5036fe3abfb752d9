"""One spelling for each address, and which addresses belong to a source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin, urlsplit

from connectors.net.address import parse_address, without_user
from rag.errors import UsageError

__all__ = ["Scope", "normal", "origin_of", "resolve"]

_LONGEST = 2_000  # characters of an address that is followed
# What is normal by its looks: most addresses are, and parsing all of a sitemap takes a minute.
_PLAIN = re.compile(
    r"https?://(?!xn--)[a-z0-9-]+(?:\.(?!xn--)[a-z0-9-]+)*(?::(?!80/|443/)(?:[1-9]\d{0,3}|[1-5]\d{4}))?"
    r"/(?!\.)(?:[A-Za-z0-9_~=&?-]|[./](?![./])|%[0-9A-Fa-f]{2})*(?<!\?)"
)


def normal(address: str) -> str:
    """The address as it is compared: no login, no fragment, no default port, host in lower case.

    >>> normal("HTTPS://me:secret@Example.org:443/a/../b?q=1#top")
    'https://example.org/b?q=1'

    Raises:
        UsageError: it is no web address.
    """
    if _PLAIN.fullmatch(address):
        return address
    parsed = without_user(parse_address(address)).copy_with(fragment=None)
    path = parsed.raw_path.decode("ascii").removesuffix("?")
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}{path}"


def origin_of(address: str) -> str:
    """The server of a normal address: "https://example.org"."""
    return "/".join(address.split("/", 3)[:3])


def resolve(base: str, link: str) -> str | None:
    """Where a link on a page leads, in its normal spelling; None where it is not on the web."""
    # As browsers do: white space around it means nothing, line breaks inside neither.
    cleaned = link.strip().translate({9: None, 10: None, 13: None})
    if len(cleaned) > _LONGEST:
        return None
    try:
        found = normal(urljoin(base, cleaned))
    except (UsageError, ValueError):
        return None
    return found if len(found) <= _LONGEST else None


@dataclass(frozen=True, slots=True)
class Scope:
    """The addresses of one server that a source is about.

    Args:
        origin: of the server.
        folder: what their paths start with; ends in "/".
        page: the one address there is; "" where all below the folder belong.
    """

    origin: str
    folder: str
    page: str = ""

    @classmethod
    def below(cls, address: str) -> Self:
        """All below "/docs/" or "/docs", all beside "/docs/index.html"."""
        path = urlsplit(address).path
        head, _, last = path.rpartition("/")
        return cls(origin_of(address), f"{head}/" if "." in last or not last else f"{path}/")

    @classmethod
    def only(cls, address: str) -> Self:
        """The page itself."""
        return cls(origin_of(address), cls.below(address).folder, address)

    @classmethod
    def whole(cls, address: str) -> Self:
        """All of the server."""
        return cls(origin_of(address), "/")

    def covers(self, address: str) -> bool:
        """Whether a normal address belongs here."""
        if self.page:
            return address == self.page
        if origin_of(address) != self.origin:
            return False
        path = urlsplit(address).path
        return path.startswith(self.folder) or f"{path}/" == self.folder

    def adopt(self, address: str) -> str:
        """The address with the source's own scheme where only that tells the servers apart."""
        host = origin_of(address).partition("://")[2]
        same = host == self.origin.partition("://")[2] and urlsplit(self.origin).port is None
        return self.origin + address[len(origin_of(address)) :] if same else address

    def name(self, address: str) -> str:
        """What is left of an address below the folder, or the host where nothing is."""
        below = address.removeprefix(self.origin + self.folder)
        return below if below not in ("", address) else urlsplit(address).netloc
