from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for `tiny_index`: in importlib mode pytest does not do it

Driver = Callable[..., bool]


@pytest.fixture(scope="session")
def run_until() -> Iterator[Driver]:
    """Run a job of the driver's in a process that dies at a moment; whether it died."""
    command = [sys.executable, str(HERE / "driver.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None

        def run(**job: object) -> bool:
            process.stdin.write(json.dumps(job, default=str) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                pytest.fail(f"the driver ended: {process.stderr.read()}")
            return bool(json.loads(answer)["killed"])

        yield run
        process.stdin.close()
        assert process.wait(timeout=30) == 0


@pytest.fixture(scope="session")
def ingest_until(run_until: Driver) -> Callable[[Path, Path, str, int], bool]:
    """Ingest a folder into an index, in a process that dies at a moment; whether it died."""

    def run(index: Path, source: Path, at: str, number: int) -> bool:
        return run_until(index=index, source=source, at=at, number=number)

    return run
