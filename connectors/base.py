"""What a connector is: a place that lists documents and fetches them.

Listing is cheap and complete, or it raises: only a listing that ran to its end may retire a
document. Fetching raises `DocumentError` for a document that cannot be read; any other error is
the connector's own fault.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from rag.errors import DocumentError
from rag.types import Document

__all__ = ["Connector", "SourceRef"]


@dataclass(frozen=True, slots=True)
class SourceRef:
    """One document as a listing names it.

    Args:
        key: its identity in the connector's namespace; "" where a problem keeps it from being
            known, and so what is listed cannot be told from what is gone.
        source: the path or URI to show, as the user gave it.
        name: its name below the source.
        fingerprint: changes whenever the document may have changed; cheap to get.
        problem: why it must not be fetched (a link that leaves the root), or None.
    """

    key: str
    source: str
    name: str
    fingerprint: str
    problem: DocumentError | None = None


class Connector(Protocol):
    """Where documents come from."""

    @property
    def namespace(self) -> str:
        """What kind of place; with a ref's key it identifies a document."""

    def list(self) -> Iterable[SourceRef]:
        """Every document there is now, in a stable order.

        Raises:
            UsageError: the place is not there.
        """

    def covers(self, key: str) -> bool:
        """Whether a document of this key belongs to what is listed here, if it exists or not."""

    def fetch(self, ref: SourceRef) -> Document:
        """Read and parse one document.

        Raises:
            DocumentError: it cannot be read; the message says why in one line.
        """
