"""The command in a process of its own that need not import torch first: seconds, each time.

A process that has imported what commands import is forked for every run. All forks have one seed
of hashes; what has to be the same under any seed is asked of processes that begin at nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pipelines.cli", "sentence_transformers", "pydantic_settings"])


def run_forked(
    arguments: Sequence[str], cwd: Path, env: Mapping[str, str], text: bytes, timeout: float
) -> tuple[int, bytes, bytes]:
    """The exit code, stdout and stderr of `rag` with these arguments.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "stdin").write_bytes(text)
        process = _CONTEXT.Process(target=_become, args=(list(arguments), cwd, dict(env), place))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout)
        out, err = ((place / name).read_bytes() for name in ("stdout", "stderr"))
        return process.exitcode, out, err


def _become(arguments: list[str], cwd: Path, env: dict[str, str], place: Path) -> None:
    """Run the command here, as its script would."""
    writes = os.O_WRONLY | os.O_CREAT
    for number, (name, flags) in enumerate(
        (("stdin", os.O_RDONLY), ("stdout", writes), ("stderr", writes))
    ):
        opened = os.open(place / name, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = [str(Path(sys.executable).with_name("rag")), *arguments]
    from pipelines.cli import main

    sys.exit(main())
