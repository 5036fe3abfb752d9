"""A server that runs in a thread, over a real index, at a port of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from pipelines.query import open_index_and_generator
from pipelines.serve.app import create_app
from rag.settings import Settings

KEYS = {
    "reader": "reader-key-0123456789",
    "acme": "acme-key-0123456789",
    "apex": "apex-key-0123456789",
}
TABLE = (
    f'{{"{KEYS["reader"]}": "read", "{KEYS["acme"]}": {{"role": "read", "tenant": "acme"}}, '
    f'"{KEYS["apex"]}": {{"role": "read", "tenant": "apex"}}}}'
)


@contextmanager
def serving(where: Path, generation: dict[str, Any] | None = None, **serve: Any) -> Iterator[str]:
    """The address of a server over the index there."""
    settings = Settings(store={"path": where}, generation=generation or {}, serve=serve)
    with (
        open_index_and_generator(settings) as (index, generator),
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        config = uvicorn.Config(create_app(index, generator), log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)
            assert not thread.is_alive()


def client(base: str, who: str = "") -> httpx.Client:
    """A client, with a key where it is anybody's."""
    headers = {"Authorization": f"Bearer {KEYS[who]}"} if who else {}
    return httpx.Client(base_url=base, headers=headers, timeout=60, trust_env=False)


def metric(base: str, line: str, who: str = "") -> float:
    """The value of one line of /metrics; 0 where it is not there."""
    with client(base, who) as asking:
        told = asking.get("/metrics").text.splitlines()
    return next((float(each.split(" ")[-1]) for each in told if each.startswith(line)), 0.0)
