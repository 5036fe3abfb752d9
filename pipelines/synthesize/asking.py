"""Statements turned into questions: what each pattern of `rules` asks, and what answers it.

Each function takes the match of its pattern on one sentence, and gives the question, without its
mark, and the answer; or None where the sentence only looks as if it fitted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipelines.synthesize.grammar import (
    AUXILIARY,
    BASE,
    clause,
    decapitalised,
    specific,
    subject,
    without_adverb,
)
from rag.grounding.values import values_of

__all__ = [
    "DOES",
    "HEDGE",
    "NUMBER",
    "OF_FORM",
    "SAYS",
    "SUBJECT",
    "according",
    "amount_of",
    "by_whom",
    "count_first",
    "gap",
    "how_many",
    "how_to",
    "share_of",
    "stands_for",
    "what_does",
    "what_is",
    "what_should",
    "who_says",
    "why",
]

SUBJECT = r"(?P<subject>[^,;:()|]{3,90}?)"
HEDGE = r"(?:approximately|about|around|over|nearly|almost|more than|less than|at least|some)?\s?"
NUMBER = r"(?P<number>(?:[$€£]\s?)?\d[\d,.]*\d?\s?(?:%|percent|million|billion|thousand)?)"
_WHEN = re.compile(
    r"\b(?:in|for|during|at|as of|by|on|since)\s(?:the\s)?(?:\w+\s){0,4}?(?:19|20)\d\d\b"
)


_COMPARES = re.compile(r"\b(?:from|than|compared|against|versus|and|after|up|down|or|to)\b")
_RELATIVE = re.compile(
    r"\s*(?:-|–|to\b|or\b|higher|lower|more|less|above|below|greater|smaller|better|worse|points?|"  # noqa: RUF001
    r"times|from|away|ago|later|earlier)"
)


_OF_ANOTHER = re.compile(r"(?<=[%t])\s+of\b")  # percent, too
_SHARE = re.compile(r"\b(?:margin|share|percentage|rate|ratio|proportion|part)\b", re.IGNORECASE)


def amount_of(match: re.Match[str]) -> tuple[str, str] | None:
    """Gross margin was 47.3% in 2025: What was gross margin in 2025."""
    of, rest = subject(match["subject"], 12), match["rest"]
    values = values_of(rest[:60])
    if not specific(of, 3 if not _WHEN.search(rest) else 2) or not values:
        return None
    value, before = values[0], rest[: values[0].span.start].strip()
    if value.kind != "number" or len(before.split()) > 2 or _RELATIVE.match(rest, value.span.end):
        return None
    if _OF_ANOTHER.match(rest, value.span.end) and not _SHARE.search(of):
        return None  # operating income was 14.6% of its revenue
    compares = _COMPARES.search(rest, value.span.end)
    when = _WHEN.search(rest, value.span.end, compares.start() if compares else len(rest))
    said = match["verb"] if match["verb"] in ("was", "were", "is", "are") else "was"
    asked = f"What {said} {of}"
    if when and not _WHEN.search(of):
        asked += f" {when[0]}"
    return asked, rest[: value.span.end].strip()


def how_many(match: re.Match[str]) -> tuple[str, str] | None:
    """The harbour recorded 412 arrivals in May: How many arrivals did the harbour record in May."""
    base = OF_FORM.get(match["verb"])
    who, rest = subject(match["subject"]), clause(match["rest"], 14)
    if base is None or not who or not rest:
        return None
    form, past = base
    things, tail = _first_noun(rest)
    does = "did" if past else "do" if who.endswith("s") else "does"
    if not things:
        return None
    asked = f"How many {things} {does} {who} {form} {tail}"
    return asked.rstrip(), match["number"].strip()


def _first_noun(rest: str) -> tuple[str, str]:
    """A phrase cut before its first preposition: what is counted, and the rest."""
    found = re.match(
        r"(?P<things>[A-Za-z'-]+(?:\s[A-Za-z'-]+){0,3}?)(?=\s(?:in|for|from|of|at|on|to|with|by|during|across|"
        r"within|as|under|through|over|per|since)\b|$)",
        rest,
    )
    return (found["things"].strip(), rest[found.end() :].strip()) if found else ("", "")


def share_of(match: re.Match[str]) -> tuple[str, str] | None:
    """About 54% of patients died in hospital: What percentage of patients died in hospital."""
    rest = clause(match["rest"])
    if not rest or len(rest.split()) < 3 or _pronoun(rest):
        return None
    return f"What percentage of {rest}", match["number"].strip()


_COUNTABLE = re.compile(r"(?!compared\b|to\b|of\b|and\b|or\b|the\b|was\b|were\b|is\b)[a-z-]+")


def count_first(match: re.Match[str]) -> tuple[str, str] | None:
    """412 patients were enrolled in May: How many patients were enrolled in May."""
    rest = clause(match["rest"])
    if (
        not rest
        or not _COUNTABLE.match(rest)
        or not re.search(rf"\b(?:{AUXILIARY}|\w+ed)\b", rest)
        or _pronoun(rest)
    ):
        return None
    return f"How many {rest}", match["number"].strip()


OF_FORM = {
    form: (base, at == 0 and len(forms.split()) > 1)
    for base, forms in BASE.items()
    for at, form in enumerate(forms.split())
}


def _pronoun(text: str) -> bool:
    return bool(re.search(r"\b(?:it|its|they|their|these|this|those|we|our|he|she)\b", text, re.I))


def stands_for(match: re.Match[str]) -> tuple[str, str] | None:
    """Mother-to-child transmission (MTCT) is ...: What does MTCT stand for."""
    letters = [letter for letter in match["short"].lower() if letter.isalpha()]
    words = re.findall(r"[A-Za-z]+", match["long"])
    for count in range(len(letters), min(len(letters) + 3, len(words)) + 1):
        tail = words[-count:]
        initials = [word[0].lower() for word in tail]
        if initials[0] == letters[0] and _in_order(letters, initials) and len(tail) > 1:
            start = match["long"].rindex(tail[0]) if tail.count(tail[0]) == 1 else 0
            return f"What does {match['short']} stand for", match["long"][start:].strip()
    return None


def _in_order(letters: Sequence[str], initials: Sequence[str]) -> bool:
    remaining = iter(initials)
    return all(letter in remaining for letter in letters)


def what_is(match: re.Match[str]) -> tuple[str, str] | None:
    """Wannacry is a worm that ...: What is Wannacry."""
    term = subject(match["term"], 6)
    be = "are" if match["be"] in ("are", "were") else "is"
    if (
        not term or not specific(term) or term.lower().startswith("figure")
    ):  # "the sender was an account" tells what none is
        return None
    return f"What {be} {term}", match["body"].rstrip(".")


_DONE = re.compile(
    r"^(?!(?:the|a|an|they|he|she|it|this|these|that|one|some|many)\b)[a-z]+\s"  # an imperative
    r"|\b(?:should|must|can|could|need(?:s|ed)?\sto|ha(?:s|ve)\sto)\b"
    r"|\b(?:is|are|was|were|be|been)\s(?:\w+ly\s)?\w+(?:ed|en|wn|ne|ut)\b"
)


_NO_GOAL = re.compile(r"(?:date|this|that|an?|the|our|some|its|their)\b")


def how_to(match: re.Match[str]) -> tuple[str, str] | None:
    """To mitigate the flaw, upgrade to 7.4: How can one mitigate the flaw."""
    goal, how = match["goal"], match["how"]
    if len(goal.split()) > 14 or _pronoun(goal) or _NO_GOAL.match(goal):
        return None
    if not _DONE.search(how):  # a story: to stay unseen, the group changed its tools
        return None
    return f"How can one {goal}", how.rstrip(".")


def what_should(match: re.Match[str]) -> tuple[str, str] | None:
    """Firms should patch servers to prevent reuse: What should firms do to prevent reuse."""
    who, goal = subject(match["subject"], 6), clause(match["goal"], 14)
    if not who or not goal or _pronoun(goal) or match["action"].startswith("be "):
        return None
    return f"What {match['modal']} {who} do to {goal}", match["action"].strip()


_NOBODY = re.compile(
    r"\b(?:tables?|figures?|fig|results?|data|analys[ei]s|e?-?mails?|sections?|messages?|evidence|several|"
    r"previous|recent|many|some)\b",
    re.I,
)


def who_says(match: re.Match[str]) -> tuple[str, str] | None:
    """The bureau warned that X: Who warned that X."""
    who, what = subject(match["who"], 8), clause(match["what"], 20)
    if not specific(who) or _NOBODY.search(who) or _pronoun(what) or len(what.split()) < 5:
        return None
    return f"Who {match['verb']} that {decapitalised(what)}", match["who"][: len(who)]


def according(match: re.Match[str]) -> tuple[str, str] | None:
    """According to the bureau, X: According to whom X."""
    what = clause(match["what"], 20)
    if not subject(match["who"]) or _pronoun(what) or len(what.split()) < 4:
        return None
    return f"Who is the source for the statement that {decapitalised(what)}", match["who"]


def by_whom(match: re.Match[str]) -> tuple[str, str] | None:
    """The bridge was designed by Okafor: By whom was the bridge designed."""
    what, agent = subject(match["subject"]), clause(match["agent"], 8)
    if not specific(what) or not specific(agent) or agent[0].isdigit() or _pronoun(agent):
        return None
    return f"By whom or what {match['be']} {what} {match['part']}", agent


def why(match: re.Match[str]) -> tuple[str, str] | None:
    """Costs were higher because fuel rose: Why were costs higher."""
    who, what = subject(match["subject"]), without_adverb(match["rest"]).strip(" ,")
    if not who or _pronoun(what) or not 1 <= len(what.split()) <= 16:
        return None
    if what.endswith((" not", " only", " partly")) or what in ("not", "only"):
        return None
    asked = f"Why {match['be']} {who} {what}"
    return asked, clause(match["why"], 30) or match["why"].rstrip(".")


_NO_VERB = re.compile(r"by\b|(?:\S+\s){0,3}(?:is|are|was|were|has|have|had|also)\b")


def what_does(match: re.Match[str]) -> tuple[str, str] | None:
    """DC-SIGNR plays a crucial role in MTCT: What plays a crucial role in MTCT."""
    done = clause(match["done"], 14)
    who = subject(match["subject"], 8)
    if not specific(who) or len(done.split()) < 3 or _pronoun(done) or _NO_VERB.match(done):
        return None
    return f"What {match['verb']} {done}", match["subject"][: len(who)]


_NUMBERED = re.compile(
    r"\b(?:notes?|pages?|figures?|tables?|items?|sections?|forms?|parts?|exhibits?|chapters?|version|"
    r"nos?|topic|rule|step|level|type|phase|class|day|ec|ph)\.?$",
    re.IGNORECASE,
)


def gap(match: re.Match[str]) -> tuple[str, str] | None:
    """Sales in Asia rose, in all, 4.2% on the year before: a cloze, where no other rule fits."""
    text = match[0]
    for value in values_of(text):
        before = re.split(r"[,;:()]\s", text[: value.span.start])[-1].strip()
        after = clause(text[value.span.end :], 12)
        asked = f"{before} … {after}"
        if (
            value.kind == "number"
            and any(map(str.isdigit, value.text))
            and text.count(value.text) == 1
            and 8 <= len(asked.split()) <= 20
            and len(before.split()) >= 4
            and text.startswith(before)  # from the beginning of the statement
            and not _pronoun(asked)
            and asked.count("(") == asked.count(")")
            and not _NUMBERED.search(before)
            and not text[value.span.end : value.span.end + 1].strip(" .,;)")
        ):
            return f'Which figure completes the statement "{asked.strip()}"', value.text.strip()
    return None


DOES = (
    "plays|causes|caused|prevents|prevented|regulates|inhibits|allows|allowed|enables|enabled|"
    "provides|provided|leads to|led to|contributes to|contributed to|exploits|exploited|targets|"
    "targeted|steals|stole|encrypts|encrypted|deploys|deployed|communicates|downloads|downloaded|"
    "executes|executed|requires|required|supports|reduces|reduced|increases|induces|induced|"
    "mediates|activates|binds|encodes|affects|affected|determines|describes|represents|governs|"
    "manufactures|offers|operates|launched|introduced|acquired|replaced|won|defeated|connects"
)
SAYS = (
    "said|reported|found|showed|observed|suggested|announced|stated|concluded|demonstrated|"
    "estimated|assessed|assesses|believes?|warned|noted|argued|claimed|proposed|revealed"
)
