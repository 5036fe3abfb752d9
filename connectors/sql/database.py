"""A database that is read and never written, and whose password nobody sees."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Generator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, Engine, make_url

from rag.errors import UsageError, first_line

__all__ = ["Database", "DatabaseFailed"]

_EXAMPLE = "write sql:postgresql+psycopg://user@host/database#table=...&key=...&text=..."
_DRIVERS = {  # where the package is not called what it is imported as
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
    "mysql": "mysql-connector-python",
}
_TIMED = {"psycopg", "psycopg2", "pymysql", "mysqldb"}  # all call it connect_timeout
_NAMING = ("host", "port", "dbname", "service", "service_name", "unix_socket")
_SECRET = ("password", "passwd", "pwd", "sslpassword")
_SQLITE_WRONG = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY}
_SHOWN_TABLES = 40


class DatabaseFailed(Exception):
    """It cannot be reached or does not understand; `is_wrong` says that the user has to mend it."""

    def __init__(self, message: str, *, is_wrong: bool) -> None:
        super().__init__(message)
        self.is_wrong = is_wrong


class Database:
    """One database, by its SQLAlchemy URL. Several threads may read at once.

    Nothing is ever committed. SQLite files are opened for reading only and PostgreSQL's
    transactions are read-only; for all others, give an account that may only read.

    Args:
        address: "postgresql+psycopg://user@host/database", "sqlite:///news.db", ...
        password_env: the environment variable that holds the password, or "".
        timeout: seconds to wait for a connection.

    Raises:
        UsageError: the address is malformed, the file is not there, or the driver not installed.
    """

    def __init__(self, address: str, *, password_env: str = "", timeout: float = 30.0) -> None:
        url = _read_url(address)
        if password_env:
            url = url.set(password=_from_environment(password_env))
        hidden = [url.password, *(url.query.get(name) for name in _SECRET)]
        self._secrets = [str(each) for each in hidden if each]
        self.shown = _shown(url)
        """The address without login."""
        url = _only_reading(url) if url.get_backend_name() == "sqlite" else url
        self._engine = _engine(url, timeout)
        weakref.finalize(self, self._engine.dispose)

    def columns(self, table: str, schema: str = "") -> list[str]:
        """The columns of a table or view.

        Raises:
            UsageError: there is no such table.
            DatabaseFailed: the database does not say.
        """
        try:
            looked = sa.inspect(self._engine)
            try:
                return [found["name"] for found in looked.get_columns(table, schema or None)]
            except exc.NoSuchTableError:
                names = looked.get_table_names(schema or None) + looked.get_view_names(
                    schema or None
                )
        except exc.SQLAlchemyError as error:
            raise self._failed(error) from None
        there = ", ".join(sorted(names)[:_SHOWN_TABLES]) or "none that this user sees"
        raise UsageError(f"{self.shown} has no table {table!r}", hint=f"there are {there}")

    def columns_of(self, statement: sa.Select[Any]) -> list[str]:
        """The columns that a statement would give. Errors as of `read`."""
        try:
            nothing = statement.where(sa.false())
            with self._engine.connect() as connection, connection.execute(nothing) as result:
                return list(result.keys())
        except exc.SQLAlchemyError as error:
            raise self._failed(error) from None

    def read(
        self, statement: sa.Select[Any], values: Mapping[str, Any] | None = None, *, at_once: int
    ) -> Generator[Sequence[Any]]:
        """The rows of a statement, of which `at_once` are held.

        Raises:
            DatabaseFailed: it cannot be reached, or does not understand.
        """
        streaming = {"stream_results": True, "yield_per": at_once}
        try:
            # No commit: leaving the connection rolls back.
            with self._engine.connect() as connection:
                bound = values or {}
                with connection.execute(statement, bound, execution_options=streaming) as result:
                    yield from result
        except exc.SQLAlchemyError as error:
            raise self._failed(error) from None

    def _failed(self, error: exc.SQLAlchemyError) -> DatabaseFailed:
        cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
        said = first_line(cause)
        for secret in self._secrets:
            said = said.replace(secret, "***")
        return DatabaseFailed(f"{self.shown}: {said}", is_wrong=_is_wrong(error, cause))


def _is_wrong(error: exc.SQLAlchemyError, cause: BaseException) -> bool:
    """Whether the statement is at fault, and not the connection or the hour."""
    if isinstance(cause, sqlite3.OperationalError):
        return getattr(cause, "sqlite_errorcode", 0) in _SQLITE_WRONG
    passing = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)
    lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
    return not lost and not isinstance(error, passing)


def _read_url(address: str) -> URL:
    try:
        url = make_url(address)
        url.get_dialect()
    except exc.NoSuchModuleError as error:
        kind = str(error).rpartition(":")[2]
        raise UsageError(f"sql: SQLAlchemy knows no {kind}", hint=_EXAMPLE) from None
    except ImportError as error:
        raise _missing(error) from None
    except (exc.ArgumentError, ValueError):
        # Not what it says: it quotes what it could not read, passwords too.
        raise UsageError("sql: malformed database address", hint=_EXAMPLE) from None
    if "odbc_connect" in url.query:
        raise UsageError(
            "sql: odbc_connect= hides which database it is",
            hint="write host and database into the address",
        )
    return url


def _from_environment(name: str) -> str:
    if name not in os.environ:
        raise UsageError(f"sql: {name} is not set", hint=f"export {name}=... before the run")
    return os.environ[name]


def _only_reading(url: URL) -> URL:
    """A SQLite file that is there, to be opened such that nothing can be written."""
    given = url.database or ":memory:"
    if given.startswith("file:"):
        return url.update_query_dict({"mode": "ro", "uri": "true"})
    path = _absolute(given)
    if not os.path.isfile(path):
        # SQLite would make an empty one.
        raise UsageError(f"sql: no such file: {given}", hint="check the path")
    opened = {"mode": "ro", "uri": "true"}
    return url.set(database=f"file:{quote(path)}").update_query_dict(opened)


def _shown(url: URL) -> str:
    """What names the database, and no login: neither user nor password nor the driver."""
    kind = url.get_backend_name()
    if kind == "sqlite":
        return f"sqlite:///{_absolute((url.database or '').removeprefix('file:'))}"
    naming = {name: url.query[name] for name in _NAMING if name in url.query}
    shown = URL.create(kind, host=url.host, port=url.port, database=url.database, query=naming)
    return shown.render_as_string()


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _engine(url: URL, timeout: float) -> Engine:
    driver = url.get_dialect().driver
    waits = {"connect_timeout": max(1, round(timeout))} if driver in _TIMED else {}
    try:
        engine = sa.create_engine(
            url,
            connect_args=waits,
            execution_options={"postgresql_readonly": True},
            hide_parameters=True,
            pool_pre_ping=True,  # a long run outlives a server's patience with idle connections
        )
    except ImportError as error:
        raise _missing(error) from None
    except (exc.SQLAlchemyError, TypeError, ValueError):
        raise UsageError("sql: malformed database address", hint=_EXAMPLE) from None
    if engine.dialect.is_async:
        raise UsageError(f"sql: {driver} is an asynchronous driver", hint=_EXAMPLE)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _forgive)
    return engine


def _forgive(connection: Any, _: Any) -> None:
    # SQLite holds any bytes as text; a row of them must not end the listing.
    connection.text_factory = lambda data: data.decode("utf-8", "replace")


def _missing(error: ImportError) -> UsageError:
    name = error.name or "the database's driver"
    package = _DRIVERS.get(name, name)
    return UsageError(f"sql: {name} is not installed", hint=f"run: pip install '{package}'")
