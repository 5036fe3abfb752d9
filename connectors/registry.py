"""Which connector reads a source, by how the source is written."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from connectors.base import Access, Connector
from connectors.files import FilesConnector
from connectors.jsonl import JsonlConnector
from connectors.options import split_options
from rag.errors import RagError, UsageError, first_line

__all__ = ["GROUP", "Open", "open_source", "schemes"]

Open = Callable[[str, Mapping[str, str], Access], Connector]
"""Makes a connector of the place behind "scheme:", its options, and how it may behave."""

GROUP = "spanrag.connectors"
"""The entry-point group by which other packages add schemes: name = scheme, object = an `Open`."""

# By name, so that a run imports only what its sources need.
_SCHEMES: Mapping[str, str] = {
    "attack": "connectors.attack:open_attack",
    "edgar": "connectors.edgar:open_edgar",
    "http": "connectors.web:open_http",
    "https": "connectors.web:open_https",
    "llama_index": "connectors.llama_index:open_llama_index",
    "news": "connectors.news:open_news",
    "pubmed": "connectors.pubmed:open_pubmed",
    "reports": "connectors.attack:open_reports",
    "s3": "connectors.s3:open_s3",
    "sql": "connectors.sql:open_sql",
    "taxii": "connectors.attack:open_taxii",
}
_PATHS = ("file", "jsonl")
_SUFFIXES: Mapping[str, str] = {".jsonl": "jsonl"}
# Two letters at least, so that a drive (C:\docs) is a path.
_SCHEME = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_+.-]+):(?P<slashes>//)?(?P<path>.*)", re.DOTALL)


def open_source(source: str, ignore: Sequence[str] = (), access: Access | None = None) -> Connector:
    """The connector for `source`: "docs", "docs/**/*.md", "rows.jsonl", "edgar:AAPL#forms=10-K".

    Args:
        source: a path, a glob, or "scheme:place#option=value&...".
        ignore: patterns as in a .gitignore, for connectors that walk folders.
        access: how connectors behave towards the places they read.

    Raises:
        UsageError: it is empty, no connector has its scheme, or an option is wrong.
    """
    if not source.strip():
        raise UsageError("empty source", hint="name a file, a folder or a glob")
    written = _SCHEME.fullmatch(source)
    scheme = written["name"].lower() if written else ""
    if written and scheme in _PATHS:
        return _open_path(scheme, written["path"], ignore)
    if written and (opens := _find(scheme)):
        place, options = split_options(source[len(scheme) + 1 :])
        return opens(place, options, access or Access())
    # A colon alone is no scheme: "notes: may.txt" is a file's name.
    if written and written["slashes"]:
        raise UsageError(
            f"no connector reads {scheme}:// sources",
            hint=f"there are {', '.join(f'{name}:' for name in schemes())} and plain paths",
        )
    suffix = os.path.splitext(source)[1].lower()
    return _open_path(_SUFFIXES.get(suffix, "file"), source, ignore)


def schemes() -> list[str]:
    """Every scheme there is, those of other packages last."""
    added = sorted({entry.name.lower() for entry in entry_points(group=GROUP)})
    own = [*_PATHS, *_SCHEMES]
    return [*own, *(name for name in added if name not in own)]


def _open_path(scheme: str, path: str, ignore: Sequence[str]) -> Connector:
    return JsonlConnector(path) if scheme == "jsonl" else FilesConnector(path, ignore=ignore)


def _find(scheme: str) -> Open | None:
    """What opens the scheme; no other package can take the place of what is built in."""
    if scheme in _SCHEMES:
        module, name = _SCHEMES[scheme].split(":")
        opens: Open = getattr(import_module(module), name)
        return opens
    found = {each.value: each for each in entry_points(group=GROUP) if each.name.lower() == scheme}
    if len(found) > 1:
        raise UsageError(
            f"{scheme}: is claimed by {' and '.join(sorted(found))}",
            hint="remove one of the packages that have them",
        )
    return next(map(_load, found.values()), None)


def _load(entry: EntryPoint) -> Open:
    try:
        opens: Open = entry.load()
        inspect.signature(opens).bind("place", {}, Access())
    except Exception as error:
        raise _broken(entry, f"cannot be loaded: {first_line(error)}") from error
    return partial(_open_foreign, entry, opens)


def _open_foreign(
    entry: EntryPoint, opens: Open, place: str, options: Mapping[str, str], access: Access
) -> Connector:
    try:
        made = opens(place, options, access)
    except RagError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {first_line(error)}"
        raise _broken(entry, f"cannot open its source: {what}") from error
    if not all(callable(getattr(made, name, None)) for name in ("list", "covers", "fetch")):
        raise _broken(entry, f"made a {type(made).__name__}, which is no connector")
    return made


def _broken(entry: EntryPoint, what: str) -> UsageError:
    return UsageError(
        f"the connector for {entry.name}: {what}",
        hint=f"mend or remove the package that has {entry.value}",
    )
