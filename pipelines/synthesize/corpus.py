"""The documents that are asked about: those of a source, or those that an index holds."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from connectors.base import Connector, SourceRef
from connectors.files import FilesConnector
from connectors.jsonl import JsonlConnector
from pipelines.ingest import Progress, ingest
from pipelines.scratch import in_scratch, open_scratch
from pipelines.sources import connect
from rag.errors import DocumentError, UsageError
from rag.index import Index, open_index
from rag.settings import EmbeddingSettings, Settings, StoreSettings
from rag.store import DocumentRecord, is_index
from rag.types import Document

__all__ = ["Corpus", "Reading", "open_corpus", "read_documents"]

logger = logging.getLogger(__name__)

_JSONL = "jsonl:"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents, an index of them, what to call the whole, and which could not be read."""

    documents: tuple[Document, ...]
    index: Index
    name: str
    failed: tuple[str, ...] = ()


@contextmanager
def open_corpus(settings: Settings, source: str, progress: Progress | None) -> Iterator[Corpus]:
    """The documents of a source, indexed in a scratch index; or those of an index.

    Args:
        settings: of the index.
        source: as `rag ingest` takes one, or the folder of an embedded index; "" for the index
            that the settings name.
        progress: hears of the documents that have to be indexed first.

    Raises:
        UsageError: the source is not there, or two of its documents have the same name.
        StoreError, ModelError, ConfigError: as `rag.index.open_index`.
    """
    if source and not is_index(Path(source)):
        connector = connect(source, settings)
        documents, failed = _of_source(connector)
        with open_scratch(in_scratch(settings, Path(source))) as index:
            ingest(index, [connector], prune=True, yes=True, progress=progress)
            yield Corpus(documents, index, Path(source).resolve().stem, failed)
        return
    with open_index(_of_folder(settings, source)) as index:
        documents, failed = _of_index(index)
        yield Corpus(documents, index, settings.store.collection, failed)


class Reading(NamedTuple):
    """Documents, which could not be read, and which embedder the index of them has."""

    documents: tuple[Document, ...]
    failed: tuple[str, ...]
    embedding: EmbeddingSettings


def read_documents(settings: Settings, source: str) -> Reading:
    """What `open_corpus` would be about, where no index is needed.

    Raises:
        UsageError, StoreError, ModelError, ConfigError: as `open_corpus`.
    """
    if source and not is_index(Path(source)):
        documents, failed = _of_source(connect(source, settings))
        return Reading(documents, failed, settings.embedding)
    with open_index(_of_folder(settings, source)) as index:
        return Reading(*_of_index(index), index.settings.embedding)


def _of_folder(settings: Settings, source: str) -> Settings:
    """The settings with the embedded index in that folder, if one is given."""
    if not source:
        return settings
    store = StoreSettings(kind="edge", path=Path(source))
    return settings.model_copy(update={"store": store})


def _of_source(connector: Connector) -> tuple[tuple[Document, ...], tuple[str, ...]]:
    failed: list[str] = []
    documents = tuple(_fetched(connector, connector.list(), failed))
    return _named_apart(documents), tuple(failed)


def _of_index(index: Index) -> tuple[tuple[Document, ...], tuple[str, ...]]:
    # Copies are asked about where their originals are.
    records = [each for each in index.store.documents() if each.live and not each.twin_of]
    failed: list[str] = []
    documents = tuple(_stored(records, failed))
    return _named_apart(documents), tuple(failed)


def _fetched(
    connector: Connector, refs: Iterable[SourceRef], failed: list[str]
) -> Iterator[Document]:
    for ref in refs:
        try:
            yield connector.fetch(ref)
        except DocumentError as error:
            failed.append(ref.source)
            logger.warning("%s: %s", ref.source, error)


def _stored(records: Sequence[DocumentRecord], failed: list[str]) -> Iterator[Document]:
    """The documents of an index, read again from where they came; changed ones are left out.

    An index holds chunks: what stands between two of them is not in it.
    """
    by_place: dict[str, list[DocumentRecord]] = {}
    for record in records:
        lines = record.namespace.startswith(_JSONL)
        by_place.setdefault(record.namespace if lines else record.key, []).append(record)
    for place, members in by_place.items():
        lines = place.startswith(_JSONL)
        connector: Connector = (
            JsonlConnector(place.removeprefix(_JSONL)) if lines else FilesConnector(place)
        )
        wanted = {record.key: record for record in members}
        try:
            refs = [ref for ref in connector.list() if ref.key in wanted]
        except UsageError as error:
            failed += [record.source for record in members]
            logger.warning("%s", error)
            continue
        for document in _fetched(connector, refs, failed):
            record = wanted[document.key]
            named = replace(document, name=record.name, source=record.source)
            if named.revision == record.revision:
                yield named
            else:
                failed.append(record.source)
                logger.warning("%s has changed since it was ingested: left out", record.source)


def _named_apart(documents: tuple[Document, ...]) -> tuple[Document, ...]:
    """The documents, if a reference can name each of them."""
    counts = Counter(document.name for document in documents)
    twice, count = next(iter(counts.most_common(1)), ("", 0))
    if count > 1:
        raise UsageError(
            f"two documents are called {twice}: a question could not say which it is about",
            hint="name the folder above both as the one source",
        )
    if not documents:
        raise UsageError("there is no document to ask about", hint="check the source")
    return documents
