"""Objects and what links them: the latest version of each, and the names at both ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from connectors.attack.fields import (
    Stix,
    attack_id,
    dicts_of,
    flag_of,
    instant_of,
    label_of,
    name_of,
    text_of,
    texts_of,
)
from connectors.attack.vocabulary import TLP

__all__ = ["Graph", "Link"]

_STRICTNESS = ("clear", "white", "green", "amber", "amber+strict", "red")
_REFERENCES = {
    "object_refs": "mentions",
    "x_mitre_data_source_ref": "data-source",
    "x_mitre_analytic_refs": "analytics",
}
_TOLD_OTHERWISE = frozenset({"in-tactic", "sighting"})  # where it is the source
# Read for what they say of others; never documents themselves.
_ACCESSORIES = frozenset(
    """
    relationship sighting marking-definition language-content extension-definition
    x-mitre-matrix x-mitre-collection
    """.split()
)
# Documents by themselves, however little they say.
_DOMAIN_OBJECTS = frozenset(
    """
    attack-pattern campaign course-of-action grouping incident indicator infrastructure
    intrusion-set malware malware-analysis note opinion report threat-actor tool vulnerability
    """.split()
)


@dataclass(frozen=True, slots=True)
class Link:
    """One line of an object's text: how it stands to another.

    Args:
        kind: the relationship's type.
        forward: whether the object is its source.
        other: the name of the object at the other end; "" where the place has none of that id.
        order: where it stands among others of its kind.
        said: the relationship itself, or whatever holds the reference.
        tlp: the stricter of the markings of both, or "".
    """

    kind: str
    forward: bool
    other: str
    order: tuple[str, ...]
    said: Stix
    tlp: str = ""


@dataclass(slots=True)
class Graph:
    """The objects of a place, by id.

    Args:
        keep_deprecated: whether what was revoked or deprecated counts too.
    """

    keep_deprecated: bool = False
    _objects: dict[str, Stix] = field(default_factory=dict)
    _origins: dict[str, str] = field(default_factory=dict)
    _links: dict[str, list[tuple[str, bool, str, str]]] = field(default_factory=dict)
    _tactics: dict[tuple[str, str], str] = field(default_factory=dict)
    # Told once for each object, however many name it.
    _labels: dict[str, str] = field(default_factory=dict)
    _orders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _tlp: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._objects)

    def add(self, objects: Iterable[Stix], origin: str) -> None:
        """Take these in; of two versions of an object the later counts, else the last."""
        for thing in objects:
            key = thing["id"]
            known = self._objects.get(key)
            if known is None or instant_of(thing) >= instant_of(known):
                self._objects[key] = thing
                self._origins[key] = origin

    def connect(self) -> None:
        """Find what links to what; to be called when all objects are in."""
        self._labels = {key: label_of(each) for key, each in self._objects.items()}
        self._orders = {key: _order(each) for key, each in self._objects.items()}
        colours = {**TLP, **dict(self._own_colours())}
        self._tlp = {key: _tlp_of(each, colours) for key, each in self._objects.items()}
        self._find_tactics()
        links: dict[str, list[tuple[str, bool, str, str]]] = defaultdict(list)
        for key, thing in self._objects.items():
            if not self._counts(thing):
                continue
            for kind, source, target in self._ends(key, thing):
                if source != target:
                    links[target].append((kind, False, source, key))
                    if kind not in _TOLD_OTHERWISE:
                        links[source].append((kind, True, target, key))
        self._links = dict(links)

    def documents(self) -> Iterator[Stix]:
        """The objects that are documents, by type, ATT&CK id, name and id."""
        found = (each for each in self._objects.values() if self._is_document(each))
        return iter(sorted(found, key=lambda each: self._orders[each["id"]]))

    def get(self, key: str) -> Stix | None:
        """The object with this id, if it is a document."""
        found = self._objects.get(key)
        return found if found is not None and self._is_document(found) else None

    def origin(self, key: str) -> str:
        """Where the object was read."""
        return self._origins[key]

    def links(self, key: str) -> list[Link]:
        """How the object stands to others; those that do not count any more are left out."""
        found = []
        for kind, forward, other, said in self._links.get(key, ()):
            end = self._objects.get(other)
            if end is None or self._counts(end):
                order = (*self._orders.get(other, ("",)), said)
                label = self._labels.get(other, "")
                tlp = strictest([self._tlp.get(other, ""), self._tlp[said]])
                found.append(Link(kind, forward, label, order, self._objects[said], tlp))
        return found

    def names(self, thing: Stix, ref_field: str) -> list[str]:
        """The names of the objects that a field refers to, of those there are."""
        return [self._labels[key] for key in texts_of(thing, ref_field) if key in self._labels]

    def tactic_label(self, chain: str, phase: str) -> str:
        """A phase of ATT&CK's kill chains, by its tactic's name if that is known."""
        tactic = self._tactics.get((chain, phase))
        return self._labels[tactic] if tactic else phase.replace("-", " ").capitalize()

    def tlp(self, thing: Stix) -> str:
        """The strictest marking of the traffic light protocol on it or a part of it, or ""."""
        return self._tlp[thing["id"]]

    def _own_colours(self) -> Iterator[tuple[str, str]]:
        """The marking definitions there are, as far as they are of the traffic light protocol."""
        for key, thing in self._objects.items():
            if thing["type"] == "marking-definition":
                definition, name = thing.get("definition"), text_of(thing, "name").lower()
                said = text_of(definition, "tlp") if isinstance(definition, dict) else ""
                named = name.removeprefix("tlp:") if name.startswith("tlp:") else ""
                if key not in TLP and (said or named):
                    yield key, said.lower() or named

    def _counts(self, thing: Stix) -> bool:
        gone = flag_of(thing, "revoked") or flag_of(thing, "x_mitre_deprecated")
        return self.keep_deprecated or not gone

    def _is_document(self, thing: Stix) -> bool:
        kind = thing["type"]
        if kind in _ACCESSORIES or not self._counts(thing):
            return False
        # An address, a place, an organisation: a document if anything is said of it.
        return kind in _DOMAIN_OBJECTS or bool(
            text_of(thing, "description") or self._links.get(thing["id"])
        )

    def _find_tactics(self) -> None:
        for key, thing in self._objects.items():
            if thing["type"] == "x-mitre-tactic" and self._counts(thing):
                for domain in texts_of(thing, "x_mitre_domains") or ["enterprise-attack"]:
                    chain = "mitre-" + domain.removeprefix("enterprise-")
                    self._tactics[chain, text_of(thing, "x_mitre_shortname")] = key

    def _ends(self, key: str, thing: Stix) -> Iterator[tuple[str, str, str]]:
        """Kind, source and target of all that this object links."""
        if thing["type"] == "relationship":
            source, target = text_of(thing, "source_ref"), text_of(thing, "target_ref")
            if source and target:
                yield text_of(thing, "relationship_type") or "related-to", source, target
            return
        if thing["type"] == "sighting":
            yield "sighting", key, text_of(thing, "sighting_of_ref")
            return
        for ref_field, kind in _REFERENCES.items():
            if thing["type"] not in _ACCESSORIES:
                yield from ((kind, key, target) for target in texts_of(thing, ref_field))
        for phase in dicts_of(thing, "kill_chain_phases"):
            told = text_of(phase, "kill_chain_name"), text_of(phase, "phase_name")
            if thing["type"] == "attack-pattern" and told in self._tactics:
                yield "in-tactic", key, self._tactics[told]


def strictest(colours: Iterable[str]) -> str:
    """The strictest of these, or "" where none is known."""
    known = [each for each in colours if each in _STRICTNESS]
    return max(known, key=_STRICTNESS.index, default="")


def _tlp_of(thing: Stix, colours: Mapping[str, str]) -> str:
    refs = texts_of(thing, "object_marking_refs")
    for part in dicts_of(thing, "granular_markings"):
        refs += texts_of(part, "marking_ref")
    return strictest(colours.get(ref, "") for ref in refs)


def _order(thing: Stix) -> tuple[str, str, str, str]:
    return thing["type"], attack_id(thing), name_of(thing), thing["id"]
