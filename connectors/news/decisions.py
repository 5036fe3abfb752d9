"""Whom a headline is about, and how it sounds for them, as facts to filter by."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from rag.errors import DocumentError

__all__ = ["read_date", "read_decisions"]

_POLARITIES = ("positive", "negative", "neutral")
_QUOTED = r"""(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')"""
# By hand and not with `ast`, whose compiler nested rubbish can bring down.
_PAIR = re.compile(rf"\s*{_QUOTED}\s*:\s*{_QUOTED}\s*(?:,|$)", re.DOTALL)


def read_decisions(written: str) -> dict[str, list[str]]:
    """The entities of a headline, and those for whom it is good, bad or neither.

    Args:
        written: a JSON object, the same as Python prints it, or a JSON list of names.

    Raises:
        DocumentError: it is none of these.

    >>> read_decisions("{'Reliance': 'positive', 'TCS': 'neutral'}")
    {'entities': ['Reliance', 'TCS'], 'positive': ['Reliance'], 'neutral': ['TCS']}
    """
    if not written.strip():
        return {}
    said = _object(written.strip())
    found = {"entities": list(said)}
    for polarity in _POLARITIES:
        found[polarity] = [name for name, how in said.items() if how.strip().lower() == polarity]
    return {name: names for name, names in found.items() if names}


def read_date(written: str) -> dict[str, str | int]:
    """When something was published, and the year; nothing where no date can be made of it.

    >>> read_date("2021-06-22")
    {'published': '2021-06-22', 'year': 2021}
    """
    day = written.strip()
    with suppress(ValueError):
        return {"published": day, "year": datetime.fromisoformat(day).year}
    with suppress(ValueError):
        found = parsedate_to_datetime(day)
        return {"published": found.isoformat(), "year": found.year}
    return {}


def _object(written: str) -> dict[str, str]:
    said: Any = None
    with suppress(ValueError, RecursionError):
        said = json.loads(written)
    if said is None:
        said = _pairs(written)
    if isinstance(said, list):
        said = dict.fromkeys(said, "") if all(isinstance(name, str) for name in said) else None
    if isinstance(said, dict) and all(isinstance(how, str) for how in said.values()):
        return said
    raise DocumentError(
        "entities are not an object of names and sentiments",
        hint='write {"Reliance": "positive"}, or name another column: #entities=...',
    )


def _pairs(written: str) -> dict[str, str] | None:
    """A dictionary as Python prints it, of strings only."""
    if not (written.startswith("{") and written.endswith("}")):
        return None
    inner, said, at = written[1:-1].strip(), dict[str, str](), 0
    while at < len(inner):
        pair = _PAIR.match(inner, at)
        if pair is None:
            return None
        name, how = pair[1] or pair[2] or "", pair[3] or pair[4] or ""
        said[re.sub(r"\\(.)", r"\1", name)] = how
        at = pair.end()
    return said
