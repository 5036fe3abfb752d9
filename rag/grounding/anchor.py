"""Anchors: where a quote that a language model wrote stands in the text it was shown.

Three ways, each tried on all passages before the next. *Verbatim*: letter by letter. *Normalised*:
alike in compatibility form (NFKC), case, white space, words broken at a line's end, quotation marks
and dashes; offsets lead back to the document. *Aligned*: by edit distance over words against any
part of the text (Sellers, "The theory and computation of evolutionary distances: pattern
recognition", J. Algorithms 1, 1980), at most 3 edits in 20 words; every figure of the quote must be
there, and a denial on both sides or on neither.

What stands between two kept words of a sentence counts as read (`rag.pruning.render.readable`), but
a quote lies within one kept stretch. It cuts no word and no figure: "rose 4" does not stand in
"rose 4.2%".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from rag.grounding.support import content_words, figures
from rag.pruning.render import readable
from rag.spans import Span
from rag.types import Passage

__all__ = ["Anchor", "find_quote", "holds"]

_HELD = 0.7  # share of a fact's content words that its evidence must hold
_EDITS = 0.15  # of an alignment, as a share of the quote's words

_FOLDED = str.maketrans(
    dict.fromkeys('"`´‘’‚“”„′″‹›«»', "'")  # noqa: RUF001
    | dict.fromkeys("‐‑‒–—−", "-")  # noqa: RUF001
    | dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff")  # shown as nothing
)
_UNIT = re.compile(
    r"(?P<broken>(?<=[^\W\d_])[-\u2010\xad]\s*\n\s*(?=[a-z]))|(?P<space>\s+)|.", re.S
)
_WORD = re.compile(r"\w+(?:[.,'/:-]\w+)*|[%$€£¥]")
_MARK = re.compile(r"\s*\[S?\d+(?:[,; ]+S?\d+)*\]", re.I)
_AROUND = " \t\r\n\"'`“”‘’«»"  # noqa: RUF001
_ELLIPSIS = re.compile(r"\s*(?:\[\s*)?(?:…|\.{3,})(?:\s*\])?\s*")
_DENIES = re.compile(
    r"\b(?:not|no(?!\.? ?\d)|never|none|nor|neither|without|cannot|nothing|nobody|\w+n't)\b"
)
_COUNTED = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve dozen twenty thirty forty "
    "fifty sixty seventy eighty ninety hundred thousand million billion trillion half january "
    "february march april june july august september october november december".split()
)


_MAY = re.compile(r"(?<=\w )May\b")  # the month; at the head of a sentence it may be the verb


class Anchor(NamedTuple):
    """Where a quote stands: a span of the document that lies in a passage, and how it was found."""

    passage: Passage
    span: Span
    how: Literal["verbatim", "normalised", "aligned"]


def find_quote(quote: str, passages: Sequence[Passage]) -> Anchor | None:
    """Where these passages say a quote, in the first of them that says it best, or None.

    Marks like [S1], quotation marks around it and a full stop behind it may be the model's own. An
    ellipsis leaves out what holds no denial.

    Args:
        quote: as a model wrote it.
        passages: of text; of a written passage, its sources.
    """
    wording = _MARK.sub("", quote).strip(_AROUND)
    folded = _Folded(wording).text
    if not any(map(str.isalnum, folded)):
        return None
    stretches = [(passage, span) for passage in passages for span in readable(passage)]
    plain = _pattern(wording)
    for passage, span in stretches:
        if at := _written(plain, passage.chunk.slice(span)):
            return Anchor(passage, at.shift(span.start), "verbatim")
    read = [_Folded(passage.chunk.slice(span)) for passage, span in stretches]
    alike = _pattern(folded)
    for (passage, span), text in zip(stretches, read, strict=True):
        if at := _written(alike, text.text):
            return Anchor(passage, text.back(at).shift(span.start), "normalised")
    near = [(*hit, at) for at, text in enumerate(read) if (hit := _aligned(folded, text.text))]
    if not near:
        return None
    _, words, which = min(near, key=lambda each: (each[0], each[2]))
    passage, span = stretches[which]
    return Anchor(passage, read[which].back(words).shift(span.start), "aligned")


def holds(text: str, evidence: str) -> bool:
    """Whether the evidence says what a fact states, as far as words can tell.

    It has seven tenths of the fact's content words and all of its numbers and months, and it
    denies something exactly where the fact does.

    >>> holds("Sales rose 4%.", "Net sales rose 4%."), holds("Sales rose 5%.", "Net sales rose 4%.")
    (True, False)
    """
    said, read = _Folded(text).text, _Folded(evidence).text
    words, known = content_words(said), content_words(read)
    return (
        len(words & known) >= max(_HELD * len(words), 1)
        and figures(words) | (words & _COUNTED) <= known
        and (not _MAY.search(text) or bool(_MAY.search(evidence)))
        and bool(_DENIES.search(said)) == bool(_DENIES.search(read))
    )


class _Folded:
    """A text in the form in which it is compared, with the way back.

    Every character of `text` knows the characters that it came from: `starts` and `ends`.
    """

    def __init__(self, text: str) -> None:
        pieces: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        for piece, start, end in _folded(text):
            pieces.append(piece)
            self.starts += [start] * len(piece)
            self.ends += [end] * len(piece)
        self.text = "".join(pieces)

    def back(self, at: Span) -> Span:
        return Span(self.starts[at.start], self.ends[at.end - 1])


def _folded(text: str) -> Iterator[tuple[str, int, int]]:
    """Each character with its combining marks, folded, and where it stood."""
    held: tuple[int, int] | None = None
    for unit in _UNIT.finditer(text):
        if held and unicodedata.combining(unit[0][0]):
            held = (held[0], unit.end())
            continue
        if held:
            yield _fold(text[slice(*held)]), *held
        held = None
        if unit["space"]:
            yield " ", *unit.span()
        elif not unit["broken"]:
            held = unit.span()
    if held:
        yield _fold(text[slice(*held)]), *held


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().translate(_FOLDED)


def _pattern(wording: str) -> re.Pattern[str]:
    """The quote's parts in order, cutting no word and no figure."""
    parts = [part.removesuffix(".") for part in _ELLIPSIS.split(wording)]
    written = r"(.{1,400}?)".join(re.escape(part) for part in parts if part)
    before = r"(?<!\w)(?<!\d[.,:/])" if wording[0].isalnum() else ""
    after = r"(?!\w)" if wording.removesuffix(".")[-1:].isalnum() else ""
    if wording.removesuffix(".")[-1:].isdigit():
        after += r"(?![.,:/]\d|\s?%)"
    return re.compile(before + written + after, re.S)


def _written(pattern: re.Pattern[str], text: str) -> Span | None:
    """Where the text has it, if what an ellipsis leaves out denies nothing."""
    for found in pattern.finditer(text):
        if not any(_DENIES.search(left_out.lower()) for left_out in found.groups()):
            return Span(*found.span())
    return None


def _aligned(quote: str, text: str) -> tuple[int, Span] | None:
    """The fewest edits that make words of the text the quote's, and where those stand."""
    wanted = _WORD.findall(quote)
    allowed = int(_EDITS * len(wanted))
    words = list(_WORD.finditer(text))
    known = {word[0] for word in words}
    lacking = [word for word in wanted if word not in known]
    if not allowed or len(lacking) > allowed or figures(set(lacking)):
        return None
    # One column a word of the text: edits so far, and the word at which the alignment began.
    column = [(row, 0) for row in range(len(wanted) + 1)]
    best, place = allowed + 1, (0, 0)
    for number, word in enumerate(words):
        above = column
        column = [(0, number + 1)]
        for row, each in enumerate(wanted):
            swapped = above[row][0] + (each != word[0]), above[row][1]
            left_out, added = above[row + 1], column[row]
            column.append(min(swapped, (left_out[0] + 1, left_out[1]), (added[0] + 1, added[1])))
        if column[-1][0] < best:
            best, place = column[-1][0], (column[-1][1], number)
    if best > allowed:
        return None
    span = Span(words[place[0]].start(), words[place[1]].end())
    found = span.text_in(text)
    same = figures(set(wanted)) == figures(set(_WORD.findall(found)))
    denied = bool(_DENIES.search(quote)) == bool(_DENIES.search(found))
    return (best, span) if same and denied else None
