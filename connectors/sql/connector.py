"""Documents that are rows of a database."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from threading import Lock
from typing import Any

import sqlalchemy as sa

from connectors.base import SourceRef
from connectors.parsing.formats import FORMATS, parse
from connectors.parsing.rows import facts
from connectors.sql.database import Database, DatabaseFailed
from connectors.sql.options import SqlOptions
from connectors.sql.values import as_bytes, as_fact, as_key, as_line, plain
from rag.errors import DocumentError, SourceError, UsageError
from rag.ids import digest
from rag.types import Document

__all__ = ["SqlConnector"]

_VERSION = "sql-1"
_SUFFIXES = {"text": ".txt", "html": ".html", "markdown": ".md"}
_KEYS_AT_ONCE = 2_000  # rows held of a listing that reads no texts,
_TEXTS_AT_ONCE = 100  # and of one that does
_MOST_HELD = 64 * 2**20  # characters of a batch that wait to be fetched


class SqlConnector:
    """Lists and reads the rows of a table, a view or a query.

    With a column that says when a row changed, a listing reads keys and times alone. Without one
    it reads every text to see whether it changed, and those that did are read twice.

    A row that is no document (no key, a key used before, no text) is a problem of its own; the
    others are not touched by it. The keys are held in memory, for they tell a row that is gone.

    Args:
        database: where they are.
        options: which rows, and which column is what.
        most_bytes: the largest text that is read.
    """

    batch = 500

    def __init__(
        self, database: Database, options: SqlOptions, *, most_bytes: int = 512 * 2**20
    ) -> None:
        self._database, self._options, self._most_bytes = database, options, most_bytes
        self._suffix = _SUFFIXES[options.format]
        self._columns: list[Any] = [sa.column(name) for name in options.columns]
        self._keys: dict[str, Any] | None = None
        self._ready: dict[str, Mapping[str, Any]] = {}
        self._lock = Lock()

    @property
    def namespace(self) -> str:
        """The rows: keys need be unique among them only. Who reads them makes no difference."""
        options = self._options
        rows = f"{options.schema}.{options.table}" if options.schema else options.table
        narrowed = [each for each in (options.query, options.where) if each]
        # What another condition leaves out is not deleted, so it makes another place.
        return ":".join(["sql", self._database.shown, rows, *map(digest, narrowed)])

    def list(self) -> Iterator[SourceRef]:
        """Every row, by key.

        Raises:
            UsageError: there is no such table or column, or the SQL is wrong.
            SourceError: the database cannot be reached, or not to the end.
        """
        try:
            self._check()
            self._keys = keys = dict[str, Any]()
            with closing(self._read_listing()) as rows:
                for number, row in enumerate(rows, start=1):
                    yield self._ref(number, row, keys)
        except DatabaseFailed as error:
            if error.is_wrong:
                raise UsageError(str(error), hint="mend the source's options") from None
            raise SourceError(str(error), hint="check the address and the login") from None

    def covers(self, key: str) -> bool:
        """True for all: the namespace is these rows, and every one is listed."""
        return True

    def prepare(self, refs: Sequence[SourceRef]) -> None:
        """Read these rows with one statement.

        Raises:
            DocumentError: the database cannot be reached.
        """
        self._ready = ready = dict[str, Mapping[str, Any]]()
        keys = self._held()
        wanted = [keys[ref.key] for ref in refs if ref.key in keys]
        held = 0
        with closing(self._rows(wanted)) as rows:
            for row in rows:
                if (key := _key_or_none(row[self._options.key])) is not None:
                    ready[key] = row
                    held += sum(len(each) for each in row.values() if isinstance(each, str | bytes))
                if held > _MOST_HELD:
                    return  # the others are read one by one

    def fetch(self, ref: SourceRef) -> Document:
        """Make a document of one row.

        Raises:
            DocumentError: it has no text, or is gone.
        """
        if ref.problem is not None:
            raise ref.problem
        options = self._options
        try:
            row = self._ready.pop(ref.key, None) or self._row(ref.key)
            data = as_bytes(row[options.text], options.text, most=self._most_bytes)
            parsed = parse(data, self._suffix)
        except DocumentError as error:
            # The source names the table alone.
            raise DocumentError(f"row {ref.key!r}: {error.message}", hint=error.hint) from None
        title = as_line(row[options.title]) if options.title else ""
        said = replace(
            parsed,
            title=title or parsed.title,
            meta=facts({name: as_fact(row[name]) for name in options.meta}),
        )
        return said.as_document(ref, self.namespace)

    def _check(self) -> None:
        """That all columns are there, and that the database understands the condition."""
        options, database = self._options, self._database
        if options.query:
            there = database.columns_of(sa.select(sa.text("*")).select_from(self._rows_from()))
        else:
            there = database.columns(options.table, options.schema)
        for name in options.columns:
            if name not in there:
                hint = f"there are {', '.join(there)}"
                if "," in name and name == options.key:
                    hint = "a key is one column; join several in a query="
                raise UsageError(f"no column {name!r} in {self._source()}", hint=hint)
        database.columns_of(self._select(self._columns))

    def _read_listing(self) -> Generator[Sequence[Any]]:
        """Of each row its key, and what shows a change."""
        options = self._options
        key: sa.ColumnClause[Any] = sa.column(options.key)
        shown = [sa.column(options.updated)] if options.updated else self._columns
        at_once = _KEYS_AT_ONCE if options.updated else _TEXTS_AT_ONCE
        statement = self._select([key.label("the_key"), *shown]).order_by(key)
        return self._database.read(statement, at_once=at_once)

    def _ref(self, number: int, row: Sequence[Any], keys: dict[str, Any]) -> SourceRef:
        key, name, problem = "", f"row {number}", None
        try:
            key = name = as_key(row[0])
            if key in keys:
                problem = DocumentError(f"duplicate key {key!r}: an earlier row has it")
            keys.setdefault(key, row[0])
        except DocumentError as error:
            problem = DocumentError(f"{name}: {error.message}", hint=error.hint)
        return SourceRef(key, self._source(), name, self._fingerprint(row[1:]), problem)

    def _fingerprint(self, shown: Sequence[Any]) -> str:
        # The columns too: another text column makes another document of the same row.
        options = self._options
        parser = FORMATS[self._suffix].version
        made_of = [options.text, options.title, options.meta, options.format]
        return digest([_VERSION, parser, made_of, [plain(value) for value in shown]])

    def _row(self, key: str) -> Mapping[str, Any]:
        keys = self._held()
        with closing(self._rows([keys[key]] if key in keys else [])) as rows:
            for row in rows:
                # Some databases take "a" for "A".
                if _key_or_none(row[self._options.key]) == key:
                    return row
        raise DocumentError("gone since it was listed", hint="run this again")

    def _rows(self, keys: Sequence[Any]) -> Generator[Mapping[str, Any]]:
        """The rows of these keys, each by its columns."""
        if not keys:
            return
        # Bound, never written into the statement; untyped, so that the driver's own type stays.
        bound = sa.bindparam("keys", expanding=True, type_=sa.types.NullType())
        statement = self._select(self._columns).where(sa.column(self._options.key).in_(bound))
        names, values = self._options.columns, {"keys": [*keys]}
        try:
            with closing(self._database.read(statement, values, at_once=_TEXTS_AT_ONCE)) as found:
                for row in found:
                    yield dict(zip(names, row, strict=True))
        except DatabaseFailed as error:
            raise DocumentError(str(error)) from None

    def _held(self) -> Mapping[str, Any]:
        """Every key as the database has it, by what it is called here."""
        with self._lock:  # of several threads that come first, one lists
            if self._keys is None:
                try:
                    for _ in self.list():
                        pass
                except (SourceError, UsageError) as error:
                    self._keys = None  # what it holds by now is not all
                    raise DocumentError(error.message, hint=error.hint) from error
            return self._keys or {}

    def _select(self, columns: Sequence[Any]) -> sa.Select[Any]:
        statement = sa.select(*columns).select_from(self._rows_from())
        if self._options.where:
            # The user's own SQL, from the user's own command line.
            statement = statement.where(sa.literal_column(f"({self._options.where}\n)"))
        return statement

    def _rows_from(self) -> Any:
        options = self._options
        if not options.query:
            return sa.table(options.table, schema=options.schema or None)
        # As part of a SELECT it can do nothing but select. A colon names no parameter here.
        inner = options.query.strip().rstrip(";").replace(":", r"\:")
        return sa.text(f"({inner}\n) spanrag_rows")

    def _source(self) -> str:
        of = f"table={self._options.table}" if self._options.table else "query"
        return f"sql:{self._database.shown}#{of}"


def _key_or_none(value: Any) -> str | None:
    try:
        return as_key(value)
    except DocumentError:
        return None
