"""Documents that are files: one, a folder of them, or those that a glob names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from connectors.base import SourceRef
from connectors.ignore import IgnoreRules
from connectors.parsing.formats import FORMATS, parse
from connectors.walk import Found, escape, walk
from rag.errors import DocumentError, UsageError
from rag.types import Document

__all__ = ["FilesConnector"]

_MAX_BYTES = 512 * 2**20
_MAGIC = re.compile(r"[*?\[]")


class FilesConnector:
    """Lists and reads files of every known format.

    In a folder, hidden files, files of other formats and what .gitignore, .ragignore and
    `ignore` exclude are passed over. A symlink that leads out of the folder is listed with a
    problem and never read; a file named by itself is read whatever the ignore rules say.

    Args:
        path: a file, a folder, or a glob ("docs/**/*.md") as Python's `glob` reads it, except
            that `docs/**` means every file below docs.
        ignore: patterns as in a .gitignore, relative to the folder.
    """

    namespace = "file"

    def __init__(self, path: str, *, ignore: Sequence[str] = ()) -> None:
        self._given, self._glob = _split_glob(path)
        self._root = os.path.abspath(os.path.expanduser(self._given))
        self._ignore = tuple(ignore)
        self._rules = IgnoreRules(self._root, self._ignore)

    def list(self) -> Iterable[SourceRef]:
        """Every document there is now, by name.

        Raises:
            UsageError: the path is not there, its format is not known, or a folder below it
                cannot be read (its documents would look deleted).
        """
        self._check()
        try:
            if self._is_folder():
                # Anew, so that each listing sees the ignore files as they are now.
                self._rules = IgnoreRules(self._root, self._ignore)
                found = sorted(walk(self._root, self._admits), key=lambda file: file.name)
            else:
                found = [Found("", os.stat(self._root))]
        except OSError as error:
            raise UsageError(
                f"cannot read {error.filename}: {error.strerror}",
                hint="give read permission, or add it to ignore",
            ) from error
        return [self._ref(file) for file in found]

    def covers(self, key: str) -> bool:
        """Whether a file of this absolute path belongs here.

        One that the ignore rules pass over does: ignoring a file that was ingested makes it
        vanish, as deleting it would.
        """
        if not self._is_folder():
            return key == self._root
        prefix = self._root.rstrip("/") + "/"
        name = key.removeprefix(prefix)
        folders = (name[:at] for at, letter in enumerate(name) if letter == "/")
        return (
            key.startswith(prefix)
            and all(self._fits(folder, True) for folder in folders)
            and self._fits(name, False)
        )

    def fetch(self, ref: SourceRef) -> Document:
        """Read and parse one file.

        Raises:
            DocumentError: it cannot be read, or a link now leads out of the folder.
        """
        parsed = parse(self.read(ref), _suffix(ref.key))
        return parsed.as_document(ref, self.namespace)

    def read(self, ref: SourceRef) -> bytes:
        """The bytes of one file; errors as of `fetch`."""
        problem = ref.problem
        if problem is None and self._is_folder():
            problem = escape(os.path.realpath(ref.key), os.path.realpath(self._root))
        if problem is not None:
            raise problem
        return _read(ref.key)

    def _is_folder(self) -> bool:
        return bool(self._glob) or os.path.isdir(self._root)

    def _admits(self, name: str, folder: bool) -> bool:
        return self._fits(name, folder) and not self._rules.ignores(name, folder=folder)

    def _fits(self, name: str, folder: bool) -> bool:
        """Whether it is neither hidden nor of another format, and the glob, if any, names it."""
        if os.path.basename(name).startswith("."):
            return False
        wanted = folder or _suffix(name) in FORMATS
        return wanted and (not self._glob or _matches(name.split("/"), self._glob, folder))

    def _check(self) -> None:
        if not os.path.exists(self._root):
            raise UsageError(f"no such file or folder: {self._given}", hint="check the path")
        if self._glob:
            suffix = _suffix(self._glob[-1])
            known = not suffix or bool(_MAGIC.search(suffix)) or suffix in FORMATS
        else:
            suffix = _suffix(self._root)
            known = os.path.isdir(self._root) or suffix in FORMATS
        if not known:
            raise UsageError(
                f"{self._given}: unknown format {suffix or '(no suffix)'}",
                hint=f"known are {', '.join(FORMATS)} and .jsonl",
            )
        if not self._is_folder() and not os.path.isfile(self._root):
            raise UsageError(f"neither a file nor a folder: {self._given}")

    def _ref(self, found: Found) -> SourceRef:
        key, problem = os.path.join(self._root, found.name).rstrip("/"), found.problem
        source = os.path.join(self._given, found.name) if found.name else self._given
        name = found.name or os.path.basename(self._root)
        if not _is_unicode(key):
            problem = problem or DocumentError("file name is not UTF-8", hint="rename it")
        fingerprint = ""
        if found.stat is not None:
            stat, version = found.stat, FORMATS[_suffix(key)].version
            fingerprint = f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}:{version}"
        return SourceRef(
            _printable(key), _printable(source), _printable(name), fingerprint, problem
        )


def _split_glob(path: str) -> tuple[str, tuple[str, ...]]:
    """The folder that a glob starts from and the parts below it; no parts for a plain path."""
    magic = _MAGIC.search(path)
    if magic is None or os.path.exists(os.path.expanduser(path)):
        return path, ()
    root = path[: path.rfind("/", 0, magic.start()) + 1]
    parts = path[len(root) :].split("/")
    return root.rstrip("/") or root, tuple(part for part in parts if part)


def _matches(name: Sequence[str], pattern: Sequence[str], folder: bool) -> bool:
    """Whether the pattern names the file or, of a folder, can name a file below it."""
    if not name or not pattern:
        return bool(pattern) if folder else not (name or pattern)
    if pattern[0] == "**":
        return folder or any(
            _matches(name[skip:], pattern[1:], folder) for skip in range(len(name) + 1)
        )
    return fnmatchcase(name[0], pattern[0]) and _matches(name[1:], pattern[1:], folder)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise DocumentError(f"too large: over {_MAX_BYTES >> 20} MB", hint="split it")
    return data


def _is_unicode(name: str) -> bool:
    # Not so where the file system's bytes are not UTF-8: Python smuggles those as surrogates.
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
