"""What a sync has to do: the difference between what there is and what is stored. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from connectors.base import SourceRef
from rag.errors import UsageError
from rag.ids import document_id
from rag.store import DocumentRecord

__all__ = ["Plan", "Task", "guard_prune", "plan"]


@dataclass(frozen=True, slots=True)
class Task:
    """A document to fetch: new, or changed for all that the listing can tell.

    `served` is the revision that is searched now, or None where the document is new.
    """

    ref: SourceRef
    served: DocumentRecord | None


@dataclass(slots=True)
class Plan:
    """The difference, as lists of work: decided, and printable, before anything is written."""

    tasks: list[Task] = field(default_factory=list)
    unchanged: list[DocumentRecord] = field(default_factory=list)
    vanished: list[DocumentRecord] = field(default_factory=list)
    """Served, and gone from the source."""
    refused: list[SourceRef] = field(default_factory=list)
    """Listed with a problem; never fetched."""
    leftovers: list[DocumentRecord] = field(default_factory=list)
    """Revisions that a run which was cut short left behind."""
    unlisted: str = ""
    """Why the place could not be listed; the rest is then empty."""

    def lines(self, *, prune: bool) -> Iterator[str]:
        """The plan as a user reads it, a line for each document it touches."""
        for task in self.tasks:
            yield f"{'check' if task.served else 'add':7}{task.ref.source}"
        for record in self.vanished:
            yield f"{'retire' if prune else 'gone':7}{record.source}"
        for ref in self.refused:
            yield f"{'refuse':7}{ref.source}: {ref.problem}"
        if self.unlisted:
            yield f"{'skip':7}{self.unlisted}"
        for record in self.leftovers:
            yield f"{'clean':7}{record.source} (an unfinished write)"


def plan(
    namespace: str,
    desired: Iterable[SourceRef],
    actual: Iterable[DocumentRecord],
    covers: Callable[[str], bool],
) -> Plan:
    """Compare a complete listing with what the store holds of its namespace.

    Args:
        namespace: of the connector that made the listing.
        desired: the listing.
        actual: every revision the store holds of the namespace, live or not.
        covers: whether a key belongs to this listing's scope; what it does not cover is left
            alone.
    """
    served: dict[str, list[DocumentRecord]] = {}
    result = Plan()
    for record in actual:
        if covers(record.key):
            if record.live:
                served.setdefault(record.doc_id, []).append(record)
            else:
                result.leftovers.append(record)
    listed: set[str] = set()
    for ref in desired:
        if ref.key and ref.key in listed:
            if ref.problem is not None:  # an id used twice: the connector says so itself
                result.refused.append(ref)
            continue
        listed.add(ref.key)
        # More than one live revision: a server was cut off inside a commit. The one that the
        # listing knows is kept, if there is one.
        revisions = served.pop(document_id(namespace, ref.key), [])
        revisions.sort(key=lambda record: not _same(record, ref))
        known = revisions[0] if revisions else None
        result.leftovers += revisions[1:]
        if ref.problem is not None:
            result.refused.append(ref)
        elif known is not None and _same(known, ref):
            result.unchanged.append(known)
        else:
            result.tasks.append(Task(ref, known))
    # A line nobody can name may be any of the documents that seem to be gone.
    nameless = not all(ref.key for ref in result.refused)
    for first, *others in served.values():
        result.vanished += [] if nameless else [first]
        result.leftovers += others
    return result


def _same(record: DocumentRecord, ref: SourceRef) -> bool:
    """Whether the listing shows no change; a new spelling of the source is one (it is cited)."""
    return (record.fingerprint, record.source, record.name) == (
        ref.fingerprint,
        ref.source,
        ref.name,
    )


def guard_prune(planned: Plan, max_fraction: float) -> None:
    """Refuse to retire more of a source than is likely to be meant.

    Raises:
        UsageError: more than `max_fraction` of the served documents would go.
    """
    gone = len(planned.vanished)
    known = gone + len(planned.unchanged) + sum(task.served is not None for task in planned.tasks)
    if gone > max_fraction * known + 1e-9:  # 0.29 * 100 is a little less than 29
        raise UsageError(
            f"--prune would retire {gone} of {known} documents",
            hint="check that the source is complete; add --yes to do it all the same",
        )
