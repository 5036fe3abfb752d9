"""The entries of an RSS or Atom feed, on the web or saved."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from threading import Lock
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit, urlunsplit

import feedparser
from pydantic import Field

from connectors.base import Access, SourceRef
from connectors.net.client import Client, RequestFailed
from connectors.news.entries import Entry, read_entry
from rag.errors import DocumentError, SourceError, UsageError, first_line
from rag.types import Document

__all__ = ["FeedConnector", "FeedOptions"]

_MOST_BYTES = 32 * 2**20  # what feedparser reads of broken XML in under a minute
_ASKED = "application/atom+xml, application/rss+xml, application/xml;q=0.9, */*;q=0.5"
_REFERENCE = re.compile(rb"&#(?:x([0-9a-f]{1,8})|([0-9]{1,8}));", re.IGNORECASE)
_MENDED_BY_USER = {401, 404, 410}


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """The options behind a feed's address.

    Args:
        most: how many entries are read, from the top, where news stands first.
    """

    most: Annotated[int, Field(ge=1)] = 10_000


class FeedConnector:
    """Lists and reads the entries of one feed.

    A feed shows the latest entries only. One that it no longer shows was not deleted, so nothing
    that it does not list is ever covered: what was ingested once stays.

    Listing asks for the feed, once; its entries are then held, and fetching only parses them.

    Args:
        place: the feed's address, or the path of a saved one. A login in the address ("https://
            name:password@host/...") is sent, and shown nowhere.
        options: how much of it is read.
        access: how the server is asked.

    Raises:
        UsageError: the address is malformed.
    """

    def __init__(self, place: str, options: FeedOptions, access: Access) -> None:
        self._options, self._access = options, access
        self._is_remote = place.lower().startswith(("http://", "https://"))
        self._headers = {"Accept": _ASKED}
        if self._is_remote:
            self._given, login = _split_login(place)
            if login:
                self._headers["Authorization"] = f"Basic {b64encode(login).decode()}"
        else:
            self._given = place
        self._entries: dict[str, Entry] | None = None
        self._lock = Lock()

    @property
    def namespace(self) -> str:
        """The feed: ids need be unique in it only."""
        whole = self._given if self._is_remote else _absolute(self._given)
        return f"news:{whole}"

    def list(self) -> list[SourceRef]:
        """Every entry the feed shows now, in its order.

        Raises:
            UsageError: there is no feed at the address or path.
            SourceError: the server does not answer, or answers with something else now.
        """
        feed, base = self._load()
        entries: dict[str, Entry] = {}
        refs: list[SourceRef] = []
        for number, found in enumerate(feed["entries"][: self._options.most], start=1):
            entry = read_entry(found, feed["feed"], base)
            known = entries.setdefault(entry.key, entry) if entry.key else entry
            # Word for word the same entry twice is one.
            if known is entry or known.fingerprint != entry.fingerprint:
                refs.append(self._ref(entry, number, is_first=known is entry))
        self._entries = entries
        return refs

    def covers(self, key: str) -> bool:
        """Whether the last listing shows it: what a feed no longer shows was not deleted."""
        return key in (self._entries or {})

    def fetch(self, ref: SourceRef) -> Document:
        """Make a document of one entry.

        Raises:
            DocumentError: it says nothing, or the feed has changed since it was listed.
        """
        if ref.problem is not None:
            raise ref.problem
        entry = self._held().get(ref.key)
        if entry is None or entry.fingerprint != ref.fingerprint:
            raise DocumentError("the feed has changed since it was listed", hint="run this again")
        parsed = entry.parse()
        return parsed.as_document(ref, self.namespace)

    def _held(self) -> Mapping[str, Entry]:
        with self._lock:  # of several threads that come first, one asks
            if self._entries is None:
                try:
                    self.list()
                except (SourceError, UsageError) as error:
                    raise DocumentError(error.message, hint=error.hint) from error
            return self._entries or {}

    def _ref(self, entry: Entry, number: int, *, is_first: bool) -> SourceRef:
        problem = None
        if not is_first:
            problem = DocumentError(f"duplicate id {entry.key!r}: an earlier entry has it")
        elif not entry.key:
            problem = DocumentError(f"entry {number} is empty: neither a title nor text")
        name = entry.key or f"entry {number}"
        return SourceRef(entry.key, entry.link or self._given, name, entry.fingerprint, problem)

    def _load(self) -> tuple[Mapping[str, Any], str]:
        """The feed as feedparser reads it, and the address it was found at, or ""."""
        most = min(_MOST_BYTES, self._access.most_bytes)
        if not self._is_remote:
            return self._parse(_read(self._given, most), ""), ""
        try:
            with Client(self._access, headers=self._headers) as client:
                answer = client.get(self._given, most_bytes=most)
        except RequestFailed as error:
            kind = UsageError if error.status in _MENDED_BY_USER else SourceError
            raise kind(error.message, hint=error.hint or "try the address in a browser") from None
        except DocumentError as error:  # an address that may not be asked
            raise UsageError(error.message, hint=error.hint) from None
        return self._parse(answer.content, answer.headers.get("content-type", "")), answer.url

    def _parse(self, data: bytes, content_type: str) -> Mapping[str, Any]:
        kind = SourceError if self._is_remote else UsageError
        try:
            # From a stream: bytes as such, feedparser takes for the name of a file. Our own HTML
            # parser leaves scripts out, and links are not read. It is not told the address, or it
            # would make addresses of ids ("1"), others after every redirect.
            feed: Mapping[str, Any] = feedparser.parse(
                BytesIO(_REFERENCE.sub(_mend, data)),
                response_headers={"content-type": content_type} if content_type else {},
                sanitize_html=False,
                resolve_relative_uris=False,
            )
        except Exception as error:
            raise kind(f"{self._given}: cannot be read as a feed: {first_line(error)}") from error
        if not feed["entries"] and not feed.get("version"):
            raise kind(
                f"{self._given}: not a feed, but {_looks_like(data)}",
                hint="name the address of its RSS or Atom feed",
            )
        return feed


def _split_login(address: str) -> tuple[str, bytes]:
    """An address without its login, and the login as it is sent."""
    try:
        parts = urlsplit(address)
    except ValueError:
        # Not what it says: it quotes what it could not read, passwords too.
        raise UsageError("news: malformed address", hint="check the address") from None
    login, _, host = parts.netloc.rpartition("@")
    name, _, password = login.partition(":")
    sent = f"{unquote(name)}:{unquote(password)}".encode() if login else b""
    return urlunsplit(parts._replace(netloc=host)), sent


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _read(path: str, most: int) -> bytes:
    try:
        with open(_absolute(path), "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="check the path") from error
    if len(data) > most:
        raise UsageError(f"{path}: larger than {most:,} bytes", hint="split it")
    return data


def _mend(reference: re.Match[bytes]) -> bytes:
    """Half a surrogate pair, as which some write an emoji, is no character and ends all parsing."""
    number = int(reference[1], 16) if reference[1] else int(reference[2])
    return b"&#xFFFD;" if 0xD800 <= number <= 0xDFFF else reference[0]


def _looks_like(data: bytes) -> str:
    head = data[:1000].lstrip().lower()
    if not head:
        return "empty"
    return "a web page" if b"<html" in head or b"<!doctype html" in head else "something else"
