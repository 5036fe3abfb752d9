"""Writing: documents are cut and embedded in windows, and stored behind the reader's back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Protocol, Self

from pipelines.sync import Task
from pipelines.twins import Original, Twins
from rag.index import Index
from rag.store import DocumentRecord
from rag.trace import Figures
from rag.types import Chunk, Document

__all__ = ["Failure", "IngestReport", "Progress", "Writer"]

logger = logging.getLogger(__name__)

_MOST_COPIED = 4_000_000  # characters of copies that wait to be linked
_COPY = 2_000  # characters that a copy counts for however short it is


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that could not be read, and why."""

    source: str
    reason: str


@dataclass(slots=True)
class IngestReport:
    """What a run did. `documents`, `chunks` and `tokens` are of the whole index, after it."""

    added: int = 0
    replaced: int = 0
    linked: int = 0
    """Copies of a document that is stored already."""
    unchanged: int = 0
    retired: int = 0
    failed: list[Failure] = field(default_factory=list)
    documents: int = 0
    chunks: int = 0
    tokens: int = 0
    seconds: float = 0.0
    vanished: int = 0
    """Served, gone from the source, and kept because the run did not prune."""
    truncated: int = 0
    """Chunks whose end the embedder could not read."""
    embedded_tokens: int = 0
    interrupted: bool = False

    @property
    def figures(self) -> Figures:
        """What a span says of it: no names."""
        told = {name: value for name, value in asdict(self).items() if isinstance(value, int)}
        return {f"spanrag.{name}": n for name, n in {**told, "failed": len(self.failed)}.items()}


class Progress(Protocol):
    """Hears how far a run is."""

    def start(self, total: int) -> None:
        """So many documents will be fetched."""

    def advance(self, count: float, tokens: int = 0) -> None:
        """So many documents (or part of one) and tokens have been read."""


@dataclass(slots=True)
class _Complete:
    """A document whose last chunk is in the window, or a copy of `original`.

    `stays` where its copies may go on to rest on it.
    """

    document: Document
    served: DocumentRecord | None
    tokens: int = 0
    original: Original | None = None
    stays: bool = False


class Writer:
    """Collects chunks over documents into windows worth embedding, and commits what is complete.

    One window is stored by a thread of its own while the next is cut and embedded. Memory is
    bounded by two windows, one document's text, and what the store holds of the chunks since it
    was last optimised, whatever the corpus. A context manager: leaving it waits for what is being
    written; `finish` also writes what is held.
    """

    def __init__(
        self, index: Index, report: IngestReport, twins: Twins, progress: Progress | None
    ) -> None:
        self._index = index
        self._report = report
        self._progress = progress
        self._twins = twins
        self._held: list[tuple[Document, list[Chunk]]] = []
        self._held_tokens = 0
        self._complete: list[_Complete] = []
        self._copied = 0  # characters of the copies in the window
        self._unoptimized = 0
        self._behind = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._writing: Future[None] | None = None
        self.wrote = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._behind.shutdown(wait=True)

    def write(self, document: Document, task: Task) -> None:
        """Queue one document; it is served once its last chunk is written."""
        served = task.served
        if served is not None and served.revision == document.revision and not served.twin_of:
            self._submit(lambda: self._twins.renew(document, served))
            self._report.unchanged += 1
            self.passed_over()
            return
        stays = served is not None and self._twins.stays(document, served)
        if not stays and (original := self._twins.find(document)):
            self._link(document, served, original)
            return
        tokens, read = self._cut(document)
        if not tokens:
            self._twins.forget(document)
            self._report.failed.append(Failure(document.source, "no words in it"))
            self.passed_over()
            return
        self._complete.append(_Complete(document, served, tokens, stays=stays))
        self._twins.remember(document)
        if self._progress:
            self._progress.advance(1 - read / len(document.text), 0)

    def passed_over(self) -> None:
        """A document needed no writing."""
        if self._progress:
            self._progress.advance(1, 0)

    def flush(self) -> None:
        """Embed what is held; store it, and commit the documents that are complete, behind."""
        held, complete = self._held, self._complete
        self._held, self._complete, self._copied = [], [], 0
        flat = [chunk for _, chunks in held for chunk in chunks]
        if flat:
            vectors = self._index.embed(flat)
            self._report.truncated += vectors.truncated
            self._report.embedded_tokens += self._held_tokens
            if self._progress:
                self._progress.advance(0, self._held_tokens)
        self._held_tokens = 0
        if not flat and not complete:
            return

        def store() -> None:
            at = 0
            for document, chunks in held:
                here = slice(at, at + len(chunks))
                marks = self._twins.marks(document) if chunks[0].ordinal == 0 else ()
                self._index.store.stage(
                    document, chunks, vectors.dense[here], vectors.lexical[here], marks
                )
                at += len(chunks)
            self._commit(complete)
            self._optimize(len(flat))

        self._submit(store)

    def finish(self) -> None:
        """Write what is held, and wait until all is written."""
        self.flush()
        self._wait()

    def _cut(self, document: Document) -> tuple[int, int]:
        """Put a document's chunks in the window; its tokens, and where progress stands in it."""
        chunks: list[Chunk] = []
        tokens, read = 0, 0
        for chunk in self._index.chunk(document):
            if not chunks:
                self._held.append((document, chunks))
            chunks.append(chunk)
            tokens += chunk.tokens
            self._held_tokens += chunk.tokens
            if self._held_tokens >= self._index.settings.ingest.window_tokens:
                self.flush()
                chunks = []
                if self._progress:
                    share = (chunk.span.end - read) / len(document.text)
                    self._progress.advance(share, 0)
                    read = chunk.span.end
        if not tokens and chunks:  # of zero-width characters and their like: nothing to find
            self._held.pop()
        return tokens, read

    def _link(self, document: Document, served: DocumentRecord | None, original: Original) -> None:
        """Queue a copy; it is linked after what it is a copy of is committed."""
        self._complete.append(_Complete(document, served, original=original))
        self._twins.remember(document, original)
        self._copied += len(document.text) + _COPY
        if self._copied >= _MOST_COPIED:
            self.flush()
        self.passed_over()

    def _commit(self, complete: Sequence[_Complete]) -> None:
        for each in complete:
            document, served = each.document, each.served
            if each.original:
                self._twins.link(document, each.original)
                self._report.linked += 1
                continue
            self._twins.settle(document, served, each.tokens, stays=each.stays)
            logger.debug("committed %s", document.source)
            self._report.replaced += served is not None
            self._report.added += served is None

    def _optimize(self, written: int) -> None:
        self._unoptimized += written
        if self._unoptimized >= self._index.settings.ingest.optimize_chunks:
            # What was just written lies in memory until it is optimised.
            self._index.store.optimize()
            self._unoptimized = 0

    def _submit(self, write: Callable[[], None]) -> None:
        """Have it written behind, when what was submitted before is."""
        self._wait()
        self.wrote = True
        self._writing = self._behind.submit(write)

    def _wait(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            try:
                writing.result()
            finally:
                del writing  # or an error would hold this frame, and this frame the error
