"""A command, its seconds and its peak memory.

A process inherits the high-water mark of the one it was forked from, so commands are started by
this very file, as a script that has hardly any memory of its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["RAG", "Done", "run"]

RAG = str(Path(sys.executable).with_name("rag"))
"""The command line beside this Python."""


class Done(NamedTuple):
    """What a command printed on stdout, how long it took, and its peak of memory in MiB."""

    output: str
    seconds: float
    peak: float


def run(command: Sequence[str]) -> Done:
    """Run a command; its stderr is ours.

    Raises:
        SystemExit: it failed.
    """
    launcher = [sys.executable, "-I", "-S", __file__, *command]
    done = subprocess.run(launcher, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"failed: {' '.join(command)}")
    return Done(**json.loads(done.stdout))


def _launch(command: Sequence[str]) -> int:
    began = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    print(json.dumps(Done(done.stdout, seconds, peak)._asdict()))
    return done.returncode


if __name__ == "__main__":
    sys.exit(_launch(sys.argv[1:]))
