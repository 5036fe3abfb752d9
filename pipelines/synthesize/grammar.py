"""A little English: enough to turn a plain statement into a question, and to see when not to."""

from __future__ import annotations

import re

from rag.grounding.support import content_words

__all__ = [
    "AUXILIARY",
    "BASE",
    "clause",
    "decapitalised",
    "one_line",
    "specific",
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

_TERM = 11  # letters of a word that is a term of its subject

_DETERMINERS = frozenset(
    "a all although an and any as at because both by during each either every few for from half "
    "if in its many more most much nearly no one only other our over several some such that the "
    "their these this those to total under until using when while with of".split()
)
_NEVER_FIRST = frozenset(
    "after although and as at based because before but by despite during for from given however if "
    "in into like of on or per since so than then though thus to under unless until upon via when "
    "where whereas whether while with within without yet see note here thereby therefore hence "
    "moreover furthermore additionally finally once even except whether unlike instead nor first "
    "second third next also additional again".split()
)
_POINTING = frozenset(
    "he her here his i it its itself me my our ours she such that their them there these they "
    "this those us we what which who whose you your former latter both another other others "
    "some one ones all each and but or if when while following same further similar".split()
)
_TO_THE_PAGE = re.compile(
    r"\b(?:this|these|the(?:\s(?:above|following|present|current|given|provided))?)\s"
    r"(?:text|passages?|documents?|articles?|excerpts?|paragraphs?|authors?|facts?)\b|"
    r"\b(?:this|these)\s(?:section|table|figure|study|paper|report|chapter|data|results?)\b|"
    r"\b(?:as\sfollows|mentioned\s(?:above|below)|described\sabove|table\s\d|fig(?:ure|\.)\s?\d)\b",
    re.IGNORECASE,
)
# In small letters: US and IT are none of these.
_OPENS_POINTING = re.compile(
    r"\b(?:[Tt]his|[Tt]hese|[Tt]hose|[Ss]uch\sa|[Ii]t|[Tt]hey|them|[Hh]e|[Ss]he|him|[Ww]e|us|[Oo]ur|"
    r"[Ii]ts|[Tt]heir)\b"
)
_BACKWARDS = re.compile(r"\b(?:it|its|they|their|them|themselves|itself)\b")
_CLAUSE_ENDS = re.compile(
    r"\s*(?:[;:,](?=\s|$)|[()\[\]—–]|\s-\s|(?<!\d)(?<!\b[A-Z])\.(?=\s|$)|"  # noqa: RUF001
    r"\s(?:which|while|whereas|although|but|"
    r"because|since|who|whose|where|and\s(?:is|was|are|were|has|have|the|its|it|that|may|can))\b)"
)
_ADVERB_LAST = re.compile(r"\s(?:then|also|often|usually|still|now|later|thus|\w+ly)$")
_VERBS = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|do|does|did|can|could|may|might|will|would|shall|"
    r"should|must|that|which|who|whose|if|when|while|because|although|said|says|use|uses|used|"
    r"show|shows|showed|shown|suggest|indicate|indicates|indicated|become|became|remain|remains|"
    r"remained|assess|assesses|assessed|believe|believes|believed|"
    rf"{'|'.join(' '.join(BASE.values()).split())})\b",
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
        and words[-1] not in _DETERMINERS | _NEVER_FIRST | _POINTING
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


def specific(phrase: str, words: int = 2) -> bool:
    """Whether a phrase has a name in it, or so many words that carry meaning.

    >>> specific("the executable"), specific("the Emotet loader"), specific("movement restriction")
    (False, True, True)
    """
    named = re.search(r"(?<=\s)[A-Z]|\d|^[A-Z]\w*[A-Z]|^(?!The\b|An?\b)[A-Z]\w+\s[A-Z]", phrase)
    told = content_words(phrase) - _DETERMINERS
    return bool(phrase) and (bool(named) or len(told) >= words or _is_rare(told))


def _is_rare(words: set[str]) -> bool:
    """One word that is long enough to be a term by itself."""
    return any(len(word) >= _TERM for word in words)


def vague(question: str) -> bool:
    """Whether a question points at what only a reader of the page sees.

    What a pronoun stands for may be named before it.

    >>> vague("What does the passage say of sales?"), vague("What were US net sales in 2019?")
    (True, False)
    >>> vague("Why did they sell?"), vague("Why did Acme raise its dividend?")
    (True, False)
    """
    if _TO_THE_PAGE.search(question):
        return True
    pointing = _OPENS_POINTING.search(question)
    if pointing is None:
        return False
    backwards = _BACKWARDS.fullmatch(pointing[0])
    return not (backwards and specific(question[: pointing.start()].partition(" ")[2].strip()))
