"""Generations: indexes that lie beside each other, of the same chunks under other vectors.

The first is where the settings say. Those that `rag reindex` builds lie in folders of the first
one's, called `reindex-` and eight random digits, so that two runs at once never meet. A file there
says which is served and which is kept. It is replaced as a whole, in one step, so there is no
moment at which none is served.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from rag.errors import StoreError

__all__ = [
    "FIRST",
    "Generations",
    "abandon",
    "clear",
    "copy",
    "copy_file",
    "is_engines",
    "is_index",
    "is_rebuilt",
    "new_name",
    "read",
    "require_room",
    "write",
]

FIRST = ""
_FILE = "generations.json"
_CONFIG = "edge_config.json"
_NOUGHT = bytes(2**16)  # a block that a copy leaves out
_SPARE = 256 << 20  # bytes that must be free besides what a copy takes
_REBUILT = re.compile(r"reindex-[0-9a-f]{8}")
# The engine's own: what it writes anew goes into a folder of the last kind first.
_ENGINE = re.compile(r"edge_config\.json|wal|segments|\.atomicwrite\w{6}")


@dataclass(frozen=True, slots=True)
class Generations:
    """Which of them is opened, and which was before and is kept."""

    served: str = FIRST
    kept: str | None = None

    def needs(self, name: str) -> bool:
        """Whether the generation of this name is served or kept."""
        return name in (self.served, self.kept)

    def swapped(self, opened: str, other: str) -> Generations:
        """With `other` served in the place of `opened`, which is kept.

        Raises:
            StoreError: `opened` is not served any more, or there is one kept that would be lost.
        """
        if self.served != opened or self.kept not in (None, other):
            raise StoreError(
                "another index was served or kept meanwhile: nothing was swapped",
                hint="see `rag status` for what is served now, and run it again",
            )
        return Generations(other, kept=opened)


def new_name() -> str:
    """A name for one more generation, which no other run draws."""
    return f"reindex-{secrets.token_hex(4)}"


def is_rebuilt(name: str) -> bool:
    """Whether a folder or collection of this name is one that `rag reindex` made."""
    return _REBUILT.fullmatch(name) is not None


def is_engines(name: str) -> bool:
    """Whether the embedded engine calls its files or folders by this name."""
    return _ENGINE.fullmatch(name) is not None


def is_index(folder: Path) -> bool:
    """Whether the folder is that of an embedded index.

    Raises:
        StoreError: it cannot be told.
    """
    return (folder / read(folder).served / _CONFIG).is_file()


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
    if not _sound(found):
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
    now = read(folder)
    for entry in sorted(folder.iterdir()):  # "edge_config.json" first: without it, no index
        first = is_engines(entry.name) and not now.needs(FIRST)
        if first or (is_rebuilt(entry.name) and not now.needs(entry.name)):
            _delete(entry)


def copy(source: Path, target: Path) -> None:
    """Copy the engine's files of one generation into a new folder, and nothing that lies beside."""
    target.mkdir()
    for entry in source.iterdir():
        if not is_engines(entry.name):
            continue
        if entry.is_dir():
            shutil.copytree(entry, target / entry.name, copy_function=copy_file)
        else:
            copy_file(entry, target / entry.name)


def require_room(source: Path) -> None:
    """Refuse to copy what would fill the disk.

    The engine writes through mappings into files with holes: where there is no room for them, that
    is no error, but the end of the process (SIGBUS).

    Raises:
        OSError: there is less than the files take now, and 256 MiB for what is to be written.
    """
    held = sum(
        file.stat().st_blocks * 512
        for entry in source.iterdir()
        if is_engines(entry.name)
        for file in (entry, *entry.rglob("*"))
    )
    if shutil.disk_usage(source).free < held + _SPARE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def abandon(folder: Path, generation: str) -> None:
    """Delete one that was built and is not to be served; nothing if it is served or kept."""
    entry = folder / generation
    if is_rebuilt(generation) and not read(folder).needs(generation) and entry.exists():
        _delete(entry)


def copy_file(source: Path | str, target: Path | str) -> None:
    """Copy a file, and leave out blocks of nought: they take no room where files may have holes.

    The engine sets files of 32 MiB aside and writes little into them: copied byte by byte, a small
    index grows from one megabyte to hundreds.
    """
    with open(source, "rb") as old, open(target, "wb") as new:
        while block := old.read(len(_NOUGHT)):
            if block == _NOUGHT[: len(block)]:
                new.seek(len(block), os.SEEK_CUR)
            else:
                new.write(block)
        new.truncate()
    shutil.copystat(source, target)


def _delete(entry: Path) -> None:
    """A link goes, and not what it leads to."""
    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _sound(found: Generations) -> bool:
    """Whether a file may have said this: two generations, or one and none that is kept."""
    served, kept = found.served, found.kept
    named = [served] if kept is None else [served, kept]
    return served != kept and all(
        isinstance(name, str) and (name == FIRST or is_rebuilt(name)) for name in named
    )


def _damaged(file: Path) -> StoreError:
    return StoreError(
        f"{file} does not say which index is served",
        hint='write {"served": "reindex-..."} into it, the name of a folder beside it; "" serves '
        "the one it lies in",
    )
