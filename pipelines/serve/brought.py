"""Documents that a request brings along, as a connector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from connectors.base import SourceRef
from connectors.parsing.formats import FORMATS, Format
from pipelines.serve.jobs import Brought
from pipelines.serve.keys import TENANT_FIELD
from rag.ids import digest
from rag.types import Document

__all__ = ["BroughtDocuments", "namespace_of"]

_NAMESPACE = "api"
_WRITTEN = frozenset({".txt", ".md", ".markdown", ".html", ".htm"})
"""What can be brought as text; anything else is read as plain text."""


def namespace_of(tenant: str) -> str:
    """Of what a tenant's keys bring, or, with "", those that are nobody's in particular."""
    return f"{_NAMESPACE}:{tenant}" if tenant else _NAMESPACE


class BroughtDocuments:
    """A connector over what one request brings.

    Each tenant has a namespace: an id of one is never that of another's document.

    Args:
        brought: of two with one id the last counts.
        tenant: whose they are; it is put into their metadata, whatever that said.
    """

    def __init__(self, brought: Sequence[Brought], tenant: str) -> None:
        self._brought = {each.id: each for each in brought}
        self._own = {TENANT_FIELD: tenant} if tenant else {}
        self.namespace = namespace_of(tenant)

    def list(self) -> Iterator[SourceRef]:
        """Every one of them."""
        for key, each in self._brought.items():
            name = each.name or key
            told = [each.model_dump(mode="json"), _format(name).version, self._own]
            yield SourceRef(key, f"api:{name}", name, digest(told))

    def covers(self, key: str) -> bool:
        """True for these alone: they are no whole from which another could be missing."""
        return key in self._brought

    def fetch(self, ref: SourceRef) -> Document:
        """One of them, parsed.

        Raises:
            DocumentError: it holds nothing but white space.
        """
        each = self._brought[ref.key]
        parsed = _format(ref.name).read(each.text.encode())
        return Document(
            namespace=self.namespace,
            key=ref.key,
            source=ref.source,
            name=ref.name,
            text=parsed.text,
            title=each.title or parsed.title,
            sections=parsed.sections,
            meta={**each.meta, **self._own},
            fingerprint=ref.fingerprint,
        )


def _format(name: str) -> Format:
    suffix = PurePosixPath(name).suffix.lower()
    return FORMATS[suffix if suffix in _WRITTEN else ".txt"]
