"""A server that runs in a thread, over a real index, at a port of its own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from pipelines.query import open_parts
from pipelines.serve.app import create_app
from pipelines.serve.listening import listening
from rag.settings import Settings

ROLES: dict[str, object] = {
    "reader": "read",
    "acme": {"role": "read", "tenant": "acme"},
    "apex": {"role": "read", "tenant": "apex"},
    "writer": "ingest",
    "acme-writer": {"role": "ingest", "tenant": "acme"},
    "apex-writer": {"role": "ingest", "tenant": "apex"},
    "observer": "metrics",
    "admin": "admin",
    "acme-admin": {"role": "admin", "tenant": "acme"},
}
KEYS = {name: f"{name}-key-0123456789" for name in ROLES}
TABLE = json.dumps({KEYS[name]: role for name, role in ROLES.items()})


@contextmanager
def serving(where: Path, generation: dict[str, Any] | None = None, **serve: Any) -> Iterator[str]:
    """The address of a server over the index there; no limit but those given."""
    serve = {"requests_per_minute": 0} | serve
    settings = Settings(store={"path": where}, generation=generation or {}, serve=serve)
    with serving_as(settings) as base:
        yield base


@contextmanager
def serving_as(settings: Settings, routes: Path | None = None) -> Iterator[str]:
    """The address of a server with these settings, over the index they name or those of routes."""
    with listening("127.0.0.1", 0) as line:
        app = create_app(*open_parts(settings, routes, create=True))
        config = uvicorn.Config(app, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([line],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{line.getsockname()[1]}"
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


def finished(asking: httpx.Client, submitted: httpx.Response) -> dict[str, Any]:
    """The job that a request began, once it is at its end."""
    assert submitted.status_code == 202, submitted.text
    until(lambda: asking.get(submitted.headers["location"]).json()["state"] in ("done", "failed"))
    told: dict[str, Any] = asking.get(submitted.headers["location"]).json()
    return told


def until(true: Callable[[], bool]) -> None:
    """Wait for it; two minutes are too long."""
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
