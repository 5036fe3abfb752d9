"""Questions and answers as they are compared: what is asked for, and what is said."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cached_property
from itertools import pairwise

from rag.grounding.support import content_words
from rag.grounding.values import Amount, Value, same_value, values_of
from rag.spans import Span

__all__ = [
    "DENIES",
    "MARK",
    "ONLY_SAID",
    "SAID",
    "TOKEN",
    "Answer",
    "Question",
    "abstains",
    "base",
    "stem",
    "stems",
]

MARK = re.compile(r"\[S?\d{1,9}(?:\s?[,;]\s?S?\d{1,9}){0,50}\]", re.IGNORECASE)
_NO_ANSWER = re.compile(
    r"(?:(?:sorry|unfortunately|answer)[,:]?\s+)?(?:"
    r"(?-i:NOT FOUND)\b|not found\W*\Z|"
    r"(?:i|we)(?:\s+|['’])(?:do\s?n[o'’]t|don['’]t|cannot|can['’]t|could\snot|couldn['’]t|am\snot|m\snot|"  # noqa: RUF001
    r"am\sunable|have\sno)\s+(?:\w+\s+){0,3}?(?:know|answer|say|tell|find|determine|idea|sure|"
    r"information)\b|"
    r"(?:(?:the|this|these|none\sof\sthe)\s+)?(?:(?:provided|given|available|above)\s+)?"
    r"(?:context|documents?|sources?|texts?|passages?|excerpts?|information)\s+(?:\w+\s+){0,3}?"
    r"(?:do(?:es)?\snot|do(?:es)?n['’]t|did\snot|cannot|is\snot|are\snot|isn['’]t|aren['’]t|holds?\sno|"  # noqa: RUF001
    r"contains?\sno|has\sno|have\sno|gives?\sno|provides?\sno|says?\snothing|mentions?\sno)"
    r"\s?(?:\w+\s+){0,3}?(?:say|state|mention|hold|contain|provide|specify|include|give|answer|"
    r"indicate|disclose|tell|describe|address|enough|sufficient|available|information|about)\b|"
    r"there\sis\s(?:no|not\senough|insufficient)\s(?:information|answer|mention|context)\b|"
    r"(?:it|this|that|the\sanswer)\s(?:is|was)\s(?:unknown|unclear|not\s(?:stated|specified|given|"
    r"mentioned|known|provided|available|found|disclosed))(?=\W*\Z|\s(?:in|from|by|whether)\b)|"
    r"(?:(?:it|this|that|the\sanswer)\s)?(?:cannot|can['’]t|could\snot)\sbe\s(?:determined|answered|"  # noqa: RUF001
    r"found|inferred)\b|"
    r"(?:unknown|unanswerable|no\s(?:answer|information)(?:\s(?:is\s)?(?:found|given|available))?|n/?a|insufficient\s(?:information|context)|"
    r"not\s(?:stated|specified|given|mentioned|known|provided|available|disclosed|sure)"
    r"(?:\s(?:in|by)\s[\w\s]{1,40})?)\W*\Z)",
    re.IGNORECASE,
)
_YET = re.compile(r"\b(?:but|however|although|though)\b", re.IGNORECASE)
SAID = re.compile(
    r"\W*(?:(yes|yeah|yep|true|correct)|(no|nope|false|incorrect|not)|"
    r"(maybe|possibly|perhaps|partly|partially|unclear|uncertain|it\sdepends))\b(?!\.?\s?\d)",
    re.IGNORECASE,
)
ONLY_SAID = re.compile(r"\A\W*(?:yes|no|maybe|true|false)\s*(?:[^\w\s]|\Z)", re.IGNORECASE)
DENIES = re.compile(
    r"\b(?:not|no|never|none|nor|neither|without|cannot|fail(?:s|ed)?\sto|lack(?:s|ed)?|unable\sto)\b|"
    r"n['’]t\b",  # noqa: RUF001
    re.IGNORECASE,
)
_OPPOSITES = tuple(
    tuple(frozenset(side.split()) for side in pair.split("|"))
    for pair in (
        "rose rise rises risen rising increase increases increased increasing grew grow grows gain "
        "gained gains higher more up improved|fell fall falls fallen falling decrease decreases "
        "decreased decreasing declined decline declines dropped drop drops lower less fewer down "
        "worsened reduced reduces shrank lost loss",
        "before|after",
        "above over|below under",
        "first|last",
        "minimum least|maximum most",
        "best|worst",
        "largest highest biggest longest|smallest lowest shortest",
        "positive|negative",
        "true|false",
        "enabled enable enables|disabled disable disables",
        "allowed allow allows|denied deny denies blocked forbidden",
        "buy bought buys|sell sold sells",
        "early earlier earliest|late later latest",
        "inside within|outside",
    )
)
_TO = re.compile(r"\s?[-–—]\s?|\sto\s")  # noqa: RUF001
TOKEN = re.compile(r"\w+")


_COMPOUND = re.compile(r"\band\s(?:why|how|what|who|whom|when|where|which)\b", re.IGNORECASE)
_POLAR = re.compile(
    r"\W*(?:(?:in|on|at|as\sof|during|by|according|for|since|before|after)\b[^,?]{0,80},\s*)?"
    r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might|must|"
    r"(?:is|are|was|were|do|does|did|has|have|had|ca|could|wo|would|should)n['’]?t)\b",  # noqa: RUF001
    re.IGNORECASE,
)
_WHEN = re.compile(
    r"\A\W*(?:(?:since|until|by)\s)?when\b|,\swhen\b|"
    r"\b(?:what|which)\s(?:\w+\s){0,2}?(?:year|date|month|day|quarter|decade|century|time)\b",
    re.IGNORECASE,
)
_HOW_MUCH = re.compile(
    r"\bhow\s(?:many|much|long|often|far|old|large|big|high|tall|deep|fast|heavy|wide|late|few|"
    r"sensitive|specific|accurate|likely|common)\b|"
    r"\b(?:what|which)\s(?:(?:is|was|were|are)\s)?(?:(?!of\b)[\w'’&-]+\s){0,6}?(?:percentage|percent|"  # noqa: RUF001
    r"share|proportion|fraction|number|amount|rate|ratio|size|length|duration|price|cost|costs|value|"
    r"revenue|revenues|income|earnings|profit|sales|cash\sflow|dose|score|age|weight|height|depth|"
    r"speed|population|count|total|average|median|mean|limit|quota|threshold|margin|sensitivity|"
    r"specificity|percentile|temperature|distance|interval)\b",
    re.IGNORECASE,
)
_WHICH_NAME = re.compile(
    r"\b(?:version|release|cve|cwe|hash|identifier|id|ticker|doi|url|domain|address|technique|gene|"
    r"code|symbol)\b",
    re.IGNORECASE,
)
_MONEY = frozenset("USD EUR GBP JPY CHF CNY INR AUD CAD HKD SEK NOK DKK".split())
_UNIT_ASKED = re.compile(r"\bhow\smany\s", re.IGNORECASE)
_ASKED_UNITS: tuple[tuple[re.Pattern[str], Collection[str]], ...] = (
    (
        re.compile(r"(?i)\b(?:percent|percentage|share|proportion|rate|margin|per\scent)\b"),
        {"%", "point"},
    ),
    (
        re.compile(r"(?i)\bhow\s(?:long|old|often)\b|\b(?:duration|age|interval)\b"),
        {"second", "month"},
    ),
    (
        re.compile(
            r"(?i)\b(?:price|costs?|pay|paid|worth|spend|spent|revenues?|income|profit|cash)\b"
        ),
        _MONEY,
    ),
    (_UNIT_ASKED, {""}),
)
_NOBODY = re.compile(r"\A\W*(?:none|nobody|no\sone|no(?=\s[a-z]))\b", re.IGNORECASE)


class Question:
    """What a question asks for."""

    def __init__(self, text: str) -> None:
        self.values = values_of(text)
        self.words = stems(text, self.values)
        self.denies = bool(DENIES.search(text))
        # What a question offers to choose from is said again by an answer that chooses.
        self.choice = bool(re.search(r"\bor\b", text, re.IGNORECASE))
        self.compound = bool(_COMPOUND.search(text))
        self.polar = bool(_POLAR.match(text))
        self.date = bool(_WHEN.search(text))
        self.number = bool(_HOW_MUCH.search(text)) and not self.date
        self.identifier = bool(_WHICH_NAME.search(text))
        self.version = bool(re.search(r"\b(?:version|release)\b", text, re.IGNORECASE))
        self.units = next((units for asks, units in _ASKED_UNITS if asks.search(text)), None)
        if self.units == {""} and (
            named := values_of("2 " + _UNIT_ASKED.split(text, maxsplit=1)[-1][:20])
        ):
            self.units = {base(reading) or "" for reading in named[0].readings}


class Answer:
    """What an answer says: its words and its values apart."""

    def __init__(self, asked: Question, text: str) -> None:
        if asked.number and not asked.compound:
            text = _NOBODY.sub("0 ", text, count=1)  # "none" and "no patients" are numbers
        if asked.version:
            text = re.sub(r"(?<![\w.])(?=\d{1,9}\.\d)", "v", text)  # 4.10 is not 4.1
        self.asked = asked
        self.text = " ".join(text.split())
        self.lines = text
        self.values = values_of(text)
        self.words = stems(text, self.values)
        self.own = self.words if asked.choice else self.words - asked.words

    @cached_property
    def fresh(self) -> list[Value]:
        """Its values without those of the question."""
        if self.asked.choice:
            return self.values
        known = self.asked.values
        return [value for value in self.values if not any(same_value(value, it) for it in known)]

    @cached_property
    def ranged(self) -> set[Span]:
        """Where the ends of its ranges are."""
        ends: set[Span] = set()
        for one, other in pairwise(self.values):
            between = self.lines[one.span.end : other.span.start]
            before = self.lines[max(0, one.span.start - 8) : one.span.start].lower()
            if _TO.fullmatch(between) or (between.strip() == "and" and before == "between "):
                ends |= {one.span, other.span}
        return ends

    @cached_property
    def denied(self) -> frozenset[str]:
        """The word that follows each denial."""
        text = ONLY_SAID.sub(" ", self.text, count=1)
        after = (text[match.end() : match.end() + 60] for match in DENIES.finditer(text))
        words = (TOKEN.findall(rest) for rest in after)
        return frozenset(
            next((stem(word.lower()) for word in each if content_words(word)), "") for each in words
        )

    @cached_property
    def sides(self) -> frozenset[tuple[int, int]]:
        """The sides of opposites that it takes, where it does not name both."""
        words = set(TOKEN.findall(self.text.lower()))
        taken = [[bool(words & side) for side in pair] for pair in _OPPOSITES]
        return frozenset(
            (at, sides.index(True)) for at, sides in enumerate(taken) if sum(sides) == 1
        )


def stems(text: str, values: Iterable[Value]) -> frozenset[str]:
    """The stems of the content words outside of values; of all words where none has content."""
    parts, end = [], 0
    for value in values:
        parts.append(text[end : value.span.start])
        end = value.span.end
    rest = " ".join([*parts, text[end:]])
    words = content_words(rest) or (set() if end else set(TOKEN.findall(rest.lower())))
    return frozenset(map(stem, words))


def stem(word: str) -> str:
    """Crude: what an ending of the verb or the plural leaves."""
    word = re.sub(r"['’]s\Z", "", word)  # noqa: RUF001
    if len(word) > 4:
        return re.sub(r"(?:ing|ed|es|s|e)\Z", "", word)
    return word.removesuffix("s") if len(word) == 4 else word


def abstains(text: str) -> bool:
    """Whether an answer says that it has none."""
    said = _NO_ANSWER.match(text.lstrip("\"'*_ "))
    return bool(said) and not _YET.search(text, 0, 1_000)


def base(reading: object) -> str | None:
    """The unit of an amount, "" where it has none; None for what is no amount."""
    return next(iter(reading.unit), "") if isinstance(reading, Amount) else None
