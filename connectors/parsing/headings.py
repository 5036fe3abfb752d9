"""What a page is headed with, where a text has pages and no map of its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from rag.spans import Span
from rag.types import Section

__all__ = ["page_sections"]

_DEPTH = 8  # lines from the top of a page that are looked at
_MOST = 3  # lines of a heading
_WIDEST = 80  # characters of a line that may be a heading,
_WIDEST_SENTENCE = 40  # and of one that ends like a sentence ("Item 5.02.", "Acme, Inc.")
_FEWEST_LETTERS = 4  # fewer are a page number
_FEWEST_PAGES = 4  # fewer pages than that repeat a line by chance
_FURNITURE = 4  # a line on one page in so many heads none of them


def page_sections(text: str, pages: Sequence[int]) -> tuple[Section, ...]:
    r"""A section for each page that begins with a heading, titled with it.

    A table that fills a page says what it is in its first lines alone; a chunk out of its middle
    has to be told. Lines that differ in numbers only and stand on a quarter of all pages are
    furniture.

    >>> text = "Acme, Inc.\nBalance Sheet\nAt year's end\n\fand so we said that it would be."
    >>> [section.title for section in page_sections(text, (0, text.index("\f") + 1))]
    ["Acme, Inc. – Balance Sheet – At year's end"]
    """  # noqa: RUF002
    if not pages:
        return ()
    ends = [*pages[1:], len(text)]
    tops = [_top(text[start:end]) for start, end in zip(pages, ends, strict=True)]
    seen = Counter(key for top in tops for key in {_key(line) for line in top})
    often = max(_FEWEST_PAGES, len(pages) / _FURNITURE)
    found: list[Section] = []
    for start, end, top in zip(pages, ends, tops, strict=True):
        lines = [line for line in top if seen[_key(line)] < often]
        if start < end and (title := _heading(lines)):
            found.append(Section(Span(start, end), title))
    return tuple(found)


def _top(page: str) -> list[str]:
    lines = (" ".join(line.split()) for line in re.split(r"[\r\n\f]+", page))
    return [line for line in lines if sum(map(str.isalpha, line)) >= _FEWEST_LETTERS][:_DEPTH]


def _key(line: str) -> str:
    return re.sub(r"\d+", "#", line.lower())


def _heading(lines: Sequence[str]) -> str:
    kept: list[str] = []
    for line, after in zip(lines, [*lines[1:], ""], strict=False):
        widest = _WIDEST_SENTENCE if line.endswith(".") else _WIDEST
        runs_on = line.endswith((",", ";")) or after[:1].islower()
        if len(kept) == _MOST or runs_on or line[0].islower() or len(line) > widest:
            break
        kept.append(line)
    return " – ".join(kept)  # noqa: RUF001
