"""Documents that are objects of STIX: techniques, groups, malware, indicators, reports."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from connectors.attack.fields import Stix, attack_id, attack_url, name_of
from connectors.attack.graph import Graph
from connectors.attack.options import StixOptions
from connectors.attack.places import Place
from connectors.attack.render import VERSION, render
from connectors.base import SourceRef
from connectors.parsing.base import Parsed
from connectors.parsing.indicators import VERSION as INDICATORS
from rag.errors import DocumentError, SourceError, UsageError
from rag.ids import digest
from rag.types import Document

__all__ = ["StixConnector"]


class StixConnector:
    """Lists and reads the objects of a place.

    A document tells what its object says, and what relationships of the place say of it. So a
    listing reads all there is, once, and keeps what is rendered; a fingerprint is a digest of the
    document itself, and changes when a relationship does, or the name at its other end.

    A part that is no STIX is a problem of its own: the others are listed, nothing is retired.

    Args:
        place: where objects come from.
        options: which of them are listed.
    """

    def __init__(self, place: Place, options: StixOptions) -> None:
        self._place, self._options = place, options
        self._graph: Graph | None = None
        self._lock = Lock()

    @property
    def namespace(self) -> str:
        """The place: what it no longer has is gone, whatever others have."""
        return f"stix:{self._place.name}"

    def list(self) -> list[SourceRef]:
        """Every object that is a document, by type and ATT&CK id.

        Raises:
            UsageError: the place is not there.
            SourceError: it cannot be read now.
        """
        graph, problems = self._load()
        self._graph = graph
        return [*(self._ref(each, graph) for each in graph.documents() if self.covers(each["id"])),
                *problems]  # fmt: skip

    def covers(self, key: str) -> bool:
        """Whether an object of this id is of the types that are listed."""
        return not self._options.types or key.partition("--")[0] in self._options.types

    def fetch(self, ref: SourceRef) -> Document:
        """Make a document of one object.

        Raises:
            DocumentError: it says nothing, or the place has changed since it was listed.
        """
        if ref.problem is not None:
            raise ref.problem
        graph = self._held()
        thing = graph.get(ref.key)
        parsed = render(thing, graph) if thing is not None else None
        if parsed is None or _fingerprint(parsed) != ref.fingerprint:
            raise DocumentError("has changed since it was listed", hint="run this again")
        return parsed.as_document(ref, self.namespace)

    def _held(self) -> Graph:
        with self._lock:  # of several threads that come first, one reads
            if self._graph is None:
                try:
                    self._graph, _ = self._load()
                except (SourceError, UsageError) as error:
                    raise DocumentError(error.message, hint=error.hint) from error
            return self._graph

    def _load(self) -> tuple[Graph, Sequence[SourceRef]]:
        graph = Graph(keep_deprecated=self._options.deprecated == "keep")
        problems = []
        for part in self._place.parts():
            problem = part.problem
            if part.bundle is not None:
                graph.add(part.bundle.objects, part.where)
                if lost := part.bundle.nameless:
                    problem = DocumentError(f"{lost:,} of its objects have no type and id")
            if problem is not None:
                problems.append(SourceRef("", part.where, part.where, "", problem))
        graph.connect()
        return graph, problems

    def _ref(self, thing: Stix, graph: Graph) -> SourceRef:
        key = thing["id"]
        fingerprint, problem = "", None
        try:
            fingerprint = _fingerprint(render(thing, graph))
        except DocumentError as error:
            problem = error
        source = attack_url(thing) or f"{graph.origin(key)}#{key}"
        return SourceRef(
            key, source, attack_id(thing) or name_of(thing) or key, fingerprint, problem
        )


def _fingerprint(parsed: Parsed) -> str:
    return digest([VERSION, INDICATORS, parsed.title, parsed.text, parsed.meta])
