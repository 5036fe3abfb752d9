from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from connectors.base import Access
from connectors.net.client import Client

Answer = Callable[[str], bytes | Iterable[bytes]]


class Server:
    """Answers each connection once, with exactly the bytes it is told to; notes what was asked."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[str] = []
        self._answer, self._context = answer, context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.closing = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self.closing.is_set():
            with suppress(OSError):
                connection, _ = self._socket.accept()
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        # What the client hangs up on is what is tested.
        with connection, suppress(OSError):
            connection.settimeout(10)
            stream = connection
            if self._context:
                stream = self._context.wrap_socket(connection, server_side=True)
            with stream:
                self._talk(stream)

    def _talk(self, stream: socket.socket) -> None:
        asked = b""
        while b"\r\n\r\n" not in asked:
            piece = stream.recv(4096)
            if not piece:
                return
            asked += piece
        head, _, body = asked.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        while len(body) < length:
            body += stream.recv(4096)
        self.requests.append((head + b"\r\n\r\n" + body).decode())
        said = self._answer(self.requests[-1])
        for piece in [said] if isinstance(said, bytes) else said:
            if self.closing.is_set():
                return
            stream.sendall(piece)

    def close(self) -> None:
        self.closing.set()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        for thread in self._threads:
            thread.join(timeout=15)
        self._socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start a server that answers as a function of the request says."""
    servers: list[Server] = []

    def start(answer: Answer, context: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(answer, context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def pauses() -> list[float]:
    """How long clients waited before they asked again; they did not really."""
    return []


@pytest.fixture
def client(pauses: list[float]) -> Iterator[Callable[..., Client]]:
    """Clients that may ask loopback servers."""
    clients: list[Client] = []

    def make(**changes: object) -> Client:
        of_client = {name: changes.pop(name) for name in ("headers", "check") if name in changes}
        values: dict[str, object] = {"allow_private": ("127.0.0.1",), "timeout": 5.0} | changes
        clients.append(Client(Access(**values), pause=pauses.append, **of_client))  # type: ignore[arg-type]
        return clients[-1]

    yield make
    for each in clients:
        each.close()


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Make names resolve to addresses: the first time to the first group, then the next, ..."""
    asked: list[str] = []

    def make(names: dict[str, list[list[str]]]) -> list[str]:
        real = socket.getaddrinfo

        def look_up(host: str, port: int, *how: int, **named: int) -> list[Any]:
            if host not in names:
                return real(host, port, *how, **named)
            asked.append(host)
            groups = names[host]
            group = groups.pop(0) if len(groups) > 1 else groups[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in group]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return asked

    return make
