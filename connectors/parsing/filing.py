"""The parts and items of 10-K, 10-Q and 8-K filings, found in their text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from connectors.parsing.base import Heading
from connectors.parsing.filing_forms import Form, Item, form_of

__all__ = ["form_in", "item_sections"]

_MOST = 500  # candidates; a real filing has fewer than a hundred
_LONGEST_LINE = 250  # characters of an entry in an index, on average
_MOST_LISTED = 80  # of them in a table of contents
_LONGEST_TITLE = 200
_CONTENTS = 8_000  # characters that a table of contents, with all its notes, takes at most
_COVER = 6_000

# No pattern may go over the same blanks twice: a hostile text has millions of them.
# "Item 7.", "ITEM 1A —", "Items 1 and 2.", "Part II, Item 5:", "Item 2.02 |", alone or with its
# title, which may stand on the next line or in the next cell.
_ITEM = re.compile(
    r"""(?:^|\f)[^\S\n\f]*(?:[|•·*]+[^\S\n]*)?
    (?P<head>(?:part[^\S\n]+[iv]{1,3}[^\S\n]*(?:[,.:|–—-]+[^\S\n]*)?)?items?)
    [\s|]*(?P<number>\d{1,2}(?:\.\d{2}|[^\S\n]?\(?[ABC]\)?(?![a-z]))?)(?!\d)
    (?:[^\S\n]*(?:and|&|,)[^\S\n]*(?:items?[^\S\n]*)?\d{1,2}[ABC]?(?!\d))*
    (?=[\s.:|–—-]*(?P<title>[^\n]{0,400}))""",  # noqa: RUF001
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_PART = re.compile(
    r"(?:^|\f)[^\S\n\f]*(?P<title>part[^\S\n]+(?P<number>iv|i{1,3})"
    r"(?:[^\S\n]*(?:[.:|–—-]+[^\S\n]*)?"  # noqa: RUF001
    r"(?:financial|other)[^\S\n]+information)?)[.:]?[^\S\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
_SIGNATURES = re.compile(
    r"(?:^|\f)[^\S\n\f]*(signatures?)[.:]?[^\S\n]*$", re.IGNORECASE | re.MULTILINE
)
# What a reference goes on with, and what a line ends with that a reference is the next word of.
_REFERENCE = re.compile(
    r"\W*continued|[“\"‘'„]|.{0,200}?(?:\b(?:of|in|to) (?:this|our|the|its|such) "  # noqa: RUF001
    r"(?:\w+ )?(?:annual|quarterly|current|form|report|registration)|[”\"] |\W*\(?continued\)?$)",
    re.IGNORECASE,
)
_RUNS_ON = re.compile(
    r"(?:[,(“\"‘—-]|\b(?:see|in|and|or|under|of|to|the|with|by|from|also|this|our|refer|"  # noqa: RUF001
    r"part [iv]+))$",
    re.IGNORECASE,
)
_PAGE_NUMBER = re.compile(r"(?:\b\d{1,3}(?:-\d{1,3})?|n/?a|not applicable|\*)\W*$", re.IGNORECASE)
_GOES_ON = re.compile(r"(?:[,&/]|\b(?:and|of|or|for|the|about|in|by|with|from))$", re.IGNORECASE)
_COMMISSION = re.compile(r"securities\s+and\s+exchange\s+commission", re.IGNORECASE)
_ACT = re.compile(r"section\s+13\s+or\s+15\s*\(d\)", re.IGNORECASE)
_FORM = re.compile(r"\bform\s+(10-?[KQ]|8-?K)(?:T|405)?(?:/A)?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A line that may be the heading of `item`; its title ends at `end`."""

    start: int
    end: int
    title: str
    item: Item


def form_in(text: str) -> str:
    r"""The form that a filing's cover page names ("10-K"), or "" where there is no such page.

    Of what is written about filings little names both the commission and the section of the act.

    >>> form_in("SECURITIES AND EXCHANGE COMMISSION\nFORM 10-K\nPURSUANT TO SECTION 13 OR 15(d)")
    '10-K'
    """
    cover = text[:_COVER]
    if not (_COMMISSION.search(cover) and _ACT.search(cover)):
        return ""
    found = _FORM.search(cover)
    return found[1].upper() if found else ""


def item_sections(text: str, form: str) -> list[Heading]:
    r"""The headings of a filing's parts and items, in the text's order.

    The lines of a table of contents and references ("see Item 7") are none. Of the lines that
    remain, those are taken that make the longest row in the form's order. A part is of level 1 and
    its items of level 2; the items of an 8-K are of level 1. Nothing is found in other forms, nor
    in an annual report that has another order and only an index of where its items are.

    >>> text = "PART I\nItem 1. Business\nWe bake, as said in\nItem 7.\nItem 2. Properties"
    >>> [heading.title for heading in item_sections(text, "10-K")]
    ['PART I', 'Item 1. Business', 'Item 2. Properties']
    """
    kind = form_of(form)
    if kind is None:
        return []
    candidates = _candidates(text, kind)
    if not kind.has_parts:
        chosen, headings, level = _first_of_each(candidates), list[Heading](), 1
    else:
        kept = _without_contents(text, candidates, kind)
        chosen, level, known = _longest_row(kept), 2, set(kept)
        # No line of a table of contents names a part where it begins.
        listed = [each.end for each in candidates if each not in known]
        headings = list(_parts(text, chosen, listed))
    if not chosen:
        return []
    headings += [Heading(each.start, level, each.title) for each in chosen]
    if closing := _SIGNATURES.search(text, chosen[-1].end):
        headings.append(Heading(closing.start(1), 1, closing[1]))
    return sorted(headings, key=lambda heading: (heading.start, heading.level))


def _candidates(text: str, form: Form) -> list[_Candidate]:
    found: list[_Candidate] = []
    for match in _ITEM.finditer(text):
        number = re.sub(r"[\s()]", "", match["number"])
        items = form.named(number, match["title"])
        if not items or _is_reference(text, match):
            continue
        start, end = match.start("head"), _title_end(text, match)
        title = " ".join(text[start:end].replace("|", " ").split())
        found += [_Candidate(start, end, title, item) for item in items]
        if len(found) > _MOST:
            break
    return found


def _is_reference(text: str, match: re.Match[str]) -> bool:
    if _REFERENCE.match(match["title"]):
        return True
    # Lines that follow each other without a gap may be one sentence, wrapped.
    above = text[max(0, match.start() - 300) : match.start()]
    if not above.endswith("\n") or above.endswith("\n\n"):
        return False
    line = above[:-1].rpartition("\n")[2].strip()
    return bool(_RUNS_ON.search(line)) and not _PART.match(line)


def _title_end(text: str, match: re.Match[str]) -> int:
    """The end of a title; one that breaks off after "and" goes on in the next line."""
    title, start = match["title"].rstrip(" \t\r|"), match.start("title")
    if len(title) > _LONGEST_TITLE:
        # The section's first words run on in the heading's line.
        stop = re.search(r"(?<=\w{3})[.:] ", title[:_LONGEST_TITLE])
        return start + (stop.start() + 1 if stop else title.rfind(" ", 0, _LONGEST_TITLE))
    end = start + len(title)
    for _ in range(2):
        line = text[end : end + _LONGEST_TITLE].lstrip().split("\n")[0].rstrip()
        if not _GOES_ON.search(text[start:end]) or not line or len(line) == _LONGEST_TITLE:
            break
        end = text.index(line, end) + len(line)
    return end


def _without_contents(text: str, all_: Sequence[_Candidate], form: Form) -> list[_Candidate]:
    """Without the lines of tables of contents and of indexes that say where the items are."""
    most = sum(map(len, form.items.values()))
    kept: list[_Candidate] = []
    listed = -1
    for at, first in enumerate(all_):
        if first.start <= listed:
            continue
        if first.item.rank <= most // 4:
            dense = [c for c in all_[at : at + _MOST_LISTED] if c.start < first.start + _CONTENTS]
            row = _longest_row(dense)
            if (
                len(row) >= 0.4 * most
                and row[-1].item.rank >= 0.6 * most
                and _is_list(text, row, [c for c in all_ if c.start > row[-1].start])
            ):
                listed = row[-1].start
                continue
        kept.append(first)
    return kept


def _is_list(text: str, row: Sequence[_Candidate], later: Sequence[_Candidate]) -> bool:
    """Whether the same items come again, further apart, or these are short and end in numbers."""
    here = {each.item.rank: each.start for each in row}
    again: dict[int, int] = {}
    for each in later:
        if each.item.rank in here:
            again.setdefault(each.item.rank, each.start)
    if len(again) > len(row) / 2:
        return _width(again.values()) > _width(here[rank] for rank in again)
    if row[-1].start - row[0].start > _LONGEST_LINE * len(row):
        return False
    ends = (text[one.start : two.start].rstrip() for one, two in pairwise(row))
    return sum(bool(_PAGE_NUMBER.search(end[-20:])) for end in ends) > len(row) / 2


def _width(starts: Iterable[int]) -> int:
    all_ = list(starts)
    return max(all_) - min(all_)


def _longest_row(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """The most candidates whose items follow each other as in the form; the earliest of equals."""
    count = len(candidates)
    length, after = [1] * count, [count] * count  # of the longest row that begins with each
    for at in reversed(range(count)):
        this = candidates[at]
        for later in range(at + 1, count):
            that = candidates[later]
            follows = that.start > this.start and that.item.rank > this.item.rank
            if follows and length[later] >= length[at]:
                length[at], after[at] = length[later] + 1, later
    row: list[_Candidate] = []
    at = max(range(count), key=length.__getitem__, default=count)
    while at < count:
        row.append(candidates[at])
        at = after[at]
    return row


def _first_of_each(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    found: dict[str, _Candidate] = {}
    for candidate in candidates:
        found.setdefault(candidate.item.number, candidate)
    return list(found.values())


def _parts(text: str, chosen: Sequence[_Candidate], listed: Sequence[int]) -> Iterator[Heading]:
    """The last line that names a part before its first item and after all that is before that."""
    lines = list(_PART.finditer(text))
    before, part = 0, ""
    for each in chosen:
        if each.item.part != part:
            part = each.item.part
            before = max([before, *(end for end in listed if end < each.start)])
            named = [
                Heading(found.start("title"), 1, " ".join(found["title"].split()))
                for found in lines
                if before <= found.start() <= each.start and found["number"].upper() == part
            ]
            yield from named[-1:]
        before = each.end
