"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rag.errors import UsageError

__all__ = ["replacing", "require_writable", "writing_whole"]


@contextmanager
def writing_whole(path: Path) -> Iterator[TextIO]:
    """A stream whose content takes the place of `path` at the end, if nothing failed before.

    Raises:
        UsageError: it cannot be written there.
    """
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="\n") as stream:
        yield stream


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of `path` at the end, or is deleted if it failed.

    Raises:
        UsageError: it cannot be written there.
    """
    part = _beside(path)
    with _refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def require_writable(path: Path) -> None:
    """Refuse a place where nothing can be written, before there is anything to write.

    Raises:
        UsageError: as `writing_whole`.
    """
    part = _beside(path)
    with _refusing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        part.touch()
        part.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="check the path") from None
