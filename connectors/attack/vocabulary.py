"""The headings under which fields and relationships stand, in the order in which they do."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["FACTS", "LINKS", "PROSE", "TLP", "link_title"]

FACTS: Mapping[str, tuple[str, ...]] = {
    "Types": (
        "malware_types",
        "tool_types",
        "threat_actor_types",
        "infrastructure_types",
        "indicator_types",
        "report_types",
        "identity_class",
        "x_mitre_tactic_type",
    ),
    "Platforms": ("x_mitre_platforms",),
    "Data sources": ("x_mitre_data_sources",),
    "Permissions required": ("x_mitre_permissions_required",),
    "Effective permissions": ("x_mitre_effective_permissions",),
    "Defenses bypassed": ("x_mitre_defense_bypassed",),
    "System requirements": ("x_mitre_system_requirements",),
    "Impact": ("x_mitre_impact_type",),
    "Sectors": ("sectors", "x_mitre_sectors"),
    "Roles": ("roles",),
    "Goals": ("goals",),
    "Motivation": ("primary_motivation", "secondary_motivations"),
    "Sophistication": ("sophistication",),
    "Resources": ("resource_level",),
    "Languages": ("implementation_languages",),
    "Runs on": ("architecture_execution_envs",),
    "Capabilities": ("capabilities",),
    "Country": ("country",),
    "Region": ("region",),
    "First seen": ("first_seen",),
    "Last seen": ("last_seen",),
    "Published": ("published",),
    "Valid from": ("valid_from",),
    "Valid until": ("valid_until",),
}
"""Heading to the fields whose values stand behind it, on one line."""

PROSE: Mapping[str, str] = {
    "Abstract": "abstract",
    "Content": "content",
    "Opinion": "opinion",
    "Explanation": "explanation",
    "Action": "action",
    "Detection": "x_mitre_detection",
}
"""Heading to the field whose text stands below it."""

# What the source of the relationship says of its target, and the other way round.
_BOTH_WAYS: Mapping[str, tuple[str, str]] = {
    "revoked-by": ("Replaced by", "Replaces"),
    "subtechnique-of": ("Sub-technique of", "Sub-techniques"),
    "in-tactic": ("Tactics", "Techniques"),
    "mitigates": ("Mitigates", "Mitigations"),
    "detects": ("Detects", "Detected by"),
    "data-source": ("Data source", "Data components"),
    "analytics": ("Analytics", "Detection strategies"),
    "attributed-to": ("Attributed to", "Attributed to it"),
    "uses": ("Uses", "Used by"),
    "targets": ("Targets", "Targeted by"),
    "indicates": ("Indicates", "Indicated by"),
    "exploits": ("Exploits", "Exploited by"),
    "delivers": ("Delivers", "Delivered by"),
    "drops": ("Drops", "Dropped by"),
    "downloads": ("Downloads", "Downloaded by"),
    "variant-of": ("Variant of", "Variants"),
    "derived-from": ("Derived from", "Derivatives"),
    "duplicate-of": ("Duplicate of", "Duplicates"),
    "related-to": ("Related to", "Related to"),
    "authored-by": ("Authored by", "Author of"),
    "based-on": ("Based on", "Basis of"),
    "beacons-to": ("Beacons to", "Receives beacons of"),
    "communicates-with": ("Communicates with", "Spoken to by"),
    "compromises": ("Compromises", "Compromised by"),
    "consists-of": ("Consists of", "Part of"),
    "controls": ("Controls", "Controlled by"),
    "exfiltrates-to": ("Exfiltrates to", "Receives data from"),
    "has": ("Has", "Found in"),
    "hosts": ("Hosts", "Hosted by"),
    "impersonates": ("Impersonates", "Impersonated by"),
    "investigates": ("Investigates", "Investigated by"),
    "located-at": ("Located at", "Place of"),
    "originates-from": ("Originates from", "Origin of"),
    "owns": ("Owns", "Owned by"),
    "remediates": ("Remediates", "Remediated by"),
    "sighting": ("Sighting of", "Sightings"),
    "mentions": ("About", "Mentioned in"),
}

LINKS: Mapping[str, int] = {kind: at for at, kind in enumerate(_BOTH_WAYS)}
"""Kinds of links there are words for, to their place in a document; others follow."""

TLP: Mapping[str, str] = {
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "white",
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "green",
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "amber",
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "red",
    "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": "clear",
    "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "green",
    "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "amber",
    "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "amber+strict",
    "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": "red",
}
"""The marking definitions of TLP 1 and 2, which a bundle refers to without having them."""


def link_title(kind: str, forward: bool) -> str:
    """The heading of links of this kind, as seen from their source, or from their target.

    >>> link_title("uses", False), link_title("pays-for", True), link_title("pays-for", False)
    ('Used by', 'Pays for', 'Pays for (the other way round)')
    """
    if kind in _BOTH_WAYS:
        return _BOTH_WAYS[kind][not forward]
    words = " ".join(kind.replace("-", " ").replace("_", " ").split())[:60].capitalize()
    return words if forward else f"{words} (the other way round)"
