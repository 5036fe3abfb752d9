"""Which connector reads a source, by how the source is written."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence

from connectors.base import Connector
from connectors.files import FilesConnector
from connectors.jsonl import JsonlConnector
from rag.errors import UsageError

__all__ = ["open_source"]

_Open = Callable[[str, Sequence[str]], Connector]

_SCHEMES: Mapping[str, _Open] = {
    "file": lambda path, ignore: FilesConnector(path, ignore=ignore),
    "jsonl": lambda path, ignore: JsonlConnector(path),
}
_SUFFIXES: Mapping[str, str] = {".jsonl": "jsonl"}
# Two letters at least, so that a drive (C:\docs) is a path.
_SCHEME = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9+.-]+):(?P<slashes>//)?(?P<path>.*)", re.DOTALL)


def open_source(source: str, ignore: Sequence[str] = ()) -> Connector:
    """The connector for `source`: "docs", "docs/**/*.md", "rows.jsonl", "jsonl:rows.txt".

    Args:
        source: a path, a glob, or "scheme:path".
        ignore: patterns as in a .gitignore, for connectors that walk folders.

    Raises:
        UsageError: it is empty, or no connector has its scheme.
    """
    if not source.strip():
        raise UsageError("empty source", hint="name a file, a folder or a glob")
    written = _SCHEME.fullmatch(source)
    if written and (opened := _SCHEMES.get(written["name"].lower())):
        return opened(written["path"], ignore)
    # A colon alone is no scheme: "notes: may.txt" is a file's name.
    if written and written["slashes"]:
        raise UsageError(
            f"no connector reads {written['name']}:// sources",
            hint=f"there are {', '.join(f'{name}:' for name in _SCHEMES)} and plain paths",
        )
    scheme = _SUFFIXES.get(os.path.splitext(source)[1].lower(), "file")
    return _SCHEMES[scheme](source, ignore)
