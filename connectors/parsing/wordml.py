"""WordprocessingML: a paragraph's text, what its style makes of it, and footnotes."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lxml import etree

from connectors.parsing.office import Package
from connectors.parsing.xmltree import attribute, child, local

__all__ = ["Notes", "Style", "Styles", "paragraph_text"]

_HEADING = re.compile(r"heading ?([1-9])", re.IGNORECASE)
_LIST = re.compile(r"list ?(bullet|number)", re.IGNORECASE)
_DEEPEST = 32  # styles that are based on each other; a ring of them has no end
# Deleted text, text boxes (read as blocks of their own), readings of characters, properties.
_SKIPPED = {"del", "moveFrom", "Fallback", "txbxContent", "rt", "pPr", "rPr", "sdtPr"}
_CHARACTERS = {"tab": " ", "ptab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_NOTES = {"footnoteReference": "footnotes", "endnoteReference": "endnotes"}


@dataclass(frozen=True, slots=True)
class Style:
    """What a paragraph is; level 0 is no heading."""

    level: int = 0
    is_title: bool = False
    is_caption: bool = False
    is_item: bool = False


class Styles:
    """The paragraph styles of a document, by their ids."""

    def __init__(self, package: Package, main: str) -> None:
        part = package.related(main, "styles")
        styles = package.root(part) if part else ()
        self._elements = {attribute(each, "styleId"): each for each in styles}
        self._known: dict[str, Style] = {}

    def of(self, paragraph: etree._Element) -> Style:
        """What a paragraph's style and its own properties make of it."""
        properties = child(paragraph, "pPr")
        name = attribute(child(properties, "pStyle"), "val")
        if name not in self._known:
            self._known[name] = self._style(name)
        return _with(self._known[name], properties)

    def _style(self, name: str) -> Style:
        chain = list[tuple[str, etree._Element | None]]()
        while name and len(chain) < _DEEPEST:
            element = self._elements.get(name)
            # Programs translate the ids of the built-in styles, never their names.
            chain.append((attribute(child(element, "name"), "val") or name, element))
            name = attribute(child(element, "basedOn"), "val")
        style = Style()
        for name, element in reversed(chain):
            style = _with(_named(style, name), child(element, "pPr"))
        return style


def _named(base: Style, name: str) -> Style:
    if found := _HEADING.fullmatch(name):
        return Style(level=int(found[1]))
    if name.lower() == "title":
        return Style(level=1, is_title=True)
    if name.lower() == "caption":
        return Style(is_caption=True)
    return replace(base, is_item=True) if _LIST.match(name) else base


def _with(style: Style, properties: etree._Element | None) -> Style:
    """The style, changed by the properties of a paragraph or of a style based on it."""
    outline = attribute(child(properties, "outlineLvl"), "val")
    if outline.isdecimal() and len(outline) == 1:
        level = (int(outline) + 1) % 10  # 9 is body text
        style = replace(style, level=level, is_title=style.is_title and level == 1)
    numbering = child(properties, "numPr")
    if numbering is not None:
        style = replace(style, is_item=attribute(child(numbering, "numId"), "val") != "0")
    return style


class Notes:
    """The footnotes and endnotes of a document, numbered as they are referred to."""

    def __init__(self, package: Package, main: str) -> None:
        self._texts: dict[tuple[str, str], str] = {}
        self._count = 0
        self._taken: list[str] = []
        for kind in _NOTES.values():
            part = package.related(main, kind)
            for note in package.root(part) if part else ():
                texts = (paragraph_text(each) for each in note.iter("{*}p"))
                text = " ".join(" ".join(texts).split())
                self._texts[kind, attribute(note, "id")] = text

    def mark(self, reference: etree._Element) -> str:
        """What stands in the text for a reference; the note itself is there to be taken."""
        key = _NOTES[local(reference)], attribute(reference, "id")
        text = self._texts.pop(key, "")
        if not text:
            return ""
        self._count += 1
        self._taken.append(f"[{self._count}] {text}")
        return f"[{self._count}]"

    def taken(self) -> list[str]:
        """The notes referred to since this was last asked."""
        taken, self._taken = self._taken, []
        return taken


def paragraph_text(paragraph: etree._Element, notes: Notes | None = None) -> str:
    """The text of a paragraph, its white space collapsed but for line breaks."""
    pieces, stack = list[str](), [paragraph]
    while stack:
        element = stack.pop()
        name = local(element)
        if name == "t":
            pieces.append("".join(element.itertext()))
        elif name in _CHARACTERS:
            pieces.append(_CHARACTERS[name])
        elif name in _NOTES and notes is not None:
            pieces.append(notes.mark(element))
        elif name not in _SKIPPED and not (name == "r" and _is_hidden(element)):
            stack.extend(reversed(element))
    lines = (" ".join(line.split()) for line in "".join(pieces).split("\n"))
    return "\n".join(filter(None, lines))


def _is_hidden(run: etree._Element) -> bool:
    hidden = child(child(run, "rPr"), "vanish")
    return hidden is not None and attribute(hidden, "val") not in {"0", "false", "off"}
