from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.base import Access

CTI = Path(__file__).parents[3] / "data" / "attack" / "cti"
COLLECTION = "/api1/collections/365fed99-08fa-fdcd-a1b3-fb247eb41d01/"
MEDIA_TYPE = "application/taxii+json;version=2.1"

Thing = dict[str, Any]
Make = Callable[..., Thing]
Write = Callable[..., str]


def cti() -> list[dict[str, Any]]:
    """The recorded objects of ATT&CK, by the names of their files."""
    files = sorted(CTI.glob("*/*.json"))
    return [each for file in files for each in json.loads(file.read_text())["objects"]]


class Taxii(ThreadingHTTPServer):
    """A TAXII 2.1 server: one collection, in pages of `page` objects, and what was asked of it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects = cti()
        self.page = 5
        self.asked: list[str] = []
        self.headers_seen: list[dict[str, str]] = []
        self.login = ""
        self.status = 200
        self.moved_to = ""
        self.answers: list[bytes] = []
        """Said instead of pages, in this order, the last again and again."""
        self.dated = False
        """Whether pages are asked for by the time of adding, as a server without `next` has it."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{COLLECTION}"

    def envelope(self, query: dict[str, list[str]]) -> tuple[bytes, str]:
        name = "added_after" if self.dated else "next"
        start = int(query.get(name, ["0"])[0])
        end = min(start + self.page, len(self.objects))
        said: dict[str, Any] = {"more": end < len(self.objects)}
        if self.objects[start:end]:
            said["objects"] = self.objects[start:end]
        if said["more"] and not self.dated:
            said["next"] = str(end)
        return json.dumps(said).encode(), str(end)


class _Handler(BaseHTTPRequestHandler):
    server: Taxii

    def do_GET(self) -> None:
        server, query = self.server, parse_qs(urlsplit(self.path).query)
        server.asked.append(self.path)
        server.headers_seen.append({name.lower(): value for name, value in self.headers.items()})
        sent = self.headers.get("Authorization", "")
        if sent.startswith("Basic "):
            sent = b64decode(sent.removeprefix("Basic ")).decode()
        body, last, status = b"", "", server.status
        if server.moved_to and server.moved_to.endswith(self.path):
            status = 404
        elif server.moved_to:
            status = 302
        elif server.login and sent != server.login:
            status = 401
        elif self.headers["Accept"] != MEDIA_TYPE:
            status = 406
        elif urlsplit(self.path).path != f"{COLLECTION}objects/":
            status = 404
        elif server.answers:
            body = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        else:
            body, last = server.envelope(query)
        self.send_response(status)
        self.send_header("Content-Type", MEDIA_TYPE)
        self.send_header("Content-Length", str(len(body)))
        if server.moved_to:
            self.send_header("Location", server.moved_to)
        if last:
            self.send_header("X-TAXII-Date-Added-Last", last)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def serve(server: ThreadingHTTPServer) -> Iterator[Any]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def taxii() -> Iterator[Taxii]:
    yield from serve(Taxii())


@pytest.fixture
def access() -> Access:
    return Access(allow_private=("127.0.0.1", "localhost"), timeout=5.0, deadline=5.0)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a bundle of these objects and return its path."""

    def write(*objects: Any, name: str = "bundle.json") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"type": "bundle", "id": "bundle--1", "objects": objects}))
        return str(path)

    return write


@pytest.fixture
def recorded() -> list[dict[str, Any]]:
    """The recorded objects of ATT&CK."""
    return cti()


@pytest.fixture
def cti_folder() -> str:
    return str(CTI)


@pytest.fixture
def sdo() -> Make:
    """Make an object of STIX."""
    return _sdo


@pytest.fixture
def relate() -> Make:
    """Make a relationship of a kind, from one object to another."""

    def relate(kind: str, source: Thing, target: Thing, number: int = 1, **fields: Any) -> Thing:
        ends = {"source_ref": source["id"], "target_ref": target["id"]}
        made = _sdo("relationship", number, relationship_type=kind, **ends)
        return {**{name: made[name] for name in made if name != "name"}, **fields}

    return relate


def _sdo(kind: str, number: int = 1, **fields: Any) -> Thing:
    key = f"{kind}--00000000-0000-4000-8000-{number:012}"
    made = {"type": kind, "spec_version": "2.1", "id": key, "name": f"{kind} {number}",
            "created": "2024-01-01T00:00:00.000Z", "modified": "2024-01-01T00:00:00.000Z",
    }  # fmt: skip
    return {**made, **fields}
