"""Which rows are documents, and which column is what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["SqlOptions"]


@dataclass(frozen=True, slots=True)
class SqlOptions:
    """The options behind a database's address.

    Args:
        key: the column that names a row: integers, text or UUIDs, none twice.
        text: the column with the text.
        table: the table or view whose rows are documents, or
        query: a SELECT whose rows are.
        schema: where the table is, if not where the database looks by itself.
        title: the column with the title.
        updated: a column that changes with its row (a time, a version). With it a listing reads
            no texts; NULL counts as never changed.
        meta: the columns to filter by.
        where: a condition in the database's own SQL that rows must meet.
        format: what the texts are.
        password_env: the environment variable that holds the password.

    Raises:
        ValueError: neither or both of `table` and `query`.
    """

    key: str
    text: str
    table: str = ""
    query: str = ""
    schema: str = ""
    title: str = ""
    updated: str = ""
    meta: tuple[str, ...] = ()
    where: str = ""
    format: Literal["text", "html", "markdown"] = "text"
    password_env: str = ""

    def __post_init__(self) -> None:
        if bool(self.table) == bool(self.query):
            raise ValueError("there must be either table= or query=")

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that a document is made of, the key first, each once."""
        named = (self.key, self.text, self.title, self.updated, *self.meta)
        return tuple(dict.fromkeys(name for name in named if name))
