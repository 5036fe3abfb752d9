"""A Qdrant server for tests: the one that SPANRAG_TEST_QDRANT_URL names, or the stand-in."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from qdrant_client import QdrantClient

sys.path.insert(0, str(Path(__file__).parent))
from serving import until

# Read at import: the suite clears every setting before a test.
SERVER_URL = os.environ.get("SPANRAG_TEST_QDRANT_URL", "")
STAND_IN = Path(__file__).with_name("qdrant_stand_in.py")
KEY = "qdrant-key-0123456789"


class Qdrant:
    """A server with a collection of its own for whoever asks for one."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key
        self._names: list[str] = []

    def store(self, **more: Any) -> dict[str, Any]:
        """Settings of an index there that nobody has made yet."""
        self._names.append(f"spanrag-test-{uuid4().hex[:8]}")
        return {"url": self.url, "api_key": self.key, "collection": self._names[-1], **more}

    def close(self) -> None:
        """Delete what was made."""
        client = QdrantClient(url=self.url, check_compatibility=False)
        for found in client.get_collections().collections:
            if any(found.name.startswith(name) for name in self._names):
                client.delete_collection(found.name)
        client.close()


class StandIn(Qdrant):
    """The stand-in, a process of its own, with a key, and a folder that outlasts it, or memory."""

    def __init__(self, folder: Path | None = None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        super().__init__(f"http://127.0.0.1:{self._port}", KEY)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what it held before, it holds again."""
        where = ["--port", str(self._port)]
        if self._folder:
            where += ["--path", str(self._folder)]
        environment = os.environ | {"QDRANT__SERVICE__API_KEY": self.key, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen([sys.executable, STAND_IN, *where], env=environment)
        until(self._answers)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def close(self) -> None:
        """Kill it, as a machine dies."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False


def qdrant(folder: Path | None = None) -> Qdrant:
    """A server that answers."""
    if SERVER_URL:
        return Qdrant(SERVER_URL, "")
    stand_in = StandIn(folder)
    stand_in.start()
    return stand_in
