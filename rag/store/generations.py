"""Generations: indexes that lie beside each other, of the same chunks under other vectors.

The first is where the settings say. Those that `rag reindex` builds lie in folders of the first
one's, `reindex-1` and so on, and a file there says which is served and which is kept. That file is
replaced as a whole, in one step, so there is no moment at which none is served.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from rag.errors import StoreError

__all__ = ["FIRST", "Generations", "clear", "is_index", "is_rebuilt", "read", "write"]

FIRST = ""
_FILE = "generations.json"
_REBUILT = re.compile(r"reindex-[1-9]\d*")
# What the engine's own files begin with.
_ENGINE = ("edge_config.json", "wal", "segments", ".atomicwrite")


@dataclass(frozen=True, slots=True)
class Generations:
    """Which of them is opened, and which was before and is kept."""

    served: str = FIRST
    kept: str | None = None

    def new(self) -> str:
        """A name for one more."""
        names = (f"reindex-{number}" for number in count(1))
        return next(name for name in names if name not in (self.served, self.kept))


def is_rebuilt(name: str) -> bool:
    """Whether a folder or collection of this name is one that `rag reindex` made."""
    return _REBUILT.fullmatch(name) is not None


def is_index(folder: Path) -> bool:
    """Whether the folder is that of an embedded index.

    Raises:
        StoreError: it cannot be told.
    """
    return (folder / read(folder).served / "edge_config.json").is_file()


def read(folder: Path) -> Generations:
    """What the folder of an embedded index says of its generations.

    Raises:
        StoreError: the file is damaged.
    """
    file = folder / _FILE
    try:
        found = Generations(**json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return Generations()
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(file) from error
    if any(name and not is_rebuilt(name) for name in (found.served, found.kept)):
        raise _damaged(file)
    return found


def write(folder: Path, generations: Generations) -> None:
    """Say which generation is served and which is kept: both at once, or nothing changes."""
    part = folder / f"{_FILE}.part"
    with part.open("w", encoding="utf-8") as stream:
        json.dump(asdict(generations), stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, folder / _FILE)
    entry = os.open(folder, os.O_RDONLY)  # the new name must outlast a power cut, too
    try:
        os.fsync(entry)
    finally:
        os.close(entry)


def clear(folder: Path) -> None:
    """Delete what is neither served nor kept."""
    generations = read(folder)
    needed = {generations.served, generations.kept}
    for entry in sorted(folder.iterdir()):  # "edge_config.json" first: without it, no index
        first = entry.name.startswith(_ENGINE) and FIRST not in needed
        if first or (is_rebuilt(entry.name) and entry.name not in needed):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _damaged(file: Path) -> StoreError:
    return StoreError(
        f"{file} does not say which index is served",
        hint='write {"served": "reindex-1"} into it, or the name of another folder beside it; '
        '"" serves the one it lies in',
    )
