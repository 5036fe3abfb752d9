"""How long a server is waited for: each silence, and all of them together."""

from __future__ import annotations

import time
from ssl import SSLContext
from typing import Any, Self

import httpcore

__all__ = ["Patience", "PatientStream", "left"]


class Patience(float):
    """Seconds a server may stay silent, which is its value, and `until` when all must be done.

    It travels through httpx and httpcore where they carry a time-out, and so reaches every single
    read, write and connect of a request: also those of a server that sends its headers a byte a
    second, or that redirects on and on.
    """

    until: float

    def __new__(cls, silent: float, until: float) -> Self:
        """Of `silent` seconds, and `until` a time of `time.monotonic`."""
        made = super().__new__(cls, silent)
        made.until = until
        return made


def left(timeout: float | None) -> float | None:
    """What a single step may take.

    Raises:
        httpcore.ReadTimeout: nothing; the time of the request is over.
    """
    if not isinstance(timeout, Patience):
        return timeout
    remaining = timeout.until - time.monotonic()
    if remaining <= 0:
        raise httpcore.ReadTimeout("it took too long in all")
    return min(float(timeout), remaining)


class PatientStream(httpcore.NetworkStream):
    """A connection of which every step keeps to a `Patience`."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read at most so many bytes."""
        return self._inner.read(max_bytes, left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._inner.write(buffer, left(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """The same connection, encrypted; the server proves that it is `server_hostname`."""
        return PatientStream(self._inner.start_tls(ssl_context, server_hostname, left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of a connection."""
        return self._inner.get_extra_info(info)
