"""Duplicates at ingest: a copy is linked to what is stored already, and cited with it."""

from __future__ import annotations

from collections import Counter

from rag.duplicates import is_copy, marks_of
from rag.settings import IngestSettings
from rag.store import DocumentRecord, Store
from rag.types import Document

__all__ = ["Twins"]


class Twins:
    """Which documents are copies, and what becomes of the copies when an original goes.

    Originals are found by their marks in the store, so no memory grows with the corpus; those of
    this run that are not stored yet are remembered until they are.

    Args:
        store: an open store.
        settings: `duplicates` says what counts as a copy.
        going: documents that this run will retire; nothing is linked to them.
    """

    def __init__(
        self, store: Store, settings: IngestSettings, going: frozenset[str] = frozenset()
    ) -> None:
        self._store = store
        self._kind = settings.duplicates
        self._threshold = settings.near_duplicate if self._kind == "near" else 1.0
        self._going = going
        self._marks: dict[str, tuple[str, ...]] = {}
        self._coming: dict[str, Document] = {}
        self._by_mark: dict[str, str] = {}
        self._copies = Counter(link.twin_of for link in self._store.links())
        self.heirs = 0
        """Copies that took the place of an original: their own text has to be read again."""

    def find(self, document: Document) -> str | None:
        """The id of a document that holds all that this one says, or None."""
        if self._kind == "keep":
            return None
        marks = self.marks(document)
        # Read with `get`: the thread that writes forgets what it has stored.
        waiting = {self._by_mark.get(mark, document.id) for mark in marks}
        for doc_id in sorted(waiting - {document.id}):
            coming = self._coming.get(doc_id)
            if coming and is_copy(document.text, coming.text, self._threshold):
                return doc_id
        for record in self._store.alike(marks):
            fit = record.doc_id != document.id and record.doc_id not in self._going
            if fit and record.doc_id not in self._coming:
                text = self._store.text(record.doc_id, record.revision)
                if is_copy(document.text, text, self._threshold):
                    return record.doc_id
        return None

    def marks(self, document: Document) -> tuple[str, ...]:
        """The document's marks, reckoned once."""
        if self._kind == "keep":
            return ()
        if document.id not in self._marks:
            self._marks[document.id] = marks_of(document.text, near=self._threshold < 1)
        return self._marks[document.id]

    def remember(self, document: Document, *, link: bool = False) -> None:
        """This run will store the document, or link it: what the store has of it is going."""
        self._coming[document.id] = document
        if not link:
            self._by_mark |= dict.fromkeys(self.marks(document), document.id)

    def forget(self, document: Document) -> None:
        """It is stored, and found there from now on; or it never will be."""
        for mark in self._marks.pop(document.id, ()):
            if self._by_mark.get(mark) == document.id:
                del self._by_mark[mark]
        self._coming.pop(document.id, None)

    def stays(self, document: Document, served: DocumentRecord) -> bool:
        """Whether the new text says word for word what its copies rest on: they may stay."""
        if served.fingerprint and not self._copies[served.doc_id]:
            return False
        current = self._store.served(document.id)
        if current is None or current.twin_of:
            return False
        return is_copy(self._store.text(current.doc_id, current.revision), document.text, 1.0)

    def link(self, document: Document, original: str) -> None:
        """Have the store keep of a copy only what it is called, where it is, and of what."""
        current = self._store.served(document.id)
        again = current is not None and current.twin_of == original
        if current is not None and not again:
            self._let_go(current)
        self._store.link(document, original)
        self._copies[original] += not again
        self.forget(document)

    def settle(
        self, document: Document, served: DocumentRecord | None, tokens: int, *, stays: bool
    ) -> None:
        """Commit what was staged of a document; its copies stay with it or are taken care of."""
        if served is not None and not stays:
            self.leave(served)
        self._store.commit(document.id, document.revision, tokens)
        if stays:
            self._store.tell(document.id)
        self.forget(document)

    def leave(self, served: DocumentRecord) -> None:
        """What is served of a document is about to go: its copies must not go with it.

        One of them takes over the stored chunks, without a fingerprint, so that the next sync of
        its source reads its own text.
        """
        if not served.twin_of and not self._copies[served.doc_id]:
            return
        # As it is now: since the plan was made it may have become an heir.
        if current := self._store.served(served.doc_id):
            self._let_go(current)

    def _let_go(self, current: DocumentRecord) -> None:
        if current.twin_of:
            self._store.unlink(current)
            self._copies[current.twin_of] -= 1
        elif heir := self._store.bequeath(current):
            self._copies[heir] = self._copies.pop(current.doc_id) - 1
            self.heirs += 1
