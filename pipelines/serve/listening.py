"""The socket that a server listens at."""

from __future__ import annotations

import socket

from rag.errors import UsageError

__all__ = ["listening"]


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; before models are loaded, so that a taken port is told at once.

    Raises:
        UsageError: it cannot.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise UsageError(
            f"cannot listen at {host}, port {port}: {error.strerror or error}",
            hint="choose another --host or --port",
        ) from None
    # Its connections have this too. asyncio does not see that they are TCP, and an answer of two
    # writes would wait for the client's word that it had the first: 40 ms.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
