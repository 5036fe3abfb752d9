"""Duplicates at ingest: a copy is linked to what is stored already, and cited with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rag.duplicates import marks_of, standing
from rag.ids import digest
from rag.settings import IngestSettings
from rag.spans import Span
from rag.store import DocumentRecord, Store
from rag.types import Document

__all__ = ["Original", "Twins"]

_MOST_COPIES = 100  # of one original; the next is stored, and an original itself


class Original(NamedTuple):
    """What a document is a copy of, and where in it that document's words stand."""

    doc_id: str
    stands: Span


class Twins:
    """Which documents are copies, and what becomes of the copies when an original goes.

    A copy is of the same *circle* as its original: who may see the one is told of the other.

    Originals are found by their marks in the store, so no memory grows with the corpus; those of
    this run that are not stored yet are remembered until they are. One instance writes to a store
    at a time: it counts the copies.

    Args:
        store: an open store.
        settings: `duplicates` says what counts as a copy, `copies_within` what a circle is.
        going: documents that this run will retire; nothing is linked to them.
    """

    def __init__(
        self, store: Store, settings: IngestSettings, going: frozenset[str] = frozenset()
    ) -> None:
        self._store = store
        self._kind = settings.duplicates
        self._threshold = settings.near_duplicate if self._kind == "near" else 1.0
        self._circle = settings.copies_within
        self._going = going
        self._marks: dict[str, tuple[str, ...]] = {}
        self._coming: dict[str, Document] = {}
        self._by_mark: dict[str, str] = {}
        self._copies = Counter(link.twin_of for link in self._store.links())
        self._room = {each: _MOST_COPIES - n for each, n in self._copies.items()}
        self.heirs = 0
        """Copies that took the place of an original: their own text has to be read again."""

    def find(self, document: Document) -> Original | None:
        """A document that holds all that this one says, and where, or None."""
        for doc_id, title, text in self._candidates(document):
            free = doc_id != document.id and self._room.get(doc_id, _MOST_COPIES) > 0
            if free and title == document.title:
                stands = standing(document.text, text, self._threshold)
                if stands is not None:
                    return Original(doc_id, stands)
        return None

    def _candidates(self, document: Document) -> Iterator[tuple[str, str, str]]:
        """Id, title and text of documents that share a mark: of this run first, then stored."""
        marks = self.marks(document)
        # Read with `get`: the thread that writes forgets what it has stored.
        waiting = {self._by_mark.get(mark, document.id) for mark in marks}
        for doc_id in sorted(waiting):
            if coming := self._coming.get(doc_id):
                yield doc_id, coming.title, coming.text
        # The digest by itself: look-alikes must not crowd out what is the same.
        for some in (marks[:1], marks[1:]):
            for record in self._store.alike(some) if some else ():
                if record.doc_id not in self._going and record.doc_id not in self._coming:
                    yield record.doc_id, record.title, self._store.text(record)

    def marks(self, document: Document) -> tuple[str, ...]:
        """The document's marks, reckoned once."""
        if self._kind == "keep":
            return ()
        if document.id not in self._marks:
            near = self._threshold < 1
            marks = marks_of(document.title, document.text, near=near)
            if circle := self._circle_of(document.meta):
                marks = tuple(f"{circle} {mark}" for mark in marks)
            self._marks[document.id] = marks
        return self._marks[document.id]

    def _circle_of(self, meta: Mapping[str, Any]) -> str:
        """A digest of what a document has of the fields that make a circle, or "" of none."""
        values = {name: sorted(_words(meta[name])) for name in self._circle if name in meta}
        return digest(sorted(values.items())) if values else ""

    def remember(self, document: Document, original: Original | None = None) -> None:
        """This run will store the document, or link it: what the store has of it is going."""
        self._coming[document.id] = document
        if original is None:
            self._by_mark |= dict.fromkeys(self.marks(document), document.id)
        else:
            room = self._room.get(original.doc_id, _MOST_COPIES)
            self._room[original.doc_id] = room - 1

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
        if current is None or current.twin_of or current.title != document.title:
            return False
        whole = standing(self._store.text(current), document.text, 1.0)
        return whole is not None and self._store.copied_whole(current)

    def renew(self, document: Document, served: DocumentRecord) -> None:
        """Renew what is said of a document whose text is the same.

        Where that puts it in another circle, its copies stay behind, with text of their own.
        """
        if self._circle_of(document.meta) == self._circle_of(served.meta):
            self._store.describe(document)
            return
        self.leave(served)
        self._store.tell(served.doc_id)  # of nobody
        self._store.describe(document, self.marks(document))
        self._marks.pop(document.id, None)

    def link(self, document: Document, original: Original) -> None:
        """Have the store keep of a copy only what it is called, where it is, and of what."""
        current = self._store.served(document.id)
        again = current is not None and current.twin_of == original.doc_id
        if current is not None and not again:
            self._let_go(current)
        self._store.link(document, *original)
        self._copies[original.doc_id] += not again
        self.forget(document)

    def settle(
        self, document: Document, served: DocumentRecord | None, tokens: int, *, stays: bool
    ) -> None:
        """Commit what was staged of a document; its copies stay with it or are taken care of."""
        if stays:
            self._store.tell(document.id, document.revision)
        elif served is not None:
            self.leave(served)
        self._store.commit(document.id, document.revision, tokens)
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
            self._copies[heir] = self._copies.pop(current.doc_id, 1) - 1
            self.heirs += 1


def _words(value: Any) -> list[str]:
    """Each value a field has, as the store has it, which knows truth values by name only."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in values]
