"""From a source as it is written to its connector, behaving as the settings say."""

from __future__ import annotations

from connectors.base import Access, Connector
from connectors.registry import open_source
from rag.settings import Settings

__all__ = ["connect"]


def connect(source: str, settings: Settings) -> Connector:
    """The connector for `source`.

    Raises:
        UsageError: no connector reads it, or an option of it is wrong.
    """
    values = settings.sources
    access = Access(
        contact=values.contact,
        allow_private=values.allow_private,
        timeout=values.timeout,
        deadline=values.deadline,
        most_bytes=values.most_bytes,
        ncbi_api_key=values.ncbi_api_key.get_secret_value(),
    )
    return open_source(source, settings.ingest.ignore, access)
