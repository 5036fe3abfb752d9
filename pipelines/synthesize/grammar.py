"""A little English: enough to turn a plain statement into a question, and to see when not to."""

from __future__ import annotations

import re

__all__ = [
    "AUXILIARY",
    "BASE",
    "clause",
    "decapitalised",
    "one_line",
    "subject",
    "vague",
    "without_adverb",
]

AUXILIARY = r"was|were|is|are|can|could|may|might|will|would|should|must|has|have|had"

BASE = {
    "account": "accounted accounts",
    "affect": "affected affects",
    "carry": "carried carries",
    "cause": "caused causes",
    "comprise": "comprised comprises",
    "contain": "contained contains",
    "cover": "covered covers",
    "earn": "earned earns",
    "employ": "employed employs",
    "enrol": "enrolled enrols",
    "generate": "generated generates",
    "have": "had has",
    "hold": "held holds",
    "identify": "identified identifies",
    "include": "included includes",
    "infect": "infected infects",
    "invest": "invested invests",
    "kill": "killed kills",
    "last": "lasted lasts",
    "lose": "lost loses",
    "make": "made makes",
    "open": "opened opens",
    "operate": "operated operates",
    "own": "owned owns",
    "pay": "paid pays",
    "produce": "produced produces",
    "receive": "received receives",
    "record": "recorded records",
    "release": "released releases",
    "repurchase": "repurchased repurchases",
    "report": "reported reports",
    "score": "scored scores",
    "sell": "sold sells",
    "serve": "served serves",
    "spend": "spent spends",
    "support": "supported supports",
    "take": "took takes",
    "use": "used uses",
    "weigh": "weighed weighs",
    "win": "won wins",
}
"""Base form to its other forms, past before present: verbs that a number follows."""

_DETERMINERS = frozenset(
    "a all although an and any as at because both by during each either every few for from half "
    "if in its many more most much nearly no one only other our over several some such that the "
    "their these this those to total under until using when while with of".split()
)
_NEVER_FIRST = frozenset(
    "after although and as at based because before but by despite during for from given however if "
    "in into like of on or per since so than then though thus to under unless until upon via when "
    "where whereas whether while with within without yet see note here thereby therefore hence "
    "moreover furthermore additionally finally once except whether unlike instead nor first second "
    "third next also additional again".split()
)
_POINTING = frozenset(
    "he her here his i it its itself me my our ours she such that their them there these they "
    "this those us we what which who whose you your former latter both another other others "
    "some one ones all each and but or if when while following same further".split()
)
_TO_THE_PAGE = re.compile(
    r"\b(?:(?:this|these|the(?:\s(?:above|following|present|current|given|provided))?)\s"
    r"(?:text|passage|passages|document|documents|article|excerpt|excerpts|paragraph|section|"
    r"table|figure|statement|context|source|author|authors|fact|facts)|above|below|here|"
    r"mentioned|as\sfollows|following)\b",
    re.IGNORECASE,
)
_OPENS_POINTING = re.compile(
    r"\b(?:this|these|those|such\sa|it|they|them|he|she|him|we|us|our|its|their)\b", re.IGNORECASE
)
_CLAUSE_ENDS = re.compile(
    r"\s*(?:[;:,](?=\s|$)|[()\[\]—–]|\s-\s|(?<!\d)\.(?=\s|$)|\s(?:which|while|whereas|although|but|"  # noqa: RUF001
    r"because|since|who|whose|where|and\s(?:is|was|are|were|has|have|the|its|it|that|may|can))\b)"
)
_ADVERB_LAST = re.compile(r"\s(?:then|also|often|usually|still|now|later|thus|\w+ly)$")
_VERBS = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|do|does|did|can|could|may|might|will|would|shall|"
    r"should|must|that|which|who|whose|if|when|while|because|although|said|says|use|uses|used|"
    r"show|shows|showed|shown|suggest|indicate|indicates|indicated|become|became|remain|remains|"
    rf"remained|{'|'.join(' '.join(BASE.values()).split())})\b",
    re.IGNORECASE,
)


def without_adverb(phrase: str) -> str:
    """A phrase without the adverb at its end."""
    return _ADVERB_LAST.sub("", phrase.strip())


def one_line(text: str) -> str:
    """A text with every white space a single blank."""
    return " ".join(text.split())


def decapitalised(phrase: str) -> str:
    """A phrase as it stands inside a sentence: its first word small, where that can be no name.

    >>> decapitalised("The harbour"), decapitalised("Lisbon harbour")
    ('the harbour', 'Lisbon harbour')
    """
    first, _, rest = phrase.partition(" ")
    return f"{first.lower()} {rest}".strip() if first.lower() in _DETERMINERS else phrase


def subject(phrase: str, most: int = 10) -> str:
    """A phrase as the subject of a question, or "" where it can be none by itself.

    It has no verb and at most so many words, and nothing in it points elsewhere.

    >>> subject("The team then"), subject("This one"), subject("Since the flood")
    ('the team', '', '')
    """
    bare = without_adverb(phrase)
    words = re.findall(r"[\w'’.-]+", bare.lower())  # noqa: RUF001
    plain = (
        1 <= len(words) <= most
        and words[0] not in _POINTING | _NEVER_FIRST
        and words[-1] not in _DETERMINERS | _NEVER_FIRST
        and not words[0].endswith("ly")
        and not _VERBS.search(bare)
        and not _OPENS_POINTING.search(bare)
        and not re.search(r"[;:()\[\]|•]", bare)
        and any(len(word) > 2 and word.isalpha() and word not in _DETERMINERS for word in words)
    )
    return decapitalised(bare) if plain else ""


def clause(text: str, most: int = 16) -> str:
    """The text up to where its clause ends; "" where that is after more than so many words."""
    end = _CLAUSE_ENDS.search(text)
    found = (text[: end.start()] if end else text).strip(" ,.;:")
    return found if 1 <= len(found.split()) <= most else ""


def vague(question: str) -> bool:
    """Whether a question points at what only a reader of the page sees.

    >>> vague("What does the passage say of sales?"), vague("What were net sales in 2019?")
    (True, False)
    """
    return bool(_TO_THE_PAGE.search(question) or _OPENS_POINTING.search(question))
