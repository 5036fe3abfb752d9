"""What has a page wait, and breaks its connections."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Event, Thread

from rag.errors import ModelError
from rag.generation.base import Generation, Watch
from rag.generation.extractive import ExtractiveGenerator
from rag.types import Context


class Hesitant(ExtractiveGenerator):
    """Writes something, waits, and then has an answer, or fails.

    While it waits it looks whether it is still listened to, as a model does after each token.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = Event()
        self.fails = False
        self.says = ""

    def generate(
        self, question: str, context: Context, *, watch: Watch | None = None
    ) -> Generation:
        if watch:
            watch("Perhaps <b>400</b>")
        while not self.gate.wait(0.05):
            if watch:
                watch("")
        if self.fails:
            raise ModelError("no more tokens")
        if self.says:
            return Generation(self.says)
        return super().generate(question, context, watch=watch)


class Proxy:
    """Hands on connections to a server, until they are cut."""

    def __init__(self, base: str) -> None:
        host, port = base.removeprefix("http://").split(":")
        self._there = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._lines: list[socket.socket] = []

    def __enter__(self) -> Proxy:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self.cut()

    def cut(self) -> None:
        while self._lines:
            with suppress(OSError):
                self._lines.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                there = socket.create_connection(self._there)
                self._lines += [here, there]
                for one, other in ((here, there), (there, here)):
                    Thread(target=self._hand_on, args=(one, other), daemon=True).start()

    def _hand_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError), one:
            while data := one.recv(65_536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
