"""Sentences of a document, as spans that need no search to be found again.

Lines decide first: a blank line, a table row, a heading or a list item ends a sentence; a line
that merely ran into the right margin does not. Inside prose a table of abbreviations and the next
word decide. One linear pass of our own: NLTK's Punkt took 5.5 s for the 510,000 characters of one
10-K, as long as embedding them, and is quadratic on runs of full stops.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rag.spans import Span

__all__ = ["LONGEST_SENTENCE", "is_row", "sentence_spans"]

LONGEST_SENTENCE = 2_000
"""Characters; a longer stretch without an end is cut at white space."""

_NEVER_LAST = frozenset(
    "adm apr approx art assn aug ave brig ca capt cf ch cir cl cmdr col dec dept dr e.g ed "
    "eds eq eqs exh feb fig figs ft gen gov hon i.e jan jul jun lt maj mar messrs min mr mrs "
    "ms mt no nos nov oct op p par pp prof pub ref refs rep rev sec sen sep sept sgt st "
    "subpara subsp tbl univ viz vol vols vs".split()
)
_RARELY_LAST = frozenset(
    "a.m al bros co corp est etc inc incl jr ltd max n.a p.m ph.d plc pt pty sp spp sr u.k "
    "u.n u.s u.s.a".split()
)
_OPENERS = frozenset(
    "a after all although an and as at because both but by despite during each for from he "
    "her his how however i if in it its many most no not of on one only or other our over see "
    "she since some such that the their there therefore these they this those through thus to "
    "under until we what when where which while who why with you your".split()
)
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?=\s|\Z)")  # noqa: RUF001 (quotes are meant)
_WORD_BEFORE = re.compile(r"[^\s(\[\"“'‘]*\Z")  # noqa: RUF001
_NEXT_WORD = re.compile(r"\s*[(\[\"“'‘]*([\w$€£%&-]+)")  # noqa: RUF001
_LINE = re.compile(r"[^\r\n\f\v\u2028\u2029\x85]+")
_BULLET = re.compile(r"(?:[-*•▪●◦–—o]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)])\s")  # noqa: RUF001
_NUMBERED = re.compile(r"\s*+(?:(?:ITEM|PART|Item|Part)\s++)?(?:\d++[A-Za-z]?|[IVX]++)")
_HEADING = re.compile(r"#{1,6}\s|(?:ITEM|PART|Item|Part)\s+[IVX\d]+")
_CELL = re.compile(r"[($€£]*-?\d[\d,.]*(?<!,)[%)]*|[—–-]+|[$€£%)]")  # noqa: RUF001


def sentence_spans(text: str, within: Span | None = None) -> Iterator[Span]:
    r"""The sentences of `text` (or of the part `within`), without white space at their ends.

    Together they hold every character that is not white space, in order and without overlap.
    They come one by one: a text of any length costs no memory.

    >>> text = "Net sales rose 4.2% to $1.3 bn. Costs fell.\nRevenue 1,204 1,150\nCosts 801 790"
    >>> [span.text_in(text) for span in sentence_spans(text)][:3]
    ['Net sales rose 4.2% to $1.3 bn.', 'Costs fell.', 'Revenue 1,204 1,150']
    """
    window = Span(0, len(text)) if within is None else within
    for block in _blocks(text, window):
        for sentence in _prose(text, block):
            yield from _bounded(text, sentence)


def _blocks(text: str, window: Span) -> Iterator[Span]:
    """Stretches no sentence crosses: paragraphs, table rows, headings, list items."""
    start: int | None = None
    previous: Span | None = None
    for line in _lines(text, window):
        if previous is not None and start is not None and _breaks(text, previous, line):
            yield Span(start, previous.end)
            start = None
        start = line.start if start is None else start
        previous = line
    if previous is not None and start is not None:
        yield Span(start, previous.end)


def _lines(text: str, window: Span) -> Iterator[Span]:
    for found in _LINE.finditer(text, window.start, window.end):
        if line := Span(*found.span()).trim_in(text):
            yield line


def _breaks(text: str, line: Span, following: Span) -> bool:
    """Whether a sentence ends where `line` does."""
    gap = text[line.end : following.start]
    if gap.replace("\r\n", "\n").count("\n") > 1 or "\f" in gap:
        return True
    here, there = line.text_in(text), following.text_in(text)
    if _BULLET.match(there) or _HEADING.match(there) or _HEADING.match(here):
        return True
    if is_row(here) or is_row(there):
        return True
    # A short line did not reach the margin: its author ended it. (Prose wraps near the margin,
    # so the next line is about as long; two short lines in a row are a list or a narrow column.)
    return len(here) < 40 or (len(here) < 0.6 * len(there) and not here[-1].isalnum())


def is_row(line: str) -> bool:
    """Whether a line reads as a table row: it has cells, or ends in two numbers."""
    if " | " in line or line.startswith("|"):
        return True
    last = line[-80:].split()[-2:]
    return len(last) == 2 and all(map(_CELL.fullmatch, last))


def _prose(text: str, block: Span) -> Iterator[Span]:
    """Cut running text after each mark that ends a sentence."""
    start = block.start
    for found in _END.finditer(text, block.start, block.end):
        if found.end() < block.end and _is_end(text, start, found, block.end):
            yield Span(start, found.end()).trim_in(text)
            start = found.end()
    if last := Span(start, block.end).trim_in(text):
        yield last


def _is_end(text: str, start: int, found: re.Match[str], limit: int) -> bool:
    """Whether the mark at `found` ends the sentence that began at `start`."""
    following = _NEXT_WORD.match(text, found.end(), limit)
    opener = following[1] if following else ""
    if opener[:1].islower():
        return False
    if found[0] != ".":
        return True
    word = _WORD_BEFORE.search(text, max(start, found.start() - 30), found.start())
    before = word[0].lower() if word else ""
    if before in _NEVER_LAST or _NUMBERED.fullmatch(text, start, found.start()):
        return False
    if before in _RARELY_LAST or (len(before) == 1 and before.isalpha()):
        return opener.lower() in _OPENERS
    return True


def _bounded(text: str, span: Span) -> Iterator[Span]:
    """Cut what has no end in sight into stretches of at most `LONGEST_SENTENCE` characters."""
    while len(span) > LONGEST_SENTENCE:
        limit = span.start + LONGEST_SENTENCE
        space = max(text.rfind(" ", span.start + 1, limit), text.rfind("\n", span.start + 1, limit))
        cut = space if space > span.start else limit
        if head := Span(span.start, cut).trim_in(text):
            yield head
        while cut < span.end and text[cut].isspace():
            cut += 1
        span = Span(cut, span.end)
    if span:
        yield span
