"""What was summarised before, by a digest of what was read: written once, used again."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["SummaryCache"]

_MOST = 20_000  # summaries kept: some 20 MB

logger = logging.getLogger(__name__)


class SummaryCache:
    """Summaries by key, in a file that several processes may share and anybody may delete.

    A cache is a convenience: where its file cannot be read or written, nothing is remembered, and
    a warning says why. The file is readable by its owner alone, since summaries tell what is in
    private documents.

    Args:
        path: the file; by default in the user's cache folder.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or user_cache_path("spanrag") / "summaries.sqlite"

    def get(self, key: str) -> str | None:
        """The summary under this key, or None."""
        rows = self._ask("SELECT text FROM summaries WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

    def put(self, key: str, text: str) -> None:
        """Remember a summary; the oldest are forgotten where there are too many."""
        self._ask("INSERT OR REPLACE INTO summaries (key, text) VALUES (?, ?)", key, text)
        self._ask(
            "DELETE FROM summaries WHERE rowid <= (SELECT max(rowid) FROM summaries) - ?", _MOST
        )

    def _ask(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            with closing(sqlite3.connect(self._path)) as database, database:
                database.execute("CREATE TABLE IF NOT EXISTS summaries (key UNIQUE, text)")
                return database.execute(statement, values).fetchall()
        except (OSError, UnicodeError, sqlite3.Error) as error:
            logger.warning("summaries are not remembered in %s: %s", self._path, error)
            return []
