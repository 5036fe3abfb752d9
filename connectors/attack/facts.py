"""What is said of an object to filter by, and the fields that need more than reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from connectors.attack.fields import Stix, attack_id, dicts_of, flag_of, name_of, text_of, texts_of
from connectors.attack.graph import Graph, Link, strictest
from connectors.parsing.indicators import find_indicators, indicator_facts

__all__ = ["aliases", "meta", "phases"]

_LONGEST = 1_000  # characters of one fact, which every chunk carries
_MOST_PHASES = 1_000
_OWN_CHAINS = "mitre-"


def meta(thing: Stix, graph: Graph, links: Iterable[Link]) -> dict[str, Any]:
    """Flat facts; those that an object does not say are not there.

    `tlp` is the strictest marking of all that its text tells of, relationships and names included.
    """
    tactics, others = phases(thing)
    values: dict[str, Any] = {
        "attack_id": attack_id(thing),
        "stix_type": thing["type"][:100],
        "tactics": [phase for _, phase in tactics],
        "kill_chain_phases": [phase for _, phase in others],
        "platforms": texts_of(thing, "x_mitre_platforms"),
        "attack_domains": texts_of(thing, "x_mitre_domains"),
        "aliases": aliases(thing),
        "labels": texts_of(thing, "labels"),
        "created": text_of(thing, "created")[:40],
        "modified": text_of(thing, "modified")[:40],
        "version": text_of(thing, "x_mitre_version")[:40],
        "tlp": strictest([graph.tlp(thing), *(link.tlp for link in links)]),
        **_observed(thing),
    }
    confidence = thing.get("confidence")
    if type(confidence) is int and 0 <= confidence <= 100:
        values["confidence"] = confidence
    for name, field in (("revoked", "revoked"), ("deprecated", "x_mitre_deprecated")):
        if flag_of(thing, field):
            values[name] = True
    kept = {name: _bounded(value) for name, value in values.items()}
    return {name: value for name, value in kept.items() if value not in ("", [])}


def aliases(thing: Stix) -> list[str]:
    """What else it is called."""
    found = [*texts_of(thing, "aliases"), *texts_of(thing, "x_mitre_aliases")]
    return [each for each in dict.fromkeys(found) if each != name_of(thing)]


def phases(thing: Stix) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Kill chains and phases of them: ATT&CK's tactics, and others."""
    found = [
        (text_of(each, "kill_chain_name")[:100], text_of(each, "phase_name")[:100])
        for each in dicts_of(thing, "kill_chain_phases")[:_MOST_PHASES]
    ]
    named = [each for each in dict.fromkeys(found) if each[1]]
    own = [each for each in named if each[0].startswith(_OWN_CHAINS)]
    return own, [each for each in named if not each[0].startswith(_OWN_CHAINS)]


def _observed(thing: Stix) -> dict[str, list[str]]:
    """The indicators in what it looks for, or is."""
    said = "pattern" if thing["type"] == "indicator" else "value"
    looked_at = name_of(thing) if thing["type"] == "vulnerability" else text_of(thing, said)
    return indicator_facts(find_indicators(looked_at))


def _bounded(value: Any) -> Any:
    """A list as far as it is short enough."""
    if not isinstance(value, list):
        return value
    kept, room = list[str](), _LONGEST
    for each in value:
        room -= len(each)
        if room < 0:
            break
        kept.append(each)
    return kept
