"""Filings of the SEC: asked from EDGAR by company, or from a folder of downloaded ones."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.base import Access, Connector
from connectors.edgar.api import EdgarApi
from connectors.edgar.connector import EdgarConnector
from connectors.edgar.folder import FilingsFolder
from connectors.edgar.options import EdgarOptions, FolderOptions
from connectors.options import read_options
from rag.errors import UsageError

__all__ = ["EdgarApi", "EdgarConnector", "EdgarOptions", "FilingsFolder", "open_edgar"]


def open_edgar(place: str, options: Mapping[str, str], access: Access) -> Connector:
    """The connector of "edgar:AAPL,MSFT#forms=10-K", "edgar:320193" or "edgar:./filings".

    Raises:
        UsageError: it names nothing, an option is wrong, or EDGAR is to be asked and nobody is
            named whom SEC may write to.
    """
    # A ticker has no slash and no leading dot ("BRK.B"), so a path is told by them.
    if "/" in place or place.startswith((".", "~")):
        read_options(FolderOptions, options, "edgar")
        return FilingsFolder(place)
    companies = tuple(word.strip() for word in place.split(",") if word.strip())
    if not companies:
        raise UsageError(
            "edgar: names no company",
            hint="write edgar:AAPL, edgar:320193 (a CIK) or edgar:./filings (a folder)",
        )
    wanted = read_options(EdgarOptions, options, "edgar")
    return EdgarConnector(EdgarApi(access), companies, wanted)
