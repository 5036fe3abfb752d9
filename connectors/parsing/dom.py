"""What a reader of a web page sees of its tree, walked without recursion."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from bs4.element import NavigableString, PageElement, PreformattedString, Tag

__all__ = [
    "BLOCKS",
    "HEADINGS",
    "flat_text",
    "holds",
    "is_shown",
    "raw_text",
    "shown_text",
    "visible",
]

_UNSEEN = {"script", "style", "noscript", "template", "nav", "head", "svg", "iframe", "object"}
_UNSEEN |= {"audio", "video", "canvas", "select", "ix:header"}
_UNSEEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
# Zero-width space, soft hyphen, stray byte order mark: hints to a renderer, not text.
_RENDERING = {0x200B: None, 0x00AD: None, 0xFEFF: None}

_BLOCKS = """
address article aside blockquote body br caption center dd details dialog div dl dt fieldset
figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr html legend li main ol p pre section
summary table tbody td tfoot th thead tr ul
"""
BLOCKS = frozenset(_BLOCKS.split())
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_NEWLINE = NavigableString("\n")


def is_shown(tag: Tag) -> bool:
    """Whether the element is for readers: no script, no navigation, not hidden."""
    if tag.name in _UNSEEN or tag.has_attr("hidden"):
        return False
    style = tag.get("style")
    return style is None or not _UNSEEN_STYLE.search(str(style))


def shown_text(node: PageElement) -> str:
    """A string's text; "" for a tag, a comment, a declaration."""
    if isinstance(node, NavigableString) and not isinstance(node, PreformattedString):
        return str(node).translate(_RENDERING)
    return ""


def visible(root: Tag) -> Iterator[PageElement]:
    """`root` and what is shown below it, in reading order; a newline parts blocks from the rest."""
    stack: list[PageElement] = [root]
    while stack:
        node = stack.pop()
        if not isinstance(node, Tag):
            yield node
        elif is_shown(node):
            if node.name in BLOCKS:
                stack.append(_NEWLINE)
                if node.name != "br":
                    yield _NEWLINE
            yield node
            stack.extend(reversed(node.contents))


def holds(root: Tag, names: Container[str]) -> bool:
    """Whether an element of one of `names` is shown somewhere below `root`."""
    below = (node for node in visible(root) if isinstance(node, Tag) and node is not root)
    return any(tag.name in names for tag in below)


def raw_text(root: Tag) -> str:
    """All that is shown of an element, white space as it stands."""
    return "".join(map(shown_text, visible(root)))


def flat_text(root: Tag) -> str:
    """All that is shown of an element, on one line."""
    return " ".join(raw_text(root).split())
