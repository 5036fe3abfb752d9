"""How a benchmark reports: what it ran on, Markdown tables, bootstrap intervals."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["heading", "interval", "say", "table"]

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16")
_PACKAGES = (
    "torch",
    "sentence-transformers",
    "llama-index-core",
    "qdrant-edge-py",
    "qdrant-client",
    "numpy",
)


def heading(title: str) -> str:
    """The title, and a table of all that a number below it depends on."""
    script = Path(sys.argv[0])
    rows = [
        ("machine", _machine()),
        ("busy", f"load average {os.getloadavg()[0]:.1f} when it began"),
        ("date", date.today().isoformat()),
        ("versions", _versions()),
        ("command", f"`{shlex.join(['python', f'benchmarks/{script.name}', *sys.argv[1:]])}`"),
    ]
    return f"## {title}\n\n{table(('', ''), rows)}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n"


def interval(
    statistic: Callable[..., Any], *samples: Sequence[float] | NDArray[Any], draws: int = 2_000
) -> tuple[float, float]:
    """A 95 % bootstrap interval (percentiles). Every sample is redrawn by itself.

    Args:
        statistic: of as many arrays as there are samples.
        samples: what was measured; pairs are one sample, of their ratios or differences.
        draws: how often they are redrawn. The seed is fixed: a report can be made again.
    """
    chance = np.random.default_rng(0)
    arrays = [np.asarray(sample) for sample in samples]
    values = [statistic(*(chance.choice(each, len(each)) for each in arrays)) for _ in range(draws)]
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def say(text: str) -> None:
    """Progress, on stderr: stdout is the report."""
    print(text, file=sys.stderr, flush=True)


def _machine() -> str:
    facts: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [line.partition(":") for line in cpuinfo.read_text().splitlines()]
        facts = {key.strip(): value.strip() for key, _, value in lines}
    model = facts.get("model name", platform.processor() or platform.machine())
    held = facts.get("flags", facts.get("Features", "")).split()
    flags = " ".join(flag for flag in _FLAGS if flag in held)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {cores} cores ({flags}), {memory:.0f} GiB RAM, {platform.system()}"


def _versions() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    ours = f"spanrag {version('spanrag')}{_commit()}"
    return f"{ours}, Python {platform.python_version()}, {packages}"


def _commit() -> str:
    """The commit of this checkout, marked where the working tree differs from it."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f" ({described.stdout.strip()})"
