"""A real `rag serve` in a process of its own: started, watched, killed, and started again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
from commands import RAG

__all__ = ["Seen", "Server", "Watch", "documents_in", "finished"]

PATIENCE = 300.0  # seconds for a server to be ready, or a job to be done
MIB = 2**20

UNLIMITED = {"serve.requests_per_minute": "0"}
"""The load comes from one caller: what one caller may is measured apart."""


class Server:
    """`rag serve` over the index in a folder. A port of its own stays its own.

    Args:
        folder: holds the index, its jobs and the server's log.
        settings: all that is not default.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] = UNLIMITED) -> None:
        self.index = folder / "index"
        self.jobs = folder / "index-jobs"
        self.log = folder / "server.log"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{self._port}"
        chosen = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
        where = ["--where", str(self.index), "--port", str(self._port)]
        self._command = [RAG, "serve", *where, *chosen]
        self._process: subprocess.Popen[bytes] | None = None

    def client(self) -> httpx.Client:
        """A client of it."""
        return httpx.Client(base_url=self.base, timeout=PATIENCE, trust_env=False)

    @property
    def process(self) -> psutil.Process:
        """The process that answers."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def start(self) -> float:
        """Start it; the seconds until it is ready.

        Raises:
            SystemExit: it never was.
        """
        began = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONFAULTHANDLER": "1"},
            )
        while time.monotonic() - began < PATIENCE and self._process.poll() is None:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.base}/readyz", trust_env=False).status_code == 200:
                    return time.monotonic() - began
            time.sleep(0.05)
        raise SystemExit(f"the server does not start: {self.last_words()}")

    def last_words(self) -> str:
        """How it ended, if it did, and the end of its log."""
        code = self._process.poll() if self._process else None
        return f"exit code {code}\n{self.log.read_text()[-4_000:]}"

    def writer(self) -> psutil.Process | None:
        """The process that writes, if there is one now."""
        with suppress(psutil.NoSuchProcess):
            for child in self.process.children():
                with suppress(psutil.NoSuchProcess):
                    if "resource_tracker" not in " ".join(child.cmdline()):
                        return child
        return None

    def kill(self, *, all_of_it: bool = False) -> None:
        """SIGKILL to the process that answers, or to those that it started as well."""
        assert self._process is not None
        if all_of_it:
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """As whoever runs it would; nothing of it is left."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=30)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def documents_in(index: Path) -> int:
    """How many an index holds that no server has."""
    command = [RAG, "status", "--where", str(index), "--json"]
    told = subprocess.run(command, capture_output=True, check=True).stdout
    return int(json.loads(told)["documents"])


def finished(asking: httpx.Client, job_id: str) -> dict[str, Any]:
    """A job, once it is at its end.

    Raises:
        SystemExit: it never was.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        told: dict[str, Any] = asking.get(f"/v1/jobs/{job_id}").json()
        if told["state"] in ("done", "failed"):
            return told
        time.sleep(0.2)
    raise SystemExit(f"job {job_id} is not done after {PATIENCE:g} s")


class Seen(NamedTuple):
    """A server at a moment of the machine's monotonic clock; sizes in MiB.

    `anonymous` is what the process holds and cannot give back; the rest of `resident` is files
    that are mapped.
    """

    at: float
    resident: float
    anonymous: float
    children: float
    files: int
    threads: int
    index: float
    jobs: float


class Watch:
    """Looks at a server once a second."""

    def __init__(self, server: Server) -> None:
        self.seen: list[Seen] = []
        self._server = server

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look while the block runs."""
        end = threading.Event()

        def look() -> None:
            while not end.wait(1.0):
                self.seen.append(_look(self._server))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()


def _look(server: Server) -> Seen:
    process = server.process
    memory = process.memory_info()
    return Seen(
        time.monotonic(),
        memory.rss / MIB,
        (memory.rss - memory.shared) / MIB,
        sum(map(_resident, process.children(recursive=True))) / MIB,
        process.num_fds(),
        process.num_threads(),
        _on_disk(server.index),
        _on_disk(server.jobs),
    )


def _resident(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0


def _on_disk(folder: Path) -> float:
    """MiB of all files there; one that goes while it is looked at does not count."""
    size = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            size += file.lstat().st_blocks * 512
    return size / MIB
