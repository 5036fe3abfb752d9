"""An object of STIX as a document: prose, facts, and how it stands to others."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from connectors.attack.facts import aliases, meta, phases
from connectors.attack.fields import (
    Stix,
    attack_id,
    dicts_of,
    name_of,
    text_of,
    texts_of,
)
from connectors.attack.graph import Graph, Link
from connectors.attack.prose import one_line, plain
from connectors.attack.vocabulary import FACTS, LINKS, PROSE, link_title
from connectors.parsing.base import Heading, Parsed, nest
from connectors.parsing.writer import TextWriter
from rag.errors import DocumentError
from rag.spans import Span
from rag.types import Section

__all__ = ["VERSION", "render"]

VERSION = "stix-1"

_LONGEST_PROSE = 500_000  # characters of one field
_LONGEST_ITEM = 2_000  # of what one relationship says
_MOST_ITEMS = 2_000  # of one list
_MOST_REFERENCES = 100
# Only days are shown: the hours of such dates are made up, or nobody's concern.
_INSTANT = re.compile(r"\A(\d{4}-\d\d-\d\d)T[\d:.]{1,20}Z?\Z")


class _Page:
    """Text that is being written, and its map."""

    def __init__(self, title: str) -> None:
        self._writer = TextWriter()
        self._headings = [Heading(self._writer.line(title, gap=2), 1, title)]
        self._lists: list[Section] = []

    def fact(self, title: str, values: Sequence[str]) -> None:
        """One line, "Title: value, value"; it is a section of its own."""
        if values:
            line = one_line(", ".join(values[:_MOST_ITEMS]), 10 * _LONGEST_ITEM)
            self._headings.append(Heading(self._writer.line(f"{title}: {line}"), 2, title))

    def prose(self, title: str, text: str) -> None:
        """Paragraphs under a heading; under that of the whole where it is ""."""
        if text:
            self._heading(title)
            self._writer.line(text, gap=2)

    def items(self, title: str, items: Sequence[str], most: int = _MOST_ITEMS) -> None:
        """A list under a heading."""
        if not items:
            return
        self._heading(title)
        lines = [f"- {item}" for item in items[:most]]
        if len(items) > most:
            lines.append(f"- and {len(items) - most:,} more")
        text = "\n".join(lines)
        start = self._writer.line(text, gap=2)
        self._lists.append(Section(Span(start, start + len(text)), "", 3, "list"))

    def parsed(self, title: str, meta: dict[str, Any]) -> Parsed:
        """The document."""
        text = self._writer.text
        found = [*nest(self._headings, len(text)), *self._lists]
        found.sort(key=lambda each: (each.span.start, each.level))
        return Parsed(text, title=title, sections=tuple(found), meta=meta)

    def _heading(self, title: str) -> None:
        if title:
            self._headings.append(Heading(self._writer.line(title, gap=2), 2, title))


def render(thing: Stix, graph: Graph) -> Parsed:
    """The document of one object of the graph.

    First its name, after its ATT&CK id, and its description; then a line for each fact; then
    longer texts, what it is linked to, each other end by its name, and references. Every
    heading and every such line begins a section.

    Raises:
        DocumentError: it says nothing, or a text of it is too long.
    """
    name = name_of(thing)
    title = f"{attack_id(thing)} {name}".strip() or _of_kind(thing)
    links = graph.links(thing["id"])
    page = _Page(title)
    description = _prose(thing, "description")
    page.prose("", description)
    _write_facts(page, thing, graph, title, described=bool(description))
    page.prose("Pattern", _checked(text_of(thing, "pattern"), "pattern"))
    for heading, field in PROSE.items():
        page.prose(heading, _prose(thing, field))
    _write_logs(page, thing, graph)
    _write_links(page, links, graph)
    page.items("References", _references(thing), _MOST_REFERENCES)
    return page.parsed(title, meta(thing, graph, links))


def _write_facts(page: _Page, thing: Stix, graph: Graph, title: str, *, described: bool) -> None:
    if not described:
        page.fact("Type", [thing["type"][:100]])
    page.fact("Aliases", [each for each in aliases(thing) if each != title])
    tactics, others = phases(thing)
    page.fact("Tactics", [graph.tactic_label(*each) for each in tactics])
    page.fact("Kill chain phases", [f"{phase} ({chain})" for chain, phase in others])
    for heading, fields in FACTS.items():
        said = (value for field in fields for value in texts_of(thing, field))
        page.fact(heading, [_INSTANT.sub(r"\1", value) for value in said])
    for kind, value in _hashes(thing):
        page.fact(f"{kind} hash", [value])


def _write_logs(page: _Page, thing: Stix, graph: Graph) -> None:
    logs = []
    for field in ("x_mitre_log_sources", "x_mitre_log_source_references"):
        for each in dicts_of(thing, field):
            known = graph.names(each, "x_mitre_data_component_ref")
            parts = [text_of(each, "name"), text_of(each, "channel"), *known]
            logs.append(one_line(": ".join(filter(None, parts)), _LONGEST_ITEM))
    page.items("Log sources", [each for each in logs if each])
    tunable = dicts_of(thing, "x_mitre_mutable_elements")
    said = [f"{text_of(each, 'field')}: {text_of(each, 'description')}" for each in tunable]
    page.items("Tunable", [one_line(each, _LONGEST_ITEM) for each in said])


def _write_links(page: _Page, links: Iterable[Link], graph: Graph) -> None:
    grouped: dict[tuple[int, str, bool], list[Link]] = defaultdict(list)
    for link in links:
        grouped[LINKS.get(link.kind, len(LINKS)), link.kind, not link.forward].append(link)
    for _, kind, backward in sorted(grouped):
        found = grouped[_place(kind), kind, backward]
        lines = [_item(each, graph) for each in sorted(found, key=lambda link: link.order)]
        page.items(link_title(kind, not backward), [line for line in lines if line])


def _place(kind: str) -> int:
    return LINKS.get(kind, len(LINKS))


def _item(link: Link, graph: Graph) -> str:
    """Who is at the other end, and what is said of it; "" where neither is known."""
    if link.kind == "sighting":
        return _sighting(link.said, graph)
    of_relationship = link.said["type"] == "relationship"
    said = one_line(text_of(link.said, "description"), _LONGEST_ITEM) if of_relationship else ""
    return ": ".join(filter(None, (link.other, said)))


def _sighting(said: Stix, graph: Graph) -> str:
    count = said.get("count")
    seen = [_INSTANT.sub(r"\1", text_of(said, field))[:40] for field in ("first_seen", "last_seen")]
    parts = [
        f"{count} times" if type(count) is int and 0 <= count < 10**9 else "seen",
        " to ".join(filter(None, dict.fromkeys(seen))),
        f"by {', '.join(names[:20])}" if (names := graph.names(said, "where_sighted_refs")) else "",
        one_line(text_of(said, "description"), _LONGEST_ITEM),
    ]
    return ", ".join(filter(None, parts))


def _references(thing: Stix) -> list[str]:
    """What is cited: name, work and address. Not its own page, and not the notes on aliases."""
    found = []
    for each in dicts_of(thing, "external_references"):
        url, known_as = text_of(each, "url"), text_of(each, "external_id")
        said = text_of(each, "description")
        is_own = known_as and known_as == attack_id(thing)
        if not is_own and (url or known_as or not said.startswith("(Citation:")):
            name = " ".join(filter(None, (text_of(each, "source_name"), known_as)))
            work = " ".join(filter(None, (said, url)))
            found.append(one_line(": ".join(filter(None, (name, work))), 1_000))
    return [each for each in found if each]


def _of_kind(thing: Stix) -> str:
    """What to call an object without a name: by what it says, or that it says nothing."""
    for field in ("pattern", "abstract", "content", "opinion", "explanation", "description"):
        if said := one_line(text_of(thing, field), 80):
            return f"{thing['type'][:100]}: {said}"
    for kind, value in _hashes(thing):
        return f"{kind} {value}"
    raise DocumentError("says nothing: neither a name nor a text")


def _hashes(thing: Stix) -> list[tuple[str, str]]:
    found = thing.get("hashes")
    known = found if isinstance(found, dict) else {}
    said = [(kind[:40], text_of(known, kind)[:200]) for kind in [*known][:20] if kind.isprintable()]
    return [each for each in said if each[1]]


def _prose(thing: Stix, field: str) -> str:
    return plain(_checked(text_of(thing, field), field))


def _checked(text: str, field: str) -> str:
    if len(text) > _LONGEST_PROSE:
        raise DocumentError(f"{field} too long: over {_LONGEST_PROSE:,} characters")
    return text
