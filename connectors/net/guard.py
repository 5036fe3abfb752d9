"""Which addresses may be asked. Checked on the address that is connected to, not on its name."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpcore
import httpx

from connectors.net.patience import PatientStream, left
from rag.errors import DocumentError, UsageError

__all__ = ["GuardedBackend", "refuse_private"]

_Address = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")
_UNICAST = IPv6Network("2000::/3")  # all of IPv6 that has been given out for use by anyone


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections to public addresses, and to private ones that were allowed by name.

    The name is resolved here and the connection made to the very address that was checked: what a
    server redirects to is checked the same way, and a name that resolves to something else the
    second time (DNS rebinding) gains nothing. TLS goes by the name all the same.

    Args:
        allowed: hosts, addresses or networks that may be private.

    Raises:
        UsageError: an entry of `allowed` is none of these.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._inner = httpcore.SyncBackend()
        self._hosts = {_host(each) for each in allowed if "/" not in each}
        self._networks = [network for each in allowed if (network := _network(each)) is not None]

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to `host`.

        Looking its name up takes what the system's resolver takes.

        Raises:
            DocumentError: it is, or resolves to, an address that may not be asked.
            httpcore.ConnectError: it has no address, or does not answer.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"no such host {host}") from error
        addresses = [str(each[4][0]) for each in found]
        if _bare(host) not in self._hosts:
            for address in addresses:
                refuse_private(host, address, self._networks)
        last: Exception = httpcore.ConnectError(f"no address of {host}")
        for address in dict.fromkeys(addresses):
            try:
                return PatientStream(
                    self._inner.connect_tcp(
                        address, port, left(timeout), local_address, socket_options
                    )
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
    ip: _Address = ip_address(address.split("%")[0])
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    if any(ip in network for network in allowed):
        return
    if not _is_public(ip):
        raise DocumentError(
            f"{host} is at {address}, which is not a public address",
            hint=f"if it is meant to be read, set sources.allow_private=['{host}']",
        )


def _is_public(ip: _Address) -> bool:
    if isinstance(ip, IPv4Address):
        return ip.is_global and not ip.is_multicast
    if ip in _NAT64:
        return _is_public(IPv4Address(int(ip) & 0xFFFFFFFF))
    # Addresses of the older internet that IPv6 only wraps: a relay would go there.
    if wrapped := [each for each in (ip.sixtofour, *(ip.teredo or ())) if each is not None]:
        return all(map(_is_public, wrapped))
    return ip in _UNICAST and ip.is_global


def _host(written: str) -> str:
    try:
        return _bare(httpx.URL(scheme="http", host=written).raw_host.decode("ascii"))
    except (httpx.InvalidURL, UnicodeError):
        raise _not_known(written) from None


def _bare(host: str) -> str:
    return host.lower().rstrip(".")


def _network(written: str) -> Any:
    """The network, that of a single address too; None for a host."""
    try:
        return ip_network(written.strip("[]"), strict=False)
    except ValueError:
        if "/" in written:
            raise _not_known(written) from None
        return None


def _not_known(written: str) -> UsageError:
    return UsageError(
        f"sources.allow_private: {written!r} is no host, address or network",
        hint="write 'wiki.local', '10.0.0.5' or '10.0.0.0/8'",
    )
