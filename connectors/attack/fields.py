"""What an object of STIX says, field by field; a value of the wrong type says nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = [
    "Stix",
    "attack_id",
    "attack_url",
    "dicts_of",
    "flag_of",
    "instant_of",
    "label_of",
    "name_of",
    "text_of",
    "texts_of",
]

Stix = Mapping[str, Any]
"""One object as JSON has it, less what nobody reads."""

# In this order: what an object without a name is called by.
_NAMES = ("name", "value", "path", "key", "subject", "display_name", "user_id", "account_login")
_LONGEST_NAME = 200
_SURROGATE = re.compile("[\ud800-\udfff]")
_FRACTION = re.compile(r"\.(\d{1,9})\d*")


def text_of(thing: Stix, field: str) -> str:
    """A field that is a string, else ""; halves of surrogate pairs are replaced."""
    value = thing.get(field)
    return _SURROGATE.sub("\ufffd", value).strip() if isinstance(value, str) else ""


def texts_of(thing: Stix, field: str) -> list[str]:
    """The strings of a list, each once, without blank ones; a single string is a list of one."""
    value = thing.get(field)
    if not isinstance(value, list):
        value = [value]
    found = (_SURROGATE.sub("\ufffd", each).strip() for each in value if isinstance(each, str))
    return list(dict.fromkeys(filter(None, found)))


def dicts_of(thing: Stix, field: str) -> list[Stix]:
    """The objects in a list."""
    value = thing.get(field)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def flag_of(thing: Stix, field: str) -> bool:
    """Whether it says true."""
    return thing.get(field) is True


def instant_of(thing: Stix) -> str:
    """When this version was made, so that the later of two is the greater string; "" if unsaid."""
    written = text_of(thing, "modified") or text_of(thing, "created")
    fraction = _FRACTION.search(written)
    return f"{written[:19]}.{fraction[1] if fraction else '':0<9}" if written else ""


def name_of(thing: Stix) -> str:
    """What it is called, on one line and not too long, or ""."""
    found = next(filter(None, (text_of(thing, field) for field in _NAMES)), "")
    line = " ".join(found[: 4 * _LONGEST_NAME].split())
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1]}…"


def attack_id(thing: Stix) -> str:
    """Its id in ATT&CK ("T1566.001"), or ""."""
    return _own_reference(thing, "external_id", 40)


def attack_url(thing: Stix) -> str:
    """Its page at ATT&CK, or ""."""
    url = _own_reference(thing, "url", 300)
    return url if url.startswith(("https://", "http://")) else ""


def label_of(thing: Stix) -> str:
    """As other objects name it: "Spearphishing Attachment (T1566.001)"."""
    name, known_as = name_of(thing) or text_of(thing, "type"), attack_id(thing)
    return f"{name} ({known_as})" if known_as else name


def _own_reference(thing: Stix, field: str, longest: int) -> str:
    for each in dicts_of(thing, "external_references"):
        # "mitre-attack", "mitre-mobile-attack", "mitre-ics-attack"; not "capec", not a citation.
        if re.fullmatch(r"mitre-(?:[a-z]{1,20}-)?attack", text_of(each, "source_name")):
            found = text_of(each, field)
            return found if len(found) <= longest and not re.search(r"\s", found) else ""
    return ""
