"""What a connector is: a place that lists documents and fetches them.

Listing is cheap and complete, or it raises: only a listing that ran to its end may retire a
document. Fetching raises `DocumentError` for a document that cannot be read; any other error is
the connector's own fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from rag.errors import DocumentError
from rag.types import Document

__all__ = ["Access", "Connector", "Prepares", "SourceRef"]


@dataclass(frozen=True, slots=True)
class Access:
    """How connectors behave towards the places they read: who they say they are, what they may.

    Args:
        contact: who to write to about requests ("Jane Doe jane@example.org"); SEC and NCBI ask
            for it.
        allow_private: hosts, addresses or networks ("wiki.local", "10.0.0.0/8") that may be
            asked though they are not on the public internet.
        timeout: seconds a server may stay silent.
        deadline: seconds one request may take in all, however steadily bytes drip in.
        most_bytes: the largest document that is fetched.
        ncbi_api_key: raises NCBI's limit from 3 to 10 requests a second.
    """

    contact: str = ""
    allow_private: tuple[str, ...] = ()
    timeout: float = 30.0
    deadline: float = 300.0
    most_bytes: int = 512 * 2**20
    ncbi_api_key: str = field(default="", repr=False)


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
            UsageError: the place is not there: the user has to mend something.
            SourceError: it is, but cannot be listed to the end now; nothing of it is retired.
        """

    def covers(self, key: str) -> bool:
        """Whether a document of this key belongs to what is listed here, if it exists or not."""

    def fetch(self, ref: SourceRef) -> Document:
        """Read and parse one document; several threads may call this at once.

        It may be one that another connector of the same source has listed, in another process.

        Raises:
            DocumentError: it cannot be read; the message says why in one line.
        """


@runtime_checkable
class Prepares(Protocol):
    """A connector that gets many documents in one request, where it is told which."""

    @property
    def batch(self) -> int:
        """How many at a time are best."""

    def prepare(self, refs: Sequence[SourceRef]) -> None:
        """These will be fetched next; called before any of them, from one thread.

        Raises:
            DocumentError: the request failed; each of them is then fetched by itself.
        """
