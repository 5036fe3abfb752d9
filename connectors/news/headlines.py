"""Headlines in a CSV file, each tagged with whom it is about and how it sounds for them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

from connectors.base import SourceRef
from connectors.news.decisions import read_date, read_decisions
from connectors.news.table import BrokenTable, Row, read_rows
from connectors.parsing.rows import facts
from rag.errors import DocumentError, UsageError
from rag.ids import digest
from rag.types import Document

__all__ = ["HeadlineOptions", "HeadlinesConnector"]

_VERSION = "headlines-1"


@dataclass(frozen=True, slots=True)
class HeadlineOptions:
    """Which column is what. Unsaid, they are those of SEntFiN, where the file has them.

    Args:
        id: names a headline; without one, its text and date do.
        title: the headline.
        entities: an object {"Reliance": "positive", "TCS": "neutral"}, or a list of names.
        text: the article below the headline.
        date: when it was published.
    """

    id: str = ""
    title: str = ""
    entities: str = ""
    text: str = ""
    date: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, "" for those that are not there."""
        return self.id, self.title, self.entities, self.text, self.date


_SENTFIN = HeadlineOptions(id="S No.", title="Title", entities="Decisions")


class HeadlinesConnector:
    """Lists and reads the rows of a CSV file, without ever holding all of it.

    `meta` says whom a headline is about (`entities`), and for whom it is good or bad news
    (`positive`, `negative`, `neutral`: lists of names); the other columns are facts as well. A row
    that is no document is listed with a problem; the others are not touched by it.

    Args:
        path: the file.
        options: which column is what.
        delimiter: what parts its columns.
    """

    def __init__(self, path: str, options: HeadlineOptions, *, delimiter: str = ",") -> None:
        self._given = path
        self._path = os.path.abspath(os.path.expanduser(path))
        self._options, self._delimiter = options, delimiter
        self._offsets: dict[str, int] | None = None
        self._header: list[str] = []
        self._columns = options
        self._reading = ""
        self._lock = Lock()

    @property
    def namespace(self) -> str:
        """The file: ids need be unique in it only."""
        return f"news:{self._path}"

    def list(self) -> Iterator[SourceRef]:
        """Every row, in the file's order.

        Raises:
            UsageError: the file is not there, lacks a column, or is broken: a quotation mark that
                is never closed hides all rows behind it.
        """
        try:
            with open(self._path, "rb") as file:
                rows = read_rows(file, self._delimiter)
                self._header = next(rows, Row(1, 0, [])).cells
                self._columns = self._choose(self._header)
                self._reading = digest([_VERSION, *self._columns.names, *self._header])
                self._offsets = offsets = dict[str, int]()
                for row in rows:
                    yield self._ref(row, offsets)
        except OSError as error:
            raise UsageError(
                f"cannot read {self._given}: {error.strerror}", hint="check the path"
            ) from error
        except BrokenTable as error:
            raise UsageError(
                f"{self._given}: {error}", hint="mend the row that begins there"
            ) from None

    def covers(self, key: str) -> bool:
        """True for all: the namespace is the file, and every row of it is listed."""
        return True

    def fetch(self, ref: SourceRef) -> Document:
        """Read one row again and make a document of it.

        Raises:
            DocumentError: it is not one, or the file has changed since it was listed.
        """
        if ref.problem is not None:
            raise ref.problem
        cells = self._cells_at(self._held().get(ref.key))
        if self._fingerprint(cells) != ref.fingerprint:
            raise DocumentError("the file has changed since it was listed", hint="run this again")
        row = self._named(cells)
        title, text = self._texts(row)
        return Document(
            namespace=self.namespace,
            key=ref.key,
            source=ref.source,
            name=ref.name,
            text=f"{title}\n\n{text}" if title and text else title or text,
            title=title,
            meta=self._facts(row),
            fingerprint=ref.fingerprint,
        )

    def _choose(self, header: Sequence[str]) -> HeadlineOptions:
        """The columns by their names in this file."""
        asked, usual = self._options.names, _SENTFIN.names
        for name in asked:
            if name and name not in header:
                raise UsageError(f"{self._given} has no column {name!r}", hint=_there_are(header))
        chosen = (name or (own if own in header else "") for name, own in zip(asked, usual))  # noqa: B905
        columns = HeadlineOptions(*chosen)
        if not columns.title and not columns.text:
            raise UsageError(
                f"{self._given} has no column 'Title'",
                hint=f"name the column of headlines: #title=...; {_there_are(header)}",
            )
        return columns

    def _ref(self, row: Row, offsets: dict[str, int]) -> SourceRef:
        at_row = f":{row.line}"
        key, name = "", os.path.basename(self._path) + at_row
        problem = None
        try:
            named = self._named(row.cells)
            found = self._key(named)
            if found in offsets:
                key = found
                problem = DocumentError(f"duplicate id {found!r}: an earlier row has it")
            else:
                # From here on the id is known: a bad row must not look like a deleted one.
                key = name = found
                offsets[key] = row.offset
                self._check(row.cells, named)
        except DocumentError as error:
            problem = error
        source = self._given + at_row if problem else self._given
        return SourceRef(key, source, name, self._fingerprint(row.cells), problem)

    def _key(self, row: dict[str, str]) -> str:
        if self._columns.id:
            if found := row[self._columns.id].strip():
                return found
            raise DocumentError(f"no id: {self._columns.id!r} is blank")
        title, text = self._texts(row)
        if not title and not text:
            raise DocumentError("empty row: no headline")
        return digest([title or text, row.get(self._columns.date, "")])

    def _check(self, cells: Sequence[str], row: dict[str, str]) -> None:
        if len(cells) > len(self._header):
            raise DocumentError(
                f"{len(cells)} cells for {len(self._header)} columns", hint="quote its commas"
            )
        if not any(self._texts(row)):
            raise DocumentError("empty row: no headline")
        read_decisions(row.get(self._columns.entities, ""))

    def _facts(self, row: dict[str, str]) -> dict[str, object]:
        own = self._columns.names
        known: dict[str, object] = {
            name: _number(value)
            for name, value in row.items()
            if name and name not in own and value
        }
        known |= read_date(row.get(self._columns.date, ""))
        return facts(known | read_decisions(row.get(self._columns.entities, "")))

    def _texts(self, row: dict[str, str]) -> tuple[str, str]:
        title = " ".join(row.get(self._columns.title, "").split())
        return title, row.get(self._columns.text, "").strip()

    def _named(self, cells: Sequence[str]) -> dict[str, str]:
        """A row by its columns, the first of any name; cells that it lacks are blank."""
        filled = [*cells, *[""] * len(self._header)]
        return dict(reversed(list(zip(self._header, filled))))  # noqa: B905

    def _held(self) -> dict[str, int]:
        with self._lock:  # of several threads that come first, one lists
            if self._offsets is None:
                try:
                    for _ in self.list():
                        pass
                except UsageError as error:
                    self._offsets = None  # what it holds by now is not all
                    raise DocumentError(error.message, hint=error.hint) from error
            return self._offsets or {}

    def _cells_at(self, offset: int | None) -> Sequence[str]:
        if offset is None:
            return []
        try:
            with open(self._path, "rb") as file:
                file.seek(offset)
                return next(read_rows(file, self._delimiter), Row(0, 0, [])).cells
        except (OSError, BrokenTable) as error:
            raise DocumentError(f"cannot be read: {error}") from error

    def _fingerprint(self, cells: Sequence[str]) -> str:
        # The columns too: another column of headlines makes another document of the same row.
        return digest([self._reading, *cells])


def _number(cell: str) -> str | int:
    """A whole number as one, so that it can be filtered by its size ("007" is a name)."""
    bare = cell.removeprefix("-")
    plain = bare.isascii() and bare.isdecimal() and len(bare) < 19
    return int(cell) if plain and str(int(cell)) == cell else cell


def _there_are(header: Sequence[str]) -> str:
    return f"there are {', '.join(header[:40])}" if header else "it is empty"
