"""PresentationML: the shapes of a slide in the order they are read, and their text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lxml import etree

from connectors.parsing.office import Package
from connectors.parsing.wordml import paragraph_text
from connectors.parsing.xmltree import local

__all__ = ["Layouts", "Place", "Places", "in_order", "is_body", "is_title", "lines_of"]

Place = tuple[float, int]
"""How far down, in steps of `_LEVEL`, and how far right, in units."""

Places = Mapping[str, Place]
"""Where placeholders stand that say so nowhere themselves, by their index and by their kind."""

_LEVEL = 91_440  # units (a tenth of an inch): shapes that start this close stand side by side
_FURNITURE = {"dt", "ftr", "hdr", "sldNum", "sldImg"}
_TITLES = {"title", "ctrTitle"}
_SHAPES = {"sp", "graphicFrame", "grpSp"}
_OFFSETS = ("{*}spPr/{*}xfrm/{*}off", "{*}xfrm/{*}off", "{*}grpSpPr/{*}xfrm/{*}off")
_FARTHEST = 10  # digits of a coordinate


class Layouts:
    """Where the layouts and masters of a presentation put their placeholders."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._known: dict[str, Places] = {"": {}}

    def places(self, slide: str) -> Places:
        """The places for the placeholders of a slide."""
        layout = self._package.related(slide, "slideLayout")
        if layout not in self._known:
            master = self._package.related(layout, "slideMaster")
            places = self._own(master, {}) if master else {}
            self._known[layout] = self._own(layout, places)
        return self._known[layout]

    def _own(self, part: str, inherited: Places) -> Places:
        places = dict(inherited)
        for shape in self._package.root(part).iter("{*}sp"):
            placeholder = _placeholder(shape)
            if placeholder is not None and (place := _place(shape, inherited)) is not None:
                places[f"#{placeholder.get('idx', '0')}"] = place
                places.setdefault(_kind(shape), place)
        return places


def in_order(slide: etree._Element, places: Places) -> Iterator[etree._Element]:
    """The shapes with text or tables: the title, then from top to bottom and from left to right.

    Shapes in a group stay together. Footers, dates and slide numbers are left out.
    """
    # On a stack of its own: groups nest deeper than Python recurses.
    stack = [tree for tree in slide.iterfind("{*}cSld/{*}spTree")]
    while stack:
        element = stack.pop()
        if local(element) in {"spTree", "grpSp"}:
            inside = sorted(_shapes(element), key=lambda shape: _rank(shape, places))
            stack.extend(reversed(inside))
        elif _kind(element) not in _FURNITURE:
            yield element


def is_title(shape: etree._Element) -> bool:
    """Whether it is the placeholder of a slide's title."""
    return _kind(shape) in _TITLES


def is_body(shape: etree._Element) -> bool:
    """Whether it is the placeholder of a page's text."""
    return _kind(shape) == "body"


def lines_of(shape: etree._Element) -> list[str]:
    """The lines of a shape's or a cell's text, without blank ones."""
    paragraphs = shape.iterfind("{*}txBody/{*}p")
    return [line for each in paragraphs for line in paragraph_text(each).split("\n") if line]


def _shapes(tree: etree._Element) -> Iterator[etree._Element]:
    for element in tree:
        if local(element) == "AlternateContent":
            # The other choices say the same for older programs.
            yield from (each for each in (element[:1] or [element])[0] if local(each) in _SHAPES)
        elif local(element) in _SHAPES:
            yield element


def _rank(shape: etree._Element, places: Places) -> tuple[bool, Place]:
    return not is_title(shape), _place(shape, places) or (0, 0)


def _place(shape: etree._Element, places: Places) -> Place | None:
    offset = next((found for path in _OFFSETS for found in shape.iterfind(path)), None)
    if offset is not None:
        return round(_number(offset.get("y")) / _LEVEL), _number(offset.get("x"))
    placeholder = _placeholder(shape)
    if placeholder is None:
        return None
    kind = _kind(shape)
    return places.get(f"#{placeholder.get('idx', '0')}") or places.get(kind) or places.get("body")


def _number(digits: str | None) -> int:
    return int(digits) if digits and len(digits) <= _FARTHEST and digits.isdecimal() else 0


def _placeholder(shape: etree._Element) -> etree._Element | None:
    return next(shape.iterfind("*/{*}nvPr/{*}ph"), None)


def _kind(shape: etree._Element) -> str:
    placeholder = _placeholder(shape)
    return "" if placeholder is None else str(placeholder.get("type", "obj"))
