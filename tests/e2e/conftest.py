"""A real OpenAI-compatible server on loopback, and a proxy before it that fails as it is told."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rag.generation import bundled

# For `forked`, and for `tiny_index`, which the fault tests' driver needs beside it.
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "faults")]

ALIAS = "smollm2"


@pytest.fixture(scope="session")
def chat_server() -> Iterator[int]:
    """The port of a llama.cpp server with the bundled model, which serves two at a time."""
    xllamacpp = pytest.importorskip("xllamacpp", reason="the bundled extra is not installed")
    path = bundled.model_file()
    if not path.is_file():
        pytest.skip(f"no {path}: run `rag models pull`")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {ALIAS}
    params.port = port
    params.n_ctx, params.n_parallel = 4096, 2
    params.verbosity = -1
    threads = max(1, (os.cpu_count() or 2) - 1)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 64
    running = xllamacpp.Server(params)
    yield port
    del running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium. No longer than a module: its driver keeps an event loop running."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the dev extra is not installed")
    there = shutil.which("chromium") or shutil.which("google-chrome")
    if there is None:
        pytest.skip("no chromium on this machine: `make browser` installs one as root")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=there, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield opened
        opened.close()


@dataclass
class Proxy:
    """Forwards to the real server, after it has failed in the ways of `script`, one a request.

    A way is a status with headers, "drop" (hangs up), "hang" (never answers), "break" (hangs up
    in the middle of the answer) or "linger" (repeats a piece of the answer for ever).
    """

    upstream: int
    script: list[Any] = field(default_factory=list)
    refuses_schema: bool = False
    requests: list[dict[str, Any]] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    left: threading.Event = field(default_factory=threading.Event)
    gate: threading.Barrier | None = None
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        proxy = self.proxy
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with proxy.lock:
            proxy.requests.append(json.loads(body))
            way = proxy.script.pop(0) if proxy.script else None
            proxy.open += 1
            proxy.most_open = max(proxy.most_open, proxy.open)
        try:
            if proxy.gate:
                proxy.gate.wait(timeout=60)
            if proxy.refuses_schema and "response_format" in proxy.requests[-1]:
                way = (400, {})
            self._answer(way, body)
        finally:
            with proxy.lock:
                proxy.open -= 1

    def _answer(self, way: Any, body: bytes) -> None:
        self.close_connection = True
        if way == "hang":
            self.connection.recv(1)  # until the client hangs up
            self.proxy.left.set()
        elif isinstance(way, tuple):
            status, headers = way
            self._send(status, headers, b'{"error": {"message": "as told"}}')
        elif way != "drop":
            self._forward(body, way)

    def _forward(self, body: bytes, way: Any) -> None:
        upstream = http.client.HTTPConnection("127.0.0.1", self.proxy.upstream, timeout=120)
        headers = {"Content-Type": "application/json", "Connection": "close"}
        upstream.request("POST", self.path, body, headers)
        with closing(upstream), upstream.getresponse() as response:
            if json.loads(body).get("stream"):
                self._stream(response, way)
            else:
                self._send(response.status, {}, response.read())

    def _stream(self, response: http.client.HTTPResponse, way: Any) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for number, line in enumerate(response):
                self._send_part(line)
                if way == "break" and number > 6:
                    return
                while way == "linger" and number > 1 and b'"content"' in line:
                    self._send_part(line)
                    time.sleep(0.02)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:  # the client has left
            self.proxy.left.set()

    def _send_part(self, line: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        if line.startswith(b"data:"):
            self.wfile.write(b"1\r\n\n\r\n")
        self.wfile.flush()

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def proxy(chat_server: int) -> Iterator[Proxy]:
    """A proxy of its own for each test."""
    proxy = Proxy(chat_server)
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        serving.daemon_threads = True
        proxy.port = int(serving.server_address[1])
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield proxy
        serving.shutdown()
