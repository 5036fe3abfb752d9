"""What Word, PowerPoint and Excel files have in common: parts, relations, core properties."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from xml.parsers import expat
from zipfile import ZipFile

from lxml import etree

from connectors.parsing.xmltree import local, read_xml
from connectors.parsing.zipped import Zipped, mistaken
from rag.errors import DocumentError

__all__ = ["Limits", "Package"]

_FACTS = {"creator": "author", "subject": "subject", "keywords": "keywords"}
_FACTS |= {"category": "category", "language": "language"}
_FACTS |= {"created": "created", "modified": "modified"}
_LONGEST_FACT = 1_000  # characters
_READINGS, _SPARE = 4, 2**20  # times a package may be read, and bytes besides


@dataclass(frozen=True, slots=True)
class Limits:
    """How much XML a package may hold: bytes, and opening or closing tags, which cost memory."""

    most_bytes: int
    most_tags: int


class Package:
    """The XML parts of an Office file, by name, all read and checked.

    No part declares a DTD (the format forbids it), so there are no entities to explode or to
    fetch; pictures, macros and embedded files are not kept.

    Args:
        data: the file.
        what: what it should be ("Word document"), for errors.
        main: what the content type of its main part holds ("wordprocessingml").
        limits: how much XML there may be.

    Raises:
        DocumentError: it is something else, damaged, encrypted, or beyond a limit.
    """

    def __init__(self, data: bytes, what: str, main: str, limits: Limits) -> None:
        self._what = what
        archive = Zipped(data, what, most=limits.most_bytes)
        self._parts: dict[str, bytes] = {}
        tags = 0
        for name in archive.names:
            is_xml = _is_xml(archive.head(name), name)
            part = archive.read(name) if is_xml else b""
            tags += part.count(b"<")
            if tags > limits.most_tags:
                raise DocumentError(f"{what} too large: over {limits.most_tags:,} XML tags")
            self._parts[name] = part
        types = self._parts.get("[Content_Types].xml", b"").replace(b"\0", b"")
        if main.encode() not in types:
            raise mistaken(what, "a zip archive of something else")

    @property
    def parts(self) -> Mapping[str, bytes]:
        """The XML of each part; b"" for what is not XML."""
        return self._parts

    def relations(self, part: str) -> dict[str, tuple[str, str]]:
        """What `part` ("" is the whole package) refers to, by id: its kind and its name."""
        folder, base = posixpath.split(part)
        relations = posixpath.join(folder, "_rels", f"{base}.rels")
        found = {}
        for relation in self.root(relations) if self._parts.get(relations) else ():
            if relation.get("TargetMode") != "External":
                kind = relation.get("Type", "").rpartition("/")[2]
                target = posixpath.join("/", folder, relation.get("Target", ""))
                name = posixpath.normpath(target).lstrip("/")
                found[relation.get("Id", "")] = kind, name
        return found

    def related(self, part: str, kind: str) -> str:
        """The part that `part` names as its `kind`; "" if there is none."""
        named = (name for its_kind, name in self.relations(part).values() if its_kind == kind)
        return next((name for name in named if self._parts.get(name)), "")

    def root(self, part: str) -> etree._Element:
        """The tree of a part.

        Raises:
            DocumentError: it is not there or not well-formed.
        """
        xml = self._parts.get(part)
        if not xml:
            raise DocumentError(f"damaged {self._what}: its main part is missing")
        try:
            return read_xml(xml, huge=True)
        except etree.XMLSyntaxError as error:
            raise DocumentError(f"damaged {self._what}: {part!r}: {error.msg}") from error

    def title_and_facts(self) -> tuple[str, dict[str, Any]]:
        """The title that the properties give, or "", and what else they say, as text."""
        part = self.related("", "core-properties")
        values = {}
        for element in self.root(part) if part else ():
            values[local(element)] = " ".join("".join(element.itertext()).split())
        facts = {
            fact: values[name]
            for name, fact in _FACTS.items()
            if 0 < len(values.get(name, "")) <= _LONGEST_FACT
        }
        title = values.get("title", "")
        return title if len(title) <= _LONGEST_FACT else "", facts

    def repacked(self) -> BytesIO:
        """The package as an honest zip archive, for a library; what is not XML is empty in it.

        Reading from it raises `DocumentError` where parts are read again and again: a workbook
        may name one part as each of a million sheets.
        """
        packed = BytesIO()
        with ZipFile(packed, "w") as archive:
            for name, part in self._parts.items():
                archive.writestr(name, part)
        return _Metered(packed.getvalue(), self._what)


class _Metered(BytesIO):
    """Bytes that can be read a few times over, and no more."""

    def __init__(self, data: bytes, what: str) -> None:
        super().__init__(data)
        self._what = what
        self._left = _READINGS * len(data) + _SPARE

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(size)
        self._left -= len(block)
        if self._left < 0:
            raise DocumentError(f"damaged {self._what}: its parts are named over and over")
        return block


class _Started(Exception):
    """The first element begins: what precedes it declares no DTD."""


def _is_xml(head: bytes, name: str) -> bool:
    """Whether it begins as XML does, as far as the first element.

    Raises:
        DocumentError: it declares a DTD.
    """

    def refuse(*_: object) -> None:
        raise DocumentError(f"refused: {name!r} declares a DTD, which Office files never do")

    def start(*_: object) -> None:
        raise _Started

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    try:
        parser.Parse(head, False)
    except _Started:
        return True
    except (expat.ExpatError, LookupError, ValueError):
        return False  # a picture, a font; an encoding that no Office file has
    return False
