"""STIX as JSON: bundles, envelopes of TAXII, lists, or one object; read without trust."""

from __future__ import annotations

import json
from typing import Any

from connectors.attack.fields import Stix
from connectors.parsing.text import decode
from rag.errors import DocumentError

__all__ = ["Bundle", "read_bundle"]

_LONGEST_ID = 200
# All that is rendered, or leads to what is. Pictures, extensions and the like are let go while
# the JSON is read, so that a bundle is never held whole as objects.
_KEPT = frozenset(
    """
    type id created modified revoked name description objects more next
    confidence labels aliases kill_chain_phases external_references
    object_marking_refs granular_markings definition
    relationship_type source_ref target_ref object_refs
    sighting_of_ref where_sighted_refs count first_seen last_seen
    pattern pattern_type valid_from valid_until published abstract content explanation opinion
    context value path key subject display_name user_id account_login hashes
    malware_types tool_types threat_actor_types infrastructure_types indicator_types report_types
    identity_class sectors roles goals sophistication resource_level primary_motivation
    secondary_motivations implementation_languages architecture_execution_envs capabilities
    country region action
    x_mitre_aliases x_mitre_deprecated x_mitre_version x_mitre_domains x_mitre_platforms
    x_mitre_shortname x_mitre_detection x_mitre_data_sources x_mitre_permissions_required
    x_mitre_effective_permissions x_mitre_defense_bypassed x_mitre_system_requirements
    x_mitre_impact_type x_mitre_tactic_type x_mitre_sectors x_mitre_data_source_ref
    x_mitre_analytic_refs x_mitre_log_sources x_mitre_log_source_references
    x_mitre_mutable_elements
    """.split()
)


class Bundle:
    """The objects of one file or answer, and how many of them nobody can name.

    Args:
        content: the JSON as it was read.
    """

    def __init__(self, content: Any) -> None:
        whole = content if isinstance(content, dict) else {}
        self.is_empty = isinstance(content, dict) and whole.keys() <= {"more", "next"}
        nothing_in_it = self.is_empty or whole.get("type") == "bundle"
        found = whole.get("objects", [] if nothing_in_it else None)
        if found is None:
            found = content if isinstance(content, list) else [content]
        things = found if isinstance(found, list) else []
        self.objects: list[Stix] = [each for each in things if _is_object(each)]
        self.nameless = len(things) - len(self.objects)
        self.more = whole.get("more") is True
        self.next = whole["next"] if isinstance(whole.get("next"), str) else ""
        self.is_stix = isinstance(found, list) and (not things or bool(self.objects))


def read_bundle(data: bytes, *, enveloped: bool = False) -> Bundle:
    """The objects in a JSON text, whichever way they are wrapped.

    Args:
        data: the text.
        enveloped: whether it comes from a TAXII server, whose "{}" says that there are none.

    Raises:
        DocumentError: it is not JSON, or holds no STIX.
    """
    if not data.strip():
        raise DocumentError("empty: not a STIX bundle")
    try:
        bundle = Bundle(json.loads(decode(data), object_hook=_trim))
    except json.JSONDecodeError as error:
        raise DocumentError(f"not JSON: {error.msg} at character {error.pos + 1}") from error
    except (ValueError, RecursionError) as error:  # endless digits, endless nesting
        raise DocumentError(f"not JSON: {error}") from error
    if not (enveloped if bundle.is_empty else bundle.is_stix):
        raise DocumentError("not STIX: no object in it has a type and an id")
    return bundle


def _trim(thing: dict[str, Any]) -> dict[str, Any]:
    """An object without what nobody reads; what is inside one stays as it is."""
    if "type" not in thing or "id" not in thing:
        return thing
    kept = {name: value for name, value in thing.items() if name in _KEPT}
    if kept["type"] != "bundle":
        kept.pop("objects", None)  # what STIX 2.0 has in observed-data
    return kept


def _is_object(thing: Any) -> bool:
    if not isinstance(thing, dict):
        return False
    return _is_word(thing.get("id")) and _is_word(thing.get("type")) and thing["type"] != "bundle"


def _is_word(said: Any) -> bool:
    return isinstance(said, str) and 0 < len(said) <= _LONGEST_ID and said.isprintable()
