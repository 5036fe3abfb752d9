"""The prose of ATT&CK, which is Markdown with citations, as plain text that reads well."""

from __future__ import annotations

import html
import re

__all__ = ["one_line", "plain"]

# A name may hold one pair of brackets; no repetition here can run over another's ground.
_CITATIONS = re.compile(
    r"[ \t]{0,20}\(Citation: ?((?:[^()\n]|\([^()\n]{0,100}\)){1,300})\)", re.IGNORECASE
)
_LINK = re.compile(r"\[([^\[\]\n]{1,300})\]\((https?://[^\s()]{1,600}(?:\([^\s()]{0,100}\))?)\)")
_CODE = re.compile(r"</?code>", re.IGNORECASE)
_BREAK = re.compile(r"<br ?/?>", re.IGNORECASE)
_OWN_PAGES = "https://attack.mitre.org/"


def plain(text: str) -> str:
    """The same words without markup.

    A citation "(Citation: Name)" becomes " [Name]", as the references list it; a link to ATT&CK
    itself its words, any other its words and address; code is put in backticks; HTML entities are
    characters. Line ends stay, but no more than one blank line in a row.

    >>> plain("[WIRTE](https://attack.mitre.org/groups/G0090) ran <code>x</code>.(Citation: Lab52)")
    'WIRTE ran `x`. [Lab52]'
    """
    text = _CITATIONS.sub(r" [\1]", text)
    text = _LINK.sub(_words_of_link, text)
    text = html.unescape(_BREAK.sub("\n", _CODE.sub("`", text)))
    lines: list[str] = []
    for line in map(str.rstrip, text.splitlines()):
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines).strip()


def one_line(text: str, longest: int) -> str:
    """The same on one line, cut after a word where it is too long."""
    line = " ".join(plain(text[: 4 * longest]).split())
    if len(line) <= longest:
        return line
    cut = line[:longest]
    return f"{cut[: cut.rfind(' ')] if ' ' in cut else cut} […]"


def _words_of_link(link: re.Match[str]) -> str:
    words, address = link[1], link[2]
    return words if address.startswith(_OWN_PAGES) or address == words else f"{words} ({address})"
