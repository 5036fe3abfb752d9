"""The markup inside a title or an abstract, as the characters a reader would type.

Italics and the like are dropped, super- and subscripts put on the line, as PubMed's own plain text
does: "CD4<sup>+</sup>" is "CD4+", "H<sub>2</sub>O" is "H2O". Only where digits would run together
into another number are they kept apart: "10<sup>3</sup>" is "10^3". Formulas in MathML are treated
the same.
"""

from __future__ import annotations

import re

from lxml import etree

__all__ = ["flat_text"]

_MARKS = {"sup": "^", "sub": "_"}
_NUMBER = re.compile(r"[-+\u2212\u2013]?\d")
# An underlined sign of comparison is how typesetters without "less or equal" wrote it.
_UNDERLINED = {"<": "\u2264", ">": "\u2265"}
_TOKENS = {"mi", "mn", "mo", "ms", "mtext", "mspace"}
_SPACES = {"mtext", "mspace"}
_UNSEEN = {"annotation", "annotation-xml", "mphantom"}


def flat_text(element: etree._Element | None) -> str:
    """What an element says, on one line; "" where there is none."""
    if element is None:
        return ""
    pieces: list[str] = []
    _write(element, pieces)
    return " ".join("".join(pieces).split())


def _write(element: etree._Element, pieces: list[str]) -> None:
    """Add what stands in `element`; never deeper than the parser lets elements nest (256)."""
    _add(element.text, pieces)
    for child in element:
        name = _name(child)
        if name == "math":
            _add(_formula(child), pieces)
        elif name in _MARKS:
            before = pieces[-1] if pieces else ""
            _add(_script(before, flat_text(child), _MARKS[name]), pieces)
        elif name == "u":
            said = flat_text(child)
            _add(_UNDERLINED.get(said, said), pieces)
        elif name:
            _write(child, pieces)
        _add(child.tail, pieces)


def _add(text: str | None, pieces: list[str]) -> None:
    if text:
        pieces.append(text)


def _name(element: etree._Element) -> str:
    """Its name without a namespace; "" for an entity that is not expanded."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _script(before: str, script: str, mark: str) -> str:
    apart = before[-1:].isdigit() and _NUMBER.match(script)
    return f"{mark}{script}" if apart else script


def _formula(element: etree._Element) -> str:
    name = _name(element)
    if name in _UNSEEN:
        return ""
    if name in _TOKENS:
        said = " ".join("".join(element.itertext()).split())
        return said or (" " if name in _SPACES else "")
    if name == "mmultiscripts":
        return _multiscripts(element)
    parts = [_formula(child) for child in element if _name(child)]
    if name == "mfenced":
        return f"({','.join(parts)})"
    if name == "msqrt":
        return f"\u221a{_grouped(''.join(parts))}"
    if name == "mfrac":
        return "/".join(map(_grouped, parts))
    return _scripted(name, parts)


def _scripted(name: str, parts: list[str]) -> str:
    base, scripts = "".join(parts[:1]), parts[1:]
    if name in ("msub", "msup"):
        return base + "".join(_script(base, each, _MARKS[name[1:]]) for each in scripts)
    if name == "msubsup" and len(scripts) == 2:
        low = base + _script(base, scripts[0], "_")
        return low + _script(low, scripts[1], "^")
    if name in ("mover", "munder", "munderover"):
        # A dot or a bar over a letter: who looks for it types the letter alone.
        return base + "".join(each for each in scripts if any(map(str.isalnum, each)))
    return "".join(parts)


def _multiscripts(element: etree._Element) -> str:
    """A base and what stands around it; isotopes are written so: 129Xe."""
    before, behind = "", ""
    in_front = False
    for child in list(element)[1:]:
        in_front = in_front or _name(child) == "mprescripts"
        said = _formula(child) if _name(child) else ""
        before, behind = (before + said, behind) if in_front else (before, behind + said)
    base = "".join(_formula(child) for child in element[:1] if _name(child))
    return before + base + _script(base, behind, "^")


def _grouped(said: str) -> str:
    return said if said.isalnum() else f"({said})"
