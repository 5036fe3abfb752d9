"""Documents that are lines: one JSON object a line of one file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import BinaryIO, NamedTuple

from connectors.base import SourceRef
from connectors.parsing.rows import MAX_LINE, PARSER_VERSION, facts, parse_row, row_id, row_text
from rag.errors import DocumentError, UsageError
from rag.ids import digest
from rag.types import Document

__all__ = ["JsonlConnector"]


class JsonlConnector:
    """Lists and reads the lines of a .jsonl file, without ever holding all of it.

    A line that is no document (not JSON, no text, an id used before) is listed with a problem,
    as "path:line number"; the others are not touched by it. Fields besides id, text and title
    become `meta` where they are a string, a number, a boolean or a list of strings.

    Args:
        path: the file.
        id_field: the field that names a document: a string or an integer.
        text_field: the field with its text.
        title_field: the field with its title; a line may lack it.
    """

    def __init__(
        self,
        path: str,
        *,
        id_field: str = "id",
        text_field: str = "text",
        title_field: str = "title",
    ) -> None:
        self._given = path
        self._path = os.path.abspath(os.path.expanduser(path))
        self._id, self._text, self._title = id_field, text_field, title_field
        self._offsets: dict[str, int] | None = None
        self._lock = Lock()

    @property
    def namespace(self) -> str:
        """The file: ids need be unique in it only."""
        return f"jsonl:{self._path}"

    def list(self) -> Iterator[SourceRef]:
        """Every line that is not blank, in the file's order.

        Raises:
            UsageError: the file is not there or cannot be read.
        """
        self._offsets = offsets = dict[str, int]()
        try:
            with open(self._path, "rb") as file:
                for line in _lines(file):
                    yield self._ref(line, offsets)
        except OSError as error:
            raise UsageError(
                f"cannot read {self._given}: {error.strerror}", hint="check the path"
            ) from error

    def covers(self, key: str) -> bool:
        """True for all: the namespace is the file, and every line of it is listed."""
        return True

    def fetch(self, ref: SourceRef) -> Document:
        """Read one line again and make a document of it.

        Raises:
            DocumentError: it is not one, or the file has changed since it was listed.
        """
        if ref.problem is not None:
            raise ref.problem
        data = self._line_at(self._held().get(ref.key))
        if self._fingerprint(data) != ref.fingerprint:
            raise DocumentError("the file has changed since it was listed", hint="run this again")
        row = parse_row(data)
        text, title = row_text(row, self._text), facts(row).get(self._title)
        own = {self._id, self._text, self._title}
        return Document(
            namespace=self.namespace,
            key=ref.key,
            source=ref.source,
            name=ref.name,
            text=text,
            title=title if isinstance(title, str) else "",
            meta={name: value for name, value in facts(row).items() if name not in own},
            fingerprint=ref.fingerprint,
        )

    def _ref(self, line: _Line, offsets: dict[str, int]) -> SourceRef:
        at_line = f":{line.number}"
        key, name = "", os.path.basename(self._path) + at_line
        problem = None
        try:
            row = parse_row(line.data)
            found = row_id(row, self._id)
            if found in offsets:
                key = found
                problem = DocumentError(f"duplicate id {found!r}: an earlier line has it")
            else:
                # From here on the id is known: a bad text must not look like a deleted document.
                key = name = found
                offsets[key] = line.offset
                row_text(row, self._text)
        except DocumentError as error:
            problem = error
        source = self._given + at_line if problem else self._given
        return SourceRef(key, source, name, self._fingerprint(line.data), problem)

    def _held(self) -> Mapping[str, int]:
        """Where each line stands; another process than the one that listed looks anew."""
        with self._lock:  # of several threads that come first, one lists
            if self._offsets is None:
                try:
                    for _ in self.list():
                        pass
                except UsageError as error:
                    self._offsets = None  # what it holds by now is not all
                    raise DocumentError(error.message, hint=error.hint) from error
            return self._offsets or {}

    def _line_at(self, offset: int | None) -> bytes:
        try:
            with open(self._path, "rb") as file:
                if offset is not None:
                    file.seek(offset)
                return b"" if offset is None else file.readline(MAX_LINE + 1)
        except OSError as error:
            raise DocumentError(f"cannot be read: {error.strerror}") from error

    def _fingerprint(self, line: bytes) -> str:
        # The fields' names too: another text field makes another document of the same line.
        text = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
        return digest([PARSER_VERSION, self._id, self._text, self._title, text])


class _Line(NamedTuple):
    """A line that is not blank; `data` is cut one byte past the longest allowed."""

    number: int
    offset: int
    data: bytes


def _lines(file: BinaryIO) -> Iterator[_Line]:
    number = offset = 0
    while data := file.readline(MAX_LINE + 1):
        number += 1
        if data.strip():
            yield _Line(number, offset, data)
        while len(data) > MAX_LINE and not data.endswith(b"\n"):
            data = file.readline(MAX_LINE + 1)
        offset = file.tell()
