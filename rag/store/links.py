"""Links: how a copy is kept without its text, and cited with its original. For every backend.

A link is a point without vectors, so no search finds it; it carries what is said of the copy, and
its original's id. What a search finds of the original is told of its copies (`also`), so that they
can be filtered by and cited.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rag.ids import chunk_id
from rag.spans import Span
from rag.store import schema
from rag.store.base import DocumentRecord, Point
from rag.store.points import Points
from rag.types import Document

__all__ = ["Links"]

_PAGE = 500  # points that are copied at a time
_CANDIDATES = 16  # documents looked at of those that share a mark


class Links(Points):
    """The calls of a store that are about copies, made of a few that a backend has."""

    _indexed = False

    def served(self, doc_id: str) -> DocumentRecord | None:
        """The revision of a document that is served, or its link."""
        found = self._find({"doc_id": doc_id, "ordinal": 0}, fields=schema.RECORD_FIELDS)
        records = (schema.record_of(point.payload) for point in found)
        return next((record for record in records if record.live), None)

    def text(self, record: DocumentRecord) -> str:
        """The text of a revision, put together from its chunks, every letter in its place.

        What no chunk holds is white space: a gap is as many spaces.
        """
        found = self._find(
            {"doc_id": record.doc_id, "revision": record.revision}, fields=["start", "end", "text"]
        )
        pieces: list[str] = []
        end = 0
        for point in sorted(found, key=lambda point: point.payload["start"]):
            start = point.payload["start"]
            pieces += [" " * (start - end), point.payload["text"][max(end - start, 0) :]]
            end = max(end, point.payload["end"])
        return "".join(pieces)

    def alike(self, marks: Sequence[str]) -> list[DocumentRecord]:
        """Served documents that have one of these marks, links apart."""
        if not self._indexed:  # an index that an older version made lacks what is looked up here
            self._index_fields()
            self._indexed = True
        found = self._find(
            {"state": schema.LIVE},
            any_of=("marks", marks),
            fields=schema.RECORD_FIELDS,
            limit=_CANDIDATES,
        )
        return sorted(map(_record, found), key=lambda record: record.doc_id)

    def links(self) -> Iterator[DocumentRecord]:
        """Every link there is."""
        return map(_record, self._find({"state": schema.LINKED}, fields=schema.RECORD_FIELDS))

    def copied_whole(self, original: DocumentRecord) -> bool:
        """Whether every copy of it says all that it says."""
        text = self.text(original)
        whole = Span(0, len(text)).trim_in(text)
        return all(_stands(copy) == whole for copy in self._copies_of(original.doc_id))

    def link(self, document: Document, original: str, stands: Span) -> None:
        """Keep of `document` only that it is a copy of `original`, and where in it it stands."""
        # A revision of its own: were the text stored too, one could not be told from the other.
        revision = f"link:{document.revision}"
        payload = {
            "state": schema.LINKED,
            "doc_id": document.id,
            "revision": revision,
            "ordinal": 0,
            "twin_of": original,
            "stands": [stands.start, stands.end],
            **schema.description(document),
            **schema.document_facts(document),
        }
        # Without a fingerprint until all is done: cut off, the next sync does it again.
        point = Point(chunk_id(document.id, revision, 0), {**payload, "fingerprint": ""})
        self._put([point])
        self._drop({"doc_id": document.id}, spare=revision)
        self.tell(original)
        this: dict[str, str | int] = {"doc_id": document.id, "revision": revision}
        self._set(this, {"fingerprint": document.fingerprint})

    def tell(self, original: str, revision: str | None = None) -> None:
        """Have the chunks of an original tell of its copies; `revision` if it is only staged."""
        self._tell(original, list(self._copies_of(original)), revision)

    def unlink(self, link: DocumentRecord) -> None:
        """Have the original forget a copy that is about to go its own way."""
        copies = self._copies_of(link.twin_of)
        self._tell(link.twin_of, [each for each in copies if each["doc_id"] != link.doc_id])

    def bequeath(self, original: DocumentRecord) -> str | None:
        """Give the chunks of a document that is about to go to one of its copies.

        The heir has no fingerprint: the next sync reads its own text. Returns its id, or None
        where there is no copy.
        """
        copies = sorted(self._copies_of(original.doc_id), key=lambda each: str(each["doc_id"]))
        if not copies:
            return None
        # The one that says most of it.
        heir = max(copies, key=lambda each: len(_stands(each)))
        others = [each for each in copies if each is not heir]
        for page in _pages(self._inheritance(original, heir, others)):
            self._put(page)
        # No commit: that would delete a newer revision of the heir that is staged. Cut off in
        # between, the heir has two revisions, and the next sync keeps the one the listing knows.
        inherited = {"doc_id": heir["doc_id"], "revision": original.revision}
        self._set(inherited, schema.committed(original.tokens))
        self._drop({"doc_id": heir["doc_id"], "state": schema.LINKED})
        for other in others:
            link = {"doc_id": other["doc_id"], "state": schema.LINKED}
            self._set(link, {"twin_of": heir["doc_id"]})
        return str(heir["doc_id"])

    def _inheritance(
        self,
        original: DocumentRecord,
        heir: Mapping[str, Any],
        others: Sequence[Mapping[str, Any]],
    ) -> Iterator[Point]:
        """The chunks of a revision as its heir's, chunk 0 first."""
        of_revision: dict[str, str | int] = {
            "doc_id": original.doc_id,
            "revision": original.revision,
        }
        own = {name: heir[name] for name in ("doc_id", "source", "name", "meta")}
        facts = {"namespace": heir["namespace"], "key": heir["key"]}
        facts |= {"fingerprint": "", "meta_digest": ""}

        def inherited(point: Point) -> Point:
            also = _also(others, point.payload)
            payload = {**point.payload, **own, "state": schema.STAGED, "also": also}
            ordinal = payload["ordinal"]
            if ordinal == 0:
                payload |= facts
            named = chunk_id(heir["doc_id"], original.revision, ordinal)
            return replace(point, id=named, payload=payload)

        for first in self._find({**of_revision, "ordinal": 0}, vectors=True):
            yield inherited(first)
        for point in self._find(of_revision, vectors=True):
            if point.payload["ordinal"]:
                yield inherited(point)

    def _copies_of(self, doc_id: str) -> Iterator[Mapping[str, Any]]:
        equals = {"state": schema.LINKED, "twin_of": doc_id}
        return (point.payload for point in self._find(equals))

    def _tell(
        self, original: str, copies: Sequence[Mapping[str, Any]], revision: str | None = None
    ) -> None:
        """Have every chunk of `original` say where else all of its text stands."""
        copies = sorted(copies, key=lambda each: str(each["source"]))
        which: dict[str, str | int] = {"doc_id": original}
        # What is staged has its own to tell.
        which |= {"state": schema.LIVE} if revision is None else {"revision": revision}
        edges = {edge for each in copies for edge in each["stands"]}
        if len(edges) <= 2:  # none, or all of them say the same of it
            self._set(which, {"also": [*map(schema.also_of, copies)]})
            points = self._find(which, fields=["start", "end", "ordinal"]) if copies else iter(())
            for point in [each for each in points if not _also(copies, each.payload)]:
                self._set({**which, "ordinal": point.payload["ordinal"]}, {"also": []})
            return
        for point in list(self._find(which, fields=["start", "end", "ordinal"])):
            chunk = {**which, "ordinal": point.payload["ordinal"]}
            self._set(chunk, {"also": _also(copies, point.payload)})


def _stands(link: Mapping[str, Any]) -> Span:
    return Span(*link["stands"])


def _also(copies: Sequence[Mapping[str, Any]], chunk: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a chunk tells of the copies that hold all of it."""
    here = Span(chunk["start"], chunk["end"])
    return [schema.also_of(each) for each in copies if _stands(each).covers(here)]


def _record(point: Point) -> DocumentRecord:
    return schema.record_of(point.payload)


def _pages(points: Iterable[Point]) -> Iterator[list[Point]]:
    page: list[Point] = []
    for point in points:
        page.append(point)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page
