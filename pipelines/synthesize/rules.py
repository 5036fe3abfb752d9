"""Questions by rules: no language model, the same ones on every machine.

Each rule looks at one sentence (or at those on one topic) and makes a question whose answer stands
there. They know some plain patterns of English statements; what fits none is not asked about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pipelines.synthesize.draft import Draft, Rejected, Task, Usage
from pipelines.synthesize.grammar import (
    AUXILIARY,
    BASE,
    clause,
    decapitalised,
    one_line,
    subject,
    without_adverb,
)
from pipelines.synthesize.windows import Window
from rag.grounding.values import values_of
from rag.sentences import is_row
from rag.settings import QuestionKind
from rag.spans import Span, SpanSet

__all__ = ["RulesEngine"]

VERSION = "rules 1"

_FEWEST_WORDS, _MOST_WORDS = 5, 60  # of a sentence that is asked about
_LONGEST_ANSWER = 400  # characters of an answer that is a text


class _Found(NamedTuple):
    """A question, its answer, and the numbers of the sentences that give it."""

    question: str
    answer: str
    sentences: tuple[int, ...]


class RulesEngine:
    """Asks by pattern: for numbers, meanings, procedures, sources, reasons, and what is said apart."""

    name = "rules"
    signature = VERSION
    batch = 1

    def __init__(self) -> None:
        self._asked: set[tuple[str, str]] = set()

    def draft(self, tasks: Sequence[Task]) -> list[Draft | Rejected]:
        """A question for each task: of its kind, else of another that its window allows."""
        return [self._draft(task) for task in tasks]

    def remember(self, document: str, question: str) -> None:
        """It is not asked again."""
        self._asked.add((document, question))

    def confirm(self, draft: Draft) -> tuple[bool, Usage]:
        """Whether the answer stands in the excerpts, as every rule means it to."""
        told = one_line(" ".join(draft.excerpts)).lower()
        return all(part.lower() in told for part in draft.answer.split(" | ")), Usage()

    def _draft(self, task: Task) -> Draft | Rejected:
        window = task.window
        # What is said apart is asked about in its turn only: it would stand in for everything.
        others = (
            (kind, rule) for kind, rule in RULES.items() if kind not in (task.kind, "comparison")
        )
        cloze = [(task.kind, _CLOZE)] if task.kind == "numeric" else []
        for kind, rule in ((task.kind, RULES[task.kind]), *others, *cloze):
            fresh = [each for each in rule(window) if self._key(window, each) not in self._asked]
            if fresh:
                found = fresh[task.number % len(fresh)]
                self._asked.add(self._key(window, found))
                spans = [window.reading.sentences[at] for at in found.sentences]
                references = SpanSet(_whole(window, spans))
                return Draft(task, found.question, found.answer, kind, references)
        return Rejected(task, "nothing to ask")

    @staticmethod
    def _key(window: Window, found: _Found) -> tuple[str, str]:
        return window.document.id, found.question


def _whole(window: Window, spans: Sequence[Span]) -> Iterator[Span]:
    """The spans, and what stands between two that only white space parts."""
    text = window.document.text
    last: Span | None = None
    for span in spans:
        if last and not text[last.end : span.start].strip():
            yield Span(last.end, span.start)
        yield span
        last = span


def _statements(window: Window) -> Iterator[tuple[int, str]]:
    """The sentences of a window that are plain statements, each on one line."""
    for number in range(window.first, window.last):
        text = one_line(window.reading.text(number))
        words = len(text.split())
        letters = sum(map(str.isalpha, text))
        if (
            _FEWEST_WORDS <= words <= _MOST_WORDS
            and text[-1] in ".”\"'"
            and (text[0].isupper() or text[0].isdigit())
            and letters > 0.6 * len(text)
            and not is_row(text)
        ):
            yield number, text


_Pattern = tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[str, str] | None]]


def _by(*patterns: _Pattern) -> Callable[[Window], Iterator[_Found]]:
    """A rule that tries patterns on every statement of a window."""

    def rule(window: Window) -> Iterator[_Found]:
        for number, text in _statements(window):
            for pattern, ask in patterns:
                match = pattern.match(text)
                asked = ask(match) if match else None
                if asked and all(asked):
                    question, answer = asked
                    opening = text.split()[0]
                    if opening[1:].islower() and opening.lower() in window.reading.small:
                        question = question.replace(f" {opening} ", f" {opening.lower()} ", 1)
                    yield _Found(f"{question}?", answer[:_LONGEST_ANSWER], (number,))
                    break

    return rule


_SUBJECT = r"(?P<subject>[^,;:()|]{3,90}?)"
_HEDGE = r"(?:approximately|about|around|over|nearly|almost|more than|less than|at least|some)?\s?"
_NUMBER = r"(?P<number>(?:[$€£]\s?)?\d[\d,.]*\d?\s?(?:%|percent|million|billion|thousand)?)"
_WHEN = re.compile(
    r"\b(?:in|for|during|at|as of|by|on|since)\s(?:the\s)?(?:\w+\s){0,4}?(?:19|20)\d\d\b"
)


def _amount_of(match: re.Match[str]) -> tuple[str, str] | None:
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


def _how_many(match: re.Match[str]) -> tuple[str, str] | None:
    """The harbour recorded 412 arrivals in May: How many arrivals did the harbour record in May."""
    base = _OF_FORM.get(match["verb"])
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
        r"(?P<things>(?:[A-Za-z'-]+\s?){1,4}?)(?=\s(?:in|for|from|of|at|on|to|with|by|during|across|"
        r"within|as|under|through|over|per|since)\b|$)",
        rest,
    )
    return (found["things"].strip(), rest[found.end() :].strip()) if found else ("", "")


def _share_of(match: re.Match[str]) -> tuple[str, str] | None:
    """About 54% of patients died in hospital: What percentage of patients died in hospital."""
    rest = clause(match["rest"])
    if not rest or len(rest.split()) < 3 or _pronoun(rest):
        return None
    return f"What percentage of {rest}", match["number"].strip()


_COUNTABLE = re.compile(r"(?!compared\b|to\b|of\b|and\b|or\b|the\b|was\b|were\b|is\b)[a-z-]+")


def _count_first(match: re.Match[str]) -> tuple[str, str] | None:
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


_OF_FORM = {
    form: (base, at == 0 and len(forms.split()) > 1)
    for base, forms in BASE.items()
    for at, form in enumerate(forms.split())
}


def _pronoun(text: str) -> bool:
    return bool(re.search(r"\b(?:it|its|they|their|these|this|those|we|our|he|she)\b", text, re.I))


def _stands_for(match: re.Match[str]) -> tuple[str, str] | None:
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


def _what_is(match: re.Match[str]) -> tuple[str, str] | None:
    """Wannacry is a worm that ...: What is Wannacry."""
    term = subject(match["term"], 6)
    be = "are" if match["be"] in ("are", "were") else "is"
    return (f"What {be} {term}", match["body"].rstrip(".")) if term else None


def _how_to(match: re.Match[str]) -> tuple[str, str] | None:
    """To mitigate the flaw, upgrade to 7.4: How can one mitigate the flaw."""
    goal = match["goal"]
    if len(goal.split()) > 14 or _pronoun(goal) or goal.split()[0] in ("date", "this", "that"):
        return None
    return f"How can one {goal}", match["how"].rstrip(".")


def _what_should(match: re.Match[str]) -> tuple[str, str] | None:
    """Firms should patch servers to prevent reuse: What should firms do to prevent reuse."""
    who, goal = subject(match["subject"], 6), clause(match["goal"], 14)
    if not who or not goal or _pronoun(goal) or match["action"].startswith("be "):
        return None
    return f"What {match['modal']} {who} do to {goal}", match["action"].strip()


def _who_says(match: re.Match[str]) -> tuple[str, str] | None:
    """The bureau warned that X: Who warned that X."""
    what = clause(match["what"], 20)
    if not subject(match["who"], 8) or _pronoun(what) or len(what.split()) < 4:
        return None
    return f"Who {match['verb']} that {decapitalised(what)}", match["who"]


def _according(match: re.Match[str]) -> tuple[str, str] | None:
    """According to the bureau, X: According to whom X."""
    what = clause(match["what"], 20)
    if not subject(match["who"]) or _pronoun(what) or len(what.split()) < 4:
        return None
    return f"Who is the source for the statement that {decapitalised(what)}", match["who"]


def _by_whom(match: re.Match[str]) -> tuple[str, str] | None:
    """The bridge was designed by Okafor: By whom was the bridge designed."""
    what, agent = subject(match["subject"]), clause(match["agent"], 8)
    if not what or not agent or _pronoun(agent):
        return None
    return f"By whom or what {match['be']} {what} {match['part']}", agent


def _why(match: re.Match[str]) -> tuple[str, str] | None:
    """Costs were higher because fuel rose: Why were costs higher."""
    who, what = subject(match["subject"]), without_adverb(match["rest"].strip(" ,"))
    if not who or _pronoun(what) or not 1 <= len(what.split()) <= 16:
        return None
    asked = f"Why {match['be']} {who} {what}"
    return asked, clause(match["why"], 30) or match["why"].rstrip(".")


def _what_does(match: re.Match[str]) -> tuple[str, str] | None:
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


def _gap(match: re.Match[str]) -> tuple[str, str] | None:
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


_DOES = (
    "plays|causes|caused|prevents|prevented|regulates|inhibits|allows|allowed|enables|enabled|"
    "provides|provided|leads to|led to|contributes to|contributed to|exploits|exploited|targets|"
    "targeted|steals|stole|encrypts|encrypted|deploys|deployed|communicates|downloads|downloaded|"
    "executes|executed|requires|required|supports|reduces|reduced|increases|induces|induced|"
    "mediates|activates|binds|encodes|affects|affected|determines|describes|represents|governs|"
    "manufactures|offers|operates|launched|introduced|acquired|replaced|won|defeated|connects"
)
_SAYS = (
    "said|reported|found|showed|observed|suggested|announced|stated|concluded|demonstrated|"
    "estimated|assessed|assesses|believes?|warned|noted|argued|claimed|proposed|revealed"
)


def _compare(window: Window) -> Iterator[_Found]:
    """Sentences on one topic, some of them far away: what all of them say of it."""
    word, sentences = window.topic
    texts = [one_line(window.reading.text(at)) for at in sentences]
    plain = [len(text.split()) >= _FEWEST_WORDS and not is_row(text) for text in texts]
    if not word or not all(plain):
        return
    about = _joined_words([_subject_matter(window, at) for at in sentences])
    if not about:
        return
    written = _as_written(word, texts)
    numbers = [[v.text for v in values_of(text) if v.kind == "number"] for text in texts]
    if all(numbers) and len(texts) == 2:
        asked = f"How do the figures given for {written} compare, those on {about}?"
        yield _Found(asked, _joined(texts), sentences)
    asked = f"What is said about {written} with regard to {about}?"
    yield _Found(asked, _joined(texts), sentences)


def _subject_matter(window: Window, number: int) -> str:
    """The rarest long word of a sentence that the document writes in small letters."""
    reading = window.reading
    words = re.findall(r"\b[a-z]{6,}\b", reading.text(number))
    known = [word for word in words if word in reading.where and not word.endswith("ly")]
    return min(known, key=lambda word: (len(reading.where[word]), -len(word), word), default="")


def _joined_words(words: Sequence[str]) -> str:
    """One, two and three; "" where a word is missing or two are the same."""
    if not all(words) or len(set(words)) < len(words):
        return ""
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _as_written(word: str, texts: Sequence[str]) -> str:
    """The word as it stands, with the name it is part of."""
    name = re.compile(
        rf"(?:[A-Z][\w-]*\s){{0,2}}\b{re.escape(word)}\b(?:\s[A-Z][\w-]*){{0,2}}", re.I
    )
    found = [
        match[0] for text in texts if (match := re.search(rf"\b{re.escape(word)}\b", text, re.I))
    ]
    longer = [match[0] for text in texts[:1] if (match := name.search(text))]
    cased = [each for each in longer if all(part[0].isupper() for part in each.split())]
    return (cased or found or [word])[0]


def _joined(texts: Sequence[str]) -> str:
    """Several sentences as one answer; `confirm` looks for each."""
    return " | ".join(texts)


RULES: Mapping[QuestionKind, Callable[[Window], Iterator[_Found]]] = {
    "numeric": _by(
        (
            re.compile(
                rf"{_SUBJECT}\s(?P<verb>was|were|is|are|totall?ed|reached|amounted to|came to|"
                rf"stood at|averaged|rose to|fell to|increased to|decreased to|declined to|"
                rf"grew to)\s(?P<rest>{_HEDGE}{_NUMBER}.*)$"
            ),
            _amount_of,
        ),
        (
            re.compile(
                rf"{_SUBJECT}\s(?P<verb>{'|'.join(_OF_FORM)})\s{_HEDGE}(?P<number>\d[\d,]*)\s"
                rf"(?P<rest>[a-z].*)$"
            ),
            _how_many,
        ),
        (
            re.compile(rf"{_HEDGE}(?P<number>\d[\d.]*\s?(?:%|percent))\sof\s(?P<rest>.+)$", re.I),
            _share_of,
        ),
        (
            re.compile(rf"(?i:{_HEDGE})(?P<number>\d[\d,]*)\s(?P<rest>[a-z].+)$"),
            _count_first,
        ),
    ),
    "comparison": _compare,
    "definition": _by(
        (
            re.compile(
                r".*?(?P<long>(?:[\w-]+\s){2,8})\((?P<short>[A-Z][A-Za-z0-9]*[A-Z][A-Za-z0-9]*)\)"
            ),
            _stands_for,
        ),
        (
            re.compile(
                r"(?P<term>[^,;:()|]{3,60}?)\s(?P<be>is|are|was|were|refers to|means)\s"
                r"(?P<body>(?:an?|the|any|one of)\s.{20,})$"
            ),
            _what_is,
        ),
    ),
    "procedure": _by(
        (re.compile(r"To\s(?P<goal>[a-z][^,;:()]{8,100}),\s(?P<how>.{10,})$"), _how_to),
        (
            re.compile(
                rf"{_SUBJECT}\s(?P<modal>should|must)\s(?P<action>.{{8,200}}?)\s"
                r"(?:in order\s)?to\s(?P<goal>(?:reduce|prevent|avoid|ensure|mitigate|protect|"
                r"detect|identify|limit|obtain|maintain|improve|determine|block|remove|restore)"
                r"\s.+)$"
            ),
            _what_should,
        ),
    ),
    "attribution": _by(
        (re.compile(r"According to\s(?P<who>[^,;:]{3,80}),\s(?P<what>.+)$"), _according),
        (
            re.compile(
                rf"(?P<who>[A-Z][^,;:()|]{{2,80}}?)\s(?P<verb>{_SAYS})\sthat\s(?P<what>.+)$"
            ),
            _who_says,
        ),
        (
            re.compile(
                rf"{_SUBJECT}\s(?P<be>was|were|is|are)\s(?P<part>\w+ed|written|built|led|won|made|"
                r"known|given|held|driven|found)\sby\s(?P<agent>.+)$"
            ),
            _by_whom,
        ),
    ),
    "explanation": _by(
        (
            re.compile(
                rf"{_SUBJECT}\s(?P<be>{AUXILIARY})\s(?P<rest>[^;:()]{{3,140}}?),?\s"
                r"(?:(?:primarily|mainly|largely|partly)\s)?"
                r"(?:because(?: of)?|due to|owing to|as a result of)\s(?P<why>.{8,})$"
            ),
            _why,
        ),
        (re.compile(rf"{_SUBJECT}\s(?P<verb>{_DOES})\s(?P<done>.+)$"), _what_does),
    ),
}
"""Each kind of question, and how it is made. In the order in which one stands in for another."""

_CLOZE = _by((re.compile(r".*"), _gap))
