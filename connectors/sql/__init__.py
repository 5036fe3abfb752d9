"""Rows of a table or a query, of any database that SQLAlchemy reads."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.base import Access
from connectors.options import read_options
from connectors.sql.connector import SqlConnector
from connectors.sql.database import Database
from connectors.sql.options import SqlOptions

__all__ = ["open_sql"]


def open_sql(place: str, options: Mapping[str, str], access: Access) -> SqlConnector:
    """The connector for "postgresql+psycopg://user@host/db" with its options.

    Raises:
        UsageError: the address is malformed, its driver is not installed, or an option is wrong.
    """
    chosen = read_options(SqlOptions, options, "sql")
    database = Database(place, password_env=chosen.password_env, timeout=access.timeout)
    return SqlConnector(database, chosen, most_bytes=access.most_bytes)
