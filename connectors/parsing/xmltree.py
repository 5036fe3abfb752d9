"""XML by strangers, as a tree."""

from __future__ import annotations

from lxml import etree

__all__ = ["attribute", "child", "local", "read_xml"]


def read_xml(xml: bytes, *, huge: bool = False) -> etree._Element:
    """Parse XML that may be hostile: entities stay unresolved, nothing is fetched.

    Args:
        xml: the document.
        huge: lift libxml2's limits (10 MB for one stretch of text, and how far entities in
            attributes may grow); only for bounded XML that is known to declare no DTD.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=huge,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    return etree.fromstring(xml, parser)


def local(element: etree._Element) -> str:
    """The element's name without its namespace: strict and transitional files differ in those."""
    return str(element.tag).rpartition("}")[2]


def child(element: etree._Element | None, name: str) -> etree._Element | None:
    """The first child of that name, whatever its namespace."""
    if element is None:
        return None
    return next((each for each in element if local(each) == name), None)


def attribute(element: etree._Element | None, name: str) -> str:
    """The value of an attribute, whatever its namespace; "" where there is none."""
    if element is None:
        return ""
    found = (value for key, value in element.items() if key.rpartition("}")[2] == name)
    return str(next(found, ""))
