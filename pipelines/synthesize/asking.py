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


def amount_of(match: re.Match[str]) -> tuple[str, str] | None:
    """Gross margin was 47.3% in 2025: What was gross margin in 2025."""
    of, rest = subject(match["subject"], 12), match["rest"]
    values = values_of(rest[:60])
    if not of or not values or values[0].kind != "number":
        return None
    before = rest[: values[0].span.start].strip()
    if len(before.split()) > 2:
        return None
    when = _WHEN.search(rest, values[0].span.end)
    said = match["verb"] if match["verb"] in ("was", "were", "is", "are") else "was"
    asked = f"What {said} {of}"
    if when and not _WHEN.search(of):
        asked += f" {when[0]}"
    return asked, values[0].text.strip()


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
    return (f"What {be} {term}", match["body"].rstrip(".")) if term else None


def how_to(match: re.Match[str]) -> tuple[str, str] | None:
    """To mitigate the flaw, upgrade to 7.4: How can one mitigate the flaw."""
    goal = match["goal"]
    if len(goal.split()) > 14 or _pronoun(goal) or goal.split()[0] in ("date", "this", "that"):
        return None
    return f"How can one {goal}", match["how"].rstrip(".")


def what_should(match: re.Match[str]) -> tuple[str, str] | None:
    """Firms should patch servers to prevent reuse: What should firms do to prevent reuse."""
    who, goal = subject(match["subject"], 6), clause(match["goal"], 14)
    if not who or not goal or _pronoun(goal) or match["action"].startswith("be "):
        return None
    return f"What {match['modal']} {who} do to {goal}", match["action"].strip()


def who_says(match: re.Match[str]) -> tuple[str, str] | None:
    """The bureau warned that X: Who warned that X."""
    who, what = subject(match["who"], 8), clause(match["what"], 20)
    if not who or _pronoun(what) or len(what.split()) < 4:
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
    if not what or not agent or _pronoun(agent):
        return None
    return f"By whom or what {match['be']} {what} {match['part']}", agent


def why(match: re.Match[str]) -> tuple[str, str] | None:
    """Costs were higher because fuel rose: Why were costs higher."""
    who, what = subject(match["subject"]), without_adverb(match["rest"].strip(" ,"))
    if not who or _pronoun(what) or not 1 <= len(what.split()) <= 16:
        return None
    asked = f"Why {match['be']} {who} {what}"
    return asked, clause(match["why"], 30) or match["why"].rstrip(".")


def what_does(match: re.Match[str]) -> tuple[str, str] | None:
    """DC-SIGNR plays a crucial role in MTCT: What plays a crucial role in MTCT."""
    done = clause(match["done"], 14)
    who = subject(match["subject"], 8)
    if not who or len(done.split()) < 3 or _pronoun(done):
        return None
    return f"What {match['verb']} {done}", match["subject"][: len(who)]


_NUMBERED = re.compile(
    r"\b(?:notes?|pages?|figures?|tables?|items?|sections?|forms?|parts?|exhibits?|chapters?|version|"
    r"no|topic|rule|step)\.?$",
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
            and len(before.split()) >= 3
            and not _pronoun(asked)
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
