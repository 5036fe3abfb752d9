"""Web addresses: checked before they are asked, and shown without what is secret in them."""

from __future__ import annotations

import re

import httpx

from rag.errors import UsageError

__all__ = ["parse_address", "without_user"]

_USER = re.compile(r"//[^\s]*@")


def parse_address(written: str) -> httpx.URL:
    """An http or https address.

    Raises:
        UsageError: it is none.
    """
    scheme, colon, rest = written.partition(":")
    try:
        address = httpx.URL(scheme.lower() + colon + rest)
        port = address.port
    except (httpx.InvalidURL, UnicodeError):
        # What is wrong with it is not repeated: it may be part of a password.
        address, port = httpx.URL(), 0
    if not (address.scheme in ("http", "https") and _is_host(address.host) and _is_port(port)):
        # Greedy, for the same reason: who can say where the password of a broken address ends.
        raise UsageError(
            f"no web address: {_USER.sub('//', written)!r}",
            hint="write it as https://host/path, anything unusual in it percent-encoded",
        )
    return address


def without_user(address: httpx.URL) -> httpx.URL:
    """The same address without "user:password@"."""
    return address.copy_with(username="", password="") if address.userinfo else address


def _is_port(port: int | None) -> bool:
    return port is None or 0 < port < 1 << 16


def _is_host(host: str) -> bool:
    return bool(host) and "%" not in host  # httpx escapes what no host has; so are zones of IPv6
