"""Every error spanrag raises on purpose.

RagError                    1  unexpected
├── UsageError              2  the call is wrong: an argument, a missing file
├── ConfigError             3  a setting is unknown, malformed or contradicts another
│   └── IndexMismatch       3  the index was built with other settings than these
├── DocumentError           4  one document cannot be read: data in a report, no end of a run
├── SourceError             4  a place cannot be listed now: its documents stay as they are
├── StoreError              5  the index cannot be reached
│   ├── IndexMissing        5  there is no index where the settings say
│   ├── StoreAway           5  it does not answer now, or another index is served by now
│   └── StoreLocked         5  another process owns the embedded index
└── ModelError              6  a model cannot be loaded or does not answer
    └── ExtraMissing        6  an optional dependency is not installed

The number is the process's exit code. Every error carries a `hint`: what mends it.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "ConfigError",
    "DocumentError",
    "ExtraMissing",
    "IndexMismatch",
    "IndexMissing",
    "ModelError",
    "RagError",
    "SourceError",
    "StoreAway",
    "StoreError",
    "StoreLocked",
    "UsageError",
    "first_line",
]


class RagError(Exception):
    """The root: one line of what went wrong and where, one of how to mend it."""

    code: ClassVar[str] = "unexpected"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def within(self, where: str) -> RagError:
        """The same error, which says where it happened."""
        return _rebuilt(type(self), f"{where}: {self.message}", self.hint)

    def __reduce__(self) -> tuple[Any, ...]:
        # Not through __init__, whose arguments differ from class to class.
        return _rebuilt, (type(self), self.message, self.hint)

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its kind where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _rebuilt(kind: type[RagError], message: str, hint: str) -> RagError:
    error = kind.__new__(kind, message)
    RagError.__init__(error, message, hint=hint)
    return error


class UsageError(RagError):
    """The call is wrong: a bad argument, a path that is not there."""

    code = "usage"
    exit_code = 2


class ConfigError(RagError):
    """A setting is unknown, malformed, or contradicts another."""

    code = "config"
    exit_code = 3


class IndexMismatch(ConfigError):
    """The index was built with other settings than those it is opened with."""

    code = "index_mismatch"


class DocumentError(RagError):
    """One document cannot be read. It becomes a line of the ingest report."""

    code = "document"
    exit_code = 4


class SourceError(RagError):
    """A place is there but cannot be listed to its end now; the run goes on with the others."""

    code = "source"
    exit_code = 4


class StoreError(RagError):
    """The index cannot be reached or answers with an error."""

    code = "store"
    exit_code = 5


class IndexMissing(StoreError):
    """There is no index where the settings say."""

    code = "index_missing"


class StoreAway(StoreError):
    """What would work at another time: the server is away, or another index is served by now.

    The same again, of the index opened anew, may work.
    """


class StoreLocked(StoreError):
    """Another process owns the embedded index."""

    code = "store_locked"


class ModelError(RagError):
    """A model cannot be loaded, or does not answer."""

    code = "model"
    exit_code = 6


class ExtraMissing(ModelError):
    """A feature needs an optional dependency that is not installed."""

    code = "extra_missing"

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed", hint=f"run: pip install 'spanrag[{extra}]'")
