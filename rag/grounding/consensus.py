"""Consensus: whether two answers to one question say the same.

Typed comparison; the paper compares normalised strings (Zeng et al. 2025, SIFT: arXiv 2502.14922),
and takes two answers that it cannot read for equal ones. The question and the answers choose the
rule. Where a rule is in doubt the answers do not agree: what that costs is a further look.

It compares words, values, denials and a few opposites. It does not see that two words mean the
same, nor who did what to whom where no name tells.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rag.grounding.answers import (
    DENIES,
    MARK,
    ONLY_SAID,
    SAID,
    TOKEN,
    Answer,
    Question,
    abstains,
    base,
    stem,
    stems,
)
from rag.grounding.support import content_words
from rag.grounding.values import Amount, Value, same_value

__all__ = ["Agreement", "agree"]

_ALIKE = 0.8  # F1 of the words of short answers, beside which one must hold all of the other
_SHORT = 8  # words of an answer that is a span and no text
_TOLD = 0.7  # share of a text's words that the other must hold, in both directions
_ITEM = 5  # words of a list's item at most; longer ones are clauses
_NAME_LENGTH = 3  # words, up to which an item can be no clause
_LONGEST_LIST = 2_000  # characters
_MANY = 100  # values or items, beyond which only those written alike are found

_HEDGES = (
    ("<", r"no(?:t)?\smore\sthan|at\smost|up\sto|a\smaximum\sof|maximum|≤|<"),
    (">", r"no(?:t)?\s(?:less|fewer)\sthan|at\sleast|a\sminimum\sof|minimum|≥|>"),
    (">", r"more\sthan|over|above|exceed(?:s|ed)?|greater\sthan|higher\sthan"),
    ("<", r"less\sthan|fewer\sthan|under|below|lower\sthan"),
    ("before", r"before|prior\sto|until|till"),
    ("after", r"after|following"),
    ("not", r"(?:\b(?:not|never|without)|n['’]t)(?:\s\w{1,12}){0,2}"),  # noqa: RUF001
)
_HEDGE = re.compile(
    "|".join(rf"(?P<h{at}>(?<!\w)(?:{words}))\s?\Z" for at, (_, words) in enumerate(_HEDGES)),
    re.IGNORECASE,
)
_ASIDE = re.compile(  # 12 of 340, up from 3, against 4
    r"(?:\d\)?%?\s(?:out\s)?of(?:\sthe)?|\bfrom|\bversus|\bvs\.?|\bagainst|compared\s(?:with|to)|/|\bn\s?=)\s?\Z",
    re.IGNORECASE,
)
_BETWEEN_ITEMS = re.compile(r"[,;\n&]|\band\b", re.IGNORECASE)
_NAME = re.compile(r"(?<![.!?:]\s)(?<!\A)\b[^\W\d_a-z]\w+")


class Agreement(NamedTuple):
    """Whether two answers agree, and the rule that decided.

    The rules: "yes/no", "date", "number", "identifier", "list", "span", "text"; "abstained" where
    one or both do not answer, "unparseable" where one or both hold no word.
    """

    agreed: bool
    rule: str


def agree(question: str, one: str, other: str) -> Agreement:
    """Whether two answers to a question say the same.

    Two abstentions agree. An answer without a word agrees with nothing, not even with itself.
    Marks of sources are no part of an answer.

    >>> agree("How many ships arrived?", "The harbour recorded 1,412 arrivals [S1].", "1412")
    Agreement(agreed=True, rule='number')
    >>> agree("Did sales rise?", "Yes.", "No, they fell.")
    Agreement(agreed=False, rule='yes/no')
    """
    texts = [MARK.sub(" ", text).strip() for text in (one, other)]
    if not all(any(map(str.isalnum, text)) for text in texts):
        return Agreement(False, "unparseable")
    silent = [abstains(text) for text in texts]
    if any(silent):
        return Agreement(all(silent), "abstained")
    asked = Question(question)
    mine, theirs = (Answer(asked, text) for text in texts)
    for rule, decide in _RULES:
        verdict = decide(asked, mine, theirs)
        if verdict is not None:
            return Agreement(verdict or mine.text == theirs.text, rule)
    return Agreement(mine.text == theirs.text or _same_text(asked, mine, theirs), "text")


def _same_polarity(asked: Question, one: Answer, other: Answer) -> bool | None:
    """Yes, no and maybe; where only one says so, from a plain statement of the other."""
    if asked.compound:
        return None
    if not asked.polar:
        said = [ONLY_SAID.match(each.text) for each in (one, other)]
        return _polarity(one) == _polarity(other) and _no_clash(one, other) if all(said) else None
    polarities = [_polarity(one), _polarity(other)]
    if not any(polarities):
        return None
    mine, theirs = (
        polarity or _implied(asked, each)
        for polarity, each in zip(polarities, (one, other), strict=True)
    )
    return bool(mine) and mine == theirs and _no_clash(one, other)


def _polarity(answer: Answer) -> str:
    said = SAID.match(answer.text)
    return "" if said is None else ("yes", "no", "maybe")[(said.lastindex or 1) - 1]


def _implied(asked: Question, answer: Answer) -> str:
    """What a statement that repeats the question answers to it, or nothing."""
    words = answer.words if content_words(answer.text) else frozenset()
    repeats = words <= asked.words or asked.words <= words
    if asked.choice or asked.denies or not repeats:
        return ""
    return "no" if DENIES.search(answer.text) else "yes"


def _no_clash(one: Answer, other: Answer) -> bool:
    """Whether the reasons given with a yes or no stand beside each other."""
    few, many = sorted((one.fresh, other.fresh), key=len)
    return not _opposed(one, other) and _held(_plain(few), _plain(many))


def _same_dates(asked: Question, one: Answer, other: Answer) -> bool | None:
    return _same_kind(asked, one, other, "date", asked.date)


def _same_numbers(asked: Question, one: Answer, other: Answer) -> bool | None:
    return _same_kind(asked, one, other, "number", asked.number)


def _same_identifiers(asked: Question, one: Answer, other: Answer) -> bool | None:
    if not (_of_kind(one, "identifier") and _of_kind(other, "identifier")):
        return None  # a technique may be named
    return _same_kind(asked, one, other, "identifier", asked.identifier)


def _same_kind(
    asked: Question, one: Answer, other: Answer, kind: str, is_asked: bool
) -> bool | None:
    """Whether the values that answer the question are the same.

    They are where each has its equal in the other answer; where an answer has only one, its equal
    among several is enough if the question asks for such a value.
    """
    mine, theirs = _of_kind(one, kind), _of_kind(other, kind)
    bare = not one.words and not other.words and len(one.values) == len(mine) > 0
    if asked.compound or not (mine or theirs) or not (is_asked or (bare and theirs)):
        return None
    if _opposed(one, other):
        return False
    mine, theirs = _candidates(asked, one, mine), _candidates(asked, other, theirs)
    few, many = sorted((_hedged(one, mine), _hedged(other, theirs)), key=len)
    enough = len(few) == 1 and is_asked
    return bool(few) and _held(few, many) and (enough or _held(many, few))


def _of_kind(answer: Answer, kind: str) -> list[Value]:
    """The values that can be of the kind; a rank is no number."""
    return [
        value
        for value in answer.values
        if value.kind == kind
        or (kind == "number" and any(isinstance(each, Amount) for each in value.readings))
        if not any(base(reading) == "ordinal" for reading in value.readings)
    ]


def _candidates(asked: Question, answer: Answer, values: list[Value]) -> list[Value]:
    """Those that answer the question; each filter is left out where it leaves none."""
    fresh = set(answer.fresh)
    filters: list[Callable[[Value], bool]] = [
        lambda value: value in fresh,
        lambda value: (
            not _ASIDE.search(answer.lines[max(0, value.span.start - 16) : value.span.start])
        ),
    ]
    if asked.number:
        filters.append(lambda value: value.kind == "number")  # 412 and not the year
        if asked.units is not None:
            units = asked.units
            filters.append(lambda value: any(base(reading) in units for reading in value.readings))
    for fits in filters:
        values = [value for value in values if fits(value)] or values
    return values


_Hedged = tuple[Value, str]


def _hedged(answer: Answer, values: Iterable[Value]) -> list[_Hedged]:
    """The values, each with what bounds or denies it: more than, before, not, a range."""
    return [(value, _hedge(answer, value)) for value in values]


def _hedge(answer: Answer, value: Value) -> str:
    if value.span in answer.ranged:
        return "range"
    before = answer.lines[max(0, value.span.start - 40) : value.span.start]
    found = _HEDGE.search(before)
    return _HEDGES[int((found.lastgroup or "h0")[1:])][0] if found else ""


def _plain(values: Iterable[Value]) -> list[_Hedged]:
    return [(value, "") for value in values]


def _held(few: Sequence[_Hedged], many: Sequence[_Hedged]) -> bool:
    """Whether each of the first has its equal among the second."""
    mine = {(value.readings, hedge): value for value, hedge in few}
    theirs = {(value.readings, hedge): value for value, hedge in many}
    missing = {key: value for key, value in mine.items() if key not in theirs}
    if len(missing) > _MANY or (missing and len(theirs) > _MANY):
        return False
    return all(
        any(hedge == other and same_value(value, each) for (_, other), each in theirs.items())
        for (_, hedge), value in missing.items()
    )


def _same_list(asked: Question, one: Answer, other: Answer) -> bool | None:
    """Items in any order, where both answers are short items."""
    mine, theirs = _items(asked, one), _items(asked, other)
    if max(len(mine), len(theirs)) < 2 or not mine or not theirs:
        return None
    alike = not _opposed(one, other) and one.denied == other.denied
    if alike and _all_in(mine, theirs) and _all_in(theirs, mine):
        return True
    # A clause with a comma in it is no list, and may yet say the same.
    return False if all(len(words) <= _NAME_LENGTH for words, _ in (*mine, *theirs)) else None


_Item = tuple[frozenset[str], tuple[Value, ...]]


def _items(asked: Question, answer: Answer) -> list[_Item]:
    """The items of a list; one where it is none; none where a part is as long as a clause."""
    text = answer.lines
    if len(answer.values) > _MANY or len(text) > _LONGEST_LIST:
        return []
    for value in answer.values:
        text = text[: value.span.start] + "\0" * len(value.text) + text[value.span.end :]
    items: list[_Item] = []
    ends = [match.span() for match in _BETWEEN_ITEMS.finditer(text)]
    for start, end in zip(
        [0, *(end for _, end in ends)], [*(at for at, _ in ends), len(text)], strict=True
    ):
        inside = tuple(each for each in answer.values if start <= each.span.start < end)
        words = (
            stems(text[start:end].strip("-*•. \t"), ())
            if text[start:end].strip("\0 .")
            else frozenset()
        )
        words = words if asked.choice else words - asked.words or words
        if len(words) > _ITEM:
            return []
        if words or inside:
            items.append((words, inside))
    return items


def _all_in(mine: Sequence[_Item], theirs: Sequence[_Item]) -> bool:
    return all(any(_same_item(item, each) for each in theirs) for item in mine)


def _same_item(one: _Item, other: _Item) -> bool:
    return _near(one[0], other[0]) and _both_held(one[1], other[1])


def _same_span(asked: Question, one: Answer, other: Answer) -> bool | None:
    """The same words, or one has a few more, or only those of the question."""
    if min(len(TOKEN.findall(each.text, 0, 200)) for each in (one, other)) > _SHORT:
        return None
    if not _alike(one, other):
        return False
    few, many = sorted((one.words, other.words), key=len)
    known = frozenset() if asked.choice else asked.words
    return few <= many and (many - few <= known or _near(few, many))


def _same_text(asked: Question, one: Answer, other: Answer) -> bool:
    """Each holds most of what the other says, and all of its names, values and denials."""
    mine, theirs = (one.own, other.own) if one.own and other.own else (one.words, other.words)
    shared = len(mine & theirs)
    told = shared >= _TOLD * max(len(mine), len(theirs))
    names = _names(one) ^ _names(other)
    return told and _alike(one, other) and not names - (one.words & other.words) - asked.words


def _near(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether one set of words holds the other, and little more."""
    close = 2 * len(one & other) >= _ALIKE * (len(one) + len(other))
    return close and (one <= other or other <= one)


def _alike(one: Answer, other: Answer) -> bool:
    """The same values and denials, no opposites, and names in the same order."""
    return (
        one.denied == other.denied
        and not _opposed(one, other)
        and _both_held(one.fresh or one.values, other.fresh or other.values)
        and _same_order(one.text, other.text)
    )


def _both_held(one: Iterable[Value], other: Iterable[Value]) -> bool:
    mine, theirs = _plain(one), _plain(other)
    return _held(mine, theirs) and _held(theirs, mine)


def _opposed(one: Answer, other: Answer) -> bool:
    return any((pair, 1 - side) in other.sides for pair, side in one.sides)


def _names(answer: Answer) -> frozenset[str]:
    return frozenset(stem(name.lower()) for name in _NAME.findall(answer.text))


def _same_order(one: str, other: str) -> bool:
    """Whether names come in the same order: Acme sued Bolt, and not Bolt Acme.

    Those of a list may not, nor those of a passive sentence.
    """
    if any(re.search(r",|;|\band\b|\bby\b", text, re.IGNORECASE) for text in (one, other)):
        return True
    named = [re.findall(r"\b[A-Z]\w+", text) for text in (one, other)]
    both = set(named[0]) & set(named[1])
    mine, theirs = ([name for name in names if name in both] for names in named)
    return mine == theirs


_Rule = Callable[[Question, Answer, Answer], bool | None]
_RULES: tuple[tuple[str, _Rule], ...] = (
    ("yes/no", _same_polarity),
    ("date", _same_dates),
    ("number", _same_numbers),
    ("identifier", _same_identifiers),
    ("list", _same_list),
    ("span", _same_span),
)
