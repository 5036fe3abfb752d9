"""Which addresses may be asked. Checked on the address that is connected to, not on its name."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpcore

from rag.errors import DocumentError, UsageError

__all__ = ["GuardedBackend", "refuse_private"]

_Address = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections to public addresses, and to private ones that were allowed by name.

    The name is resolved here and the connection made to the very address that was checked: what a
    server redirects to is checked the same way, and a name that resolves to something else the
    second time (DNS rebinding) gains nothing.

    Args:
        allowed: hosts, addresses or networks that may be private.

    Raises:
        UsageError: an entry of `allowed` looks like a network and is none.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._inner = httpcore.SyncBackend()
        self._hosts = {each.lower() for each in allowed}
        self._networks = [_network(each) for each in allowed if "/" in each]

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to `host`.

        Raises:
            DocumentError: it is, or resolves to, an address that may not be asked.
            httpcore.ConnectError: it has no address, or does not answer.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"no such host {host}") from error
        addresses = [str(each[4][0]) for each in found]
        if host.lower() not in self._hosts:
            for address in addresses:
                refuse_private(host, address, self._networks)
        last: Exception = httpcore.ConnectError(f"no address of {host}")
        for address in dict.fromkeys(addresses):
            try:
                return self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last


def refuse_private(host: str, address: str, allowed: Sequence[Any] = ()) -> None:
    """Let a public address pass.

    Raises:
        DocumentError: it is private, link-local, loopback or otherwise not on the internet, and
            in none of the `allowed` networks.
    """
    ip = ip_address(address.split("%")[0])
    if any(ip in network for network in allowed):
        return
    if not all(each.is_global and not each.is_multicast for each in _meant(ip)):
        raise DocumentError(
            f"{host} is at {address}, which is not a public address",
            hint=f"if it is meant to be read, set sources.allow_private=['{host}']",
        )


def _meant(ip: _Address) -> list[_Address]:
    """The address, or those of the older internet that it only wraps."""
    if isinstance(ip, IPv4Address):
        return [ip]
    if ip in _NAT64:
        return [IPv4Address(int(ip) & 0xFFFFFFFF)]
    wrapped = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    inner = [each for each in wrapped if each is not None]
    return [*inner] if inner else [ip]


def _network(written: str) -> Any:
    try:
        return ip_network(written, strict=False)
    except ValueError as error:
        raise UsageError(
            f"sources.allow_private: {error}", hint="write a host, an address or a network"
        ) from None
