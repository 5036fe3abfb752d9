"""Threat reports: files, and the indicators that they name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from connectors.attack.options import ReportOptions
from connectors.base import SourceRef
from connectors.files import FilesConnector
from connectors.parsing.indicators import VERSION, find_indicators, indicator_facts
from rag.types import Document

__all__ = ["ReportsConnector"]


class ReportsConnector:
    """Lists and reads files as the plain connector of files does, and looks for indicators.

    The text stays as it is, "evil[.]com" and all. What stands in it is told by `meta`, made whole,
    so that `domains=evil.com` finds the report: "cves", "techniques", "domains", "ips", "urls",
    "emails" and "hashes".

    Args:
        path: a file, a folder or a glob.
        options: which files are passed over.
    """

    namespace = "reports"

    def __init__(self, path: str, options: ReportOptions) -> None:
        self._files = FilesConnector(path, ignore=options.ignore)

    def list(self) -> Iterable[SourceRef]:
        """Every report there is now, by name; errors as of plain files."""
        return [
            replace(ref, fingerprint=f"{ref.fingerprint}:{VERSION}") for ref in self._files.list()
        ]

    def covers(self, key: str) -> bool:
        """Whether a file of this absolute path belongs here."""
        return self._files.covers(key)

    def fetch(self, ref: SourceRef) -> Document:
        """Read and parse one report.

        Raises:
            DocumentError: it cannot be read.
        """
        found = self._files.fetch(ref)
        facts = indicator_facts(find_indicators(found.text))
        return replace(found, namespace=self.namespace, meta={**found.meta, **facts})
