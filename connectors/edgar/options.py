"""What may be asked of EDGAR."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import Field

__all__ = ["EdgarOptions", "FolderOptions"]


@dataclass(frozen=True, slots=True)
class EdgarOptions:
    """Which filings of a company.

    Args:
        forms: the forms, as SEC writes them ("10-K", "8-K/A", "DEF 14A").
        since: filed on this day or later.
        until: filed on this day or earlier.
        most: of each company no more than this, the newest; 0 for all.
        amendments: the amendments of these forms too ("10-K/A").
        exhibits: press releases (EX-99) of 8-Ks and annual reports (EX-13) of 10-Ks too, each a
            document of its own.
    """

    forms: tuple[str, ...] = ("10-K", "10-Q", "8-K")
    since: date | None = None
    until: date | None = None
    most: Annotated[int, Field(ge=0)] = 0
    amendments: bool = False
    exhibits: bool = False

    def wants(self, form: str, filed: str) -> bool:
        """Whether a filing of this form and day (ISO) is one of them."""
        names = {name.upper() for name in self.forms}
        base = form.upper().removesuffix("/A") if self.amendments else form.upper()
        return (form.upper() in names or base in names) and self.covers_day(filed)

    def covers_day(self, filed: str) -> bool:
        """Whether what was filed on this day (ISO) is wanted."""
        late_enough = self.since is None or filed >= self.since.isoformat()
        return late_enough and (self.until is None or filed <= self.until.isoformat())


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """A folder has none: which of its files are meant is said by a glob."""
