"""PubMed's XML files on disk, most of them packed with gzip."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from lxml import etree

from connectors.base import SourceRef
from connectors.pubmed.records import RecordsError, read_records
from connectors.walk import Found, walk
from rag.errors import DocumentError, UsageError, first_line

__all__ = ["RecordFile", "find_files"]

_SUFFIXES = (".xml", ".xml.gz")
_PIECE = 1 << 16
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class RecordFile:
    """One file as it was when it was found.

    Args:
        path: where it is.
        shown: the same as the user wrote it.
        most: the most bytes it may unpack to.
        state: its size and the time it was changed, or why it must not be read.
    """

    path: str
    shown: str
    most: int
    state: tuple[int, int] | DocumentError

    def records(self, *, unchanged: bool = False) -> Iterator[etree._Element]:
        """Its records, one at a time.

        Args:
            unchanged: the file must be as it was found.

        Raises:
            RecordsError: it cannot be read to its end.
        """
        if isinstance(self.state, DocumentError):
            raise RecordsError(self.state.message)
        return read_records(self._pieces(unchanged))

    def problem(self, said: str) -> SourceRef:
        """What is wrong with it, as an entry of a listing: nobody knows which records it hides."""
        error = DocumentError(f"{said}; compare it with its .md5", hint="download it again")
        return SourceRef("", self.shown, os.path.basename(self.path), "", error)

    def _pieces(self, unchanged: bool) -> Iterator[bytes]:
        left = self.most
        try:
            with open(self.path, "rb") as file:
                stat = os.fstat(file.fileno())
                if unchanged and (stat.st_size, stat.st_mtime_ns) != self.state:
                    raise RecordsError("the file has changed since it was listed")
                for piece in _read(file):
                    left -= len(piece)
                    if left < 0:
                        raise RecordsError(f"unpacks to more than {self.most:,} bytes")
                    yield piece
        except (OSError, EOFError, zlib.error) as error:
            raise RecordsError(f"cannot be read: {first_line(error)}") from None


def find_files(root: str, given: str, most: int) -> list[RecordFile]:
    """The file `root`, or every XML file below that folder, in the order of their names.

    Raises:
        UsageError: it is not there, or cannot be read.
    """
    try:
        found = list(walk(root, _admits)) if os.path.isdir(root) else [Found("", os.stat(root))]
    except OSError as error:
        raise UsageError(f"cannot read {given}: {error.strerror}", hint="check the path") from error
    found.sort(key=lambda each: (os.path.basename(each.name), each.name))
    return [_file(each, root, given, most) for each in found]


def _file(found: Found, root: str, given: str, most: int) -> RecordFile:
    path = os.path.join(root, found.name) if found.name else root
    shown = os.path.join(given, found.name) if found.name else given
    stat = found.stat
    if stat is None:
        return RecordFile(path, shown, most, found.problem or DocumentError("cannot be read"))
    return RecordFile(path, shown, most, (stat.st_size, stat.st_mtime_ns))


def _admits(name: str, folder: bool) -> bool:
    base = os.path.basename(name)
    return not base.startswith(".") and (folder or base.lower().endswith(_SUFFIXES))


def _read(file: BinaryIO) -> Iterator[bytes]:
    """A file's bytes, unpacked where it is packed, whatever it is called."""
    packed = file.read(len(_GZIP)) == _GZIP
    file.seek(0)
    stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
    while piece := stream.read(_PIECE):
        yield piece
