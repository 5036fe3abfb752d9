"""Questions by rules: no language model, the same ones on every machine.

Each rule looks at one sentence (or at those on one topic) and makes a question whose answer stands
there. They know some plain patterns of English statements; what fits none is not asked about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pipelines.synthesize.asking import (
    DOES,
    HEDGE,
    NUMBER,
    OF_FORM,
    SAYS,
    SUBJECT,
    according,
    amount_of,
    by_whom,
    count_first,
    gap,
    how_many,
    how_to,
    share_of,
    stands_for,
    what_does,
    what_is,
    what_should,
    who_says,
    why,
)
from pipelines.synthesize.draft import Draft, Rejected, Task, Usage
from pipelines.synthesize.grammar import (
    AUXILIARY,
    one_line,
)
from pipelines.synthesize.locate import merged
from pipelines.synthesize.windows import Window
from rag.embedding.context import split_name
from rag.grounding.values import values_of
from rag.sentences import is_row
from rag.settings import QuestionKind, SynthesisSettings

__all__ = ["RulesEngine"]

VERSION = "rules 1"

_FEWEST_WORDS, _MOST_WORDS = 5, 60  # of a sentence that is asked about
_LONGEST_ANSWER = 400  # characters of an answer that is a text


_LISTED = re.compile(r"\(?\w{1,2}[.)]\s")  # the number of an item of a list


_OPENING = 18  # words of a sentence, among which its subject stands
_NOUN = re.compile(  # the end of a phrase: "of the outer basin and"
    r"\b(?:the|an?|its|their|of|in|for|with)\s(?:[\w-]+\s){0,2}?([a-z]{5,})"
    r"(?=\s(?:of|in|for|to|by|with|and|or|is|are|was|were|has|have|that|which|from|on|at)\b|[.,;:)])"
)


_DATED = re.compile(r"(?=.*[A-Za-z]{3}).*\b(?:19|20)\d\d")
_LONGEST_NAME = 5  # words


class _Found(NamedTuple):
    """A question, its answer, and the numbers of the sentences that give it."""

    question: str
    answer: str
    sentences: tuple[int, ...]


class RulesEngine:
    """Asks by pattern: for numbers, meanings, procedures, sources, reasons, and comparisons."""

    name = "rules"
    signature = VERSION
    batch = 1

    def __init__(self, settings: SynthesisSettings) -> None:
        self._settings = settings
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
        window, most = task.window, self._settings.max_references
        for kind, rule in self._rules(task.kind):
            fresh = [
                each
                for each in rule(window)
                if self._key(window, each) not in self._asked and len(each.sentences) <= most
            ]
            if fresh:
                found = fresh[task.number % len(fresh)]
                self._asked.add(self._key(window, found))
                spans = [window.reading.sentences[at] for at in found.sentences]
                references = merged(spans, window.document.text)
                question = _in_document(found.question, window.document.stem)
                return Draft(task, question, found.answer, kind, references)
        return Rejected(task, "nothing to ask")

    def _rules(self, wanted: QuestionKind) -> Iterator[tuple[QuestionKind, _Rule]]:
        """The rules of the kind that is wanted, then of those that may stand in for it."""
        yield wanted, RULES[wanted]
        for kind in self._settings.kinds:
            # What is said apart is asked about in its turn only: it would stand in for everything.
            if kind not in (wanted, "comparison"):
                yield kind, RULES[kind]
        if wanted == "numeric":
            yield wanted, _CLOZE

    @staticmethod
    def _key(window: Window, found: _Found) -> tuple[str, str]:
        return window.document.id, _in_document(found.question, window.document.stem)


def _in_document(question: str, stem: str) -> str:
    """The question, with the document's name where that is short and has a year in it.

    Of "ACME_2022_10K" and its like there are many that say the same; who asks names one.
    """
    name = split_name(stem)
    if not _DATED.search(name) or len(name.split()) > _LONGEST_NAME:
        return question
    return f"In {name}, {question[0].lower()}{question[1:]}"


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
            and letters > len(text) / 2
            and not is_row(text)
            and not _LISTED.match(text)
        ):
            yield number, text


_Rule = Callable[[Window], Iterator[_Found]]
_Pattern = tuple[re.Pattern[str], Callable[[re.Match[str]], tuple[str, str] | None]]


def _by(*patterns: _Pattern) -> _Rule:
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


def _compare(window: Window) -> Iterator[_Found]:
    """Sentences on one topic, some of them far away: what all of them say of it."""
    for word, sentences in window.topics:
        texts = [one_line(window.reading.text(at)) for at in sentences]
        about = _joined_words([_subject_matter(window, at) for at in sentences])
        if not about or not all(_is_about(word, text) for text in texts):
            continue
        written = _as_written(window, word, texts)
        numbers = [[v.text for v in values_of(text) if v.kind == "number"] for text in texts]
        if all(numbers) and len(texts) == 2:
            asked = f"How do the figures given for {written} compare, those on {about}?"
            yield _Found(asked, _joined(texts), sentences)
        asked = f"What is said about {written} with regard to {about}?"
        yield _Found(asked, _joined(texts), sentences)


def _is_about(word: str, text: str) -> bool:
    """Whether a sentence is a plain one, and has the word near its beginning, as its subject."""
    opening = " ".join(text.split()[:_OPENING]).lower()
    return (
        _FEWEST_WORDS <= len(text.split()) <= _MOST_WORDS
        and text[-1] == "."
        and not is_row(text)
        and re.search(rf"\b{re.escape(word)}\b", opening) is not None
    )


def _subject_matter(window: Window, number: int) -> str:
    """The rarest noun of a sentence, as far as its neighbours tell a noun, in small letters."""
    reading = window.reading
    words = _NOUN.findall(one_line(reading.text(number)))
    known = [word for word in words if word in reading.where and not word.endswith("ly")]
    return min(known, key=lambda word: (len(reading.where[word]), -len(word), word), default="")


def _joined_words(words: Sequence[str]) -> str:
    """One, two and three; "" where a word is missing or two are the same."""
    if not all(words) or len(set(words)) < len(words):
        return ""
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _as_written(window: Window, word: str, texts: Sequence[str]) -> str:
    """The word as it stands, with the name that it is part of."""
    name = re.compile(
        rf"(?:[A-Z][\w-]*\s){{0,2}}\b(?i:{re.escape(word)})\b(?:\s[A-Z][\w-]*){{0,2}}"
    )
    for text in texts:
        found = name.search(text)
        parts = found[0].split() if found else []
        while parts and parts[0].lower() in window.reading.small:  # it only opens the sentence
            parts = parts[1:]
        if parts and all(part[0].isupper() or part[0].isdigit() for part in parts):
            return " ".join(parts)
    return word


def _joined(texts: Sequence[str]) -> str:
    """Several sentences as one answer; `confirm` looks for each."""
    return " | ".join(texts)


RULES: Mapping[QuestionKind, _Rule] = {
    "numeric": _by(
        (
            re.compile(
                rf"{SUBJECT}\s(?P<verb>was|were|is|are|totall?ed|reached|amounted to|came to|"
                rf"stood at|averaged|rose to|fell to|increased to|decreased to|declined to|"
                rf"grew to)\s(?P<rest>{HEDGE}{NUMBER}.*)$"
            ),
            amount_of,
        ),
        (
            re.compile(
                rf"{SUBJECT}\s(?P<verb>{'|'.join(OF_FORM)})\s{HEDGE}(?P<number>\d[\d,]*)\s"
                rf"(?P<rest>[a-z].*)$"
            ),
            how_many,
        ),
        (
            re.compile(rf"{HEDGE}(?P<number>\d[\d.]*\s?(?:%|percent))\sof\s(?P<rest>.+)$", re.I),
            share_of,
        ),
        (
            re.compile(rf"(?i:{HEDGE})(?P<number>\d[\d,]*)\s(?P<rest>[a-z].+)$"),
            count_first,
        ),
    ),
    "comparison": _compare,
    "definition": _by(
        (
            re.compile(
                r".*?(?P<long>(?:[\w-]+\s){2,8})\((?P<short>[A-Z][A-Za-z0-9]*[A-Z][A-Za-z0-9]*)\)"
            ),
            stands_for,
        ),
        (
            re.compile(
                r"(?P<term>[^,;:()|]{3,60}?)\s(?P<be>is|are|was|were|refers to|means)\s"
                r"(?P<body>(?:an?|the|any|one of)\s.{20,})$"
            ),
            what_is,
        ),
    ),
    "procedure": _by(
        (re.compile(r"To\s(?P<goal>[a-z][^,;:()]{8,100}),\s(?P<how>.{10,})$"), how_to),
        (
            re.compile(
                rf"{SUBJECT}\s(?P<modal>should|must)\s(?P<action>.{{8,200}}?)\s"
                r"(?:in order\s)?to\s(?P<goal>(?:reduce|prevent|avoid|ensure|mitigate|protect|"
                r"detect|identify|limit|obtain|maintain|improve|determine|block|remove|restore)"
                r"\s.+)$"
            ),
            what_should,
        ),
    ),
    "attribution": _by(
        (re.compile(r"According to\s(?P<who>[^,;:]{3,80}),\s(?P<what>.+)$"), according),
        (
            re.compile(rf"(?P<who>[A-Z][^,;:()|]{{2,80}}?)\s(?P<verb>{SAYS})\sthat\s(?P<what>.+)$"),
            who_says,
        ),
        (
            re.compile(
                rf"{SUBJECT}\s(?P<be>was|were|is|are)\s(?P<part>\w+ed|written|built|led|won|made|"
                r"known|given|held|driven|found)\sby\s(?P<agent>.+)$"
            ),
            by_whom,
        ),
    ),
    "explanation": _by(
        (
            re.compile(
                rf"{SUBJECT}\s(?P<be>{AUXILIARY})\s(?P<rest>[^;:()]{{3,140}}?),?\s"
                r"(?:(?:primarily|mainly|largely|partly)\s)?"
                r"(?:because(?: of)?|due to|owing to|as a result of)\s(?P<why>.{8,})$"
            ),
            why,
        ),
        (re.compile(rf"{SUBJECT}\s(?P<verb>{DOES})\s(?P<done>.+)$"), what_does),
    ),
}
"""Each kind of question, and how it is made. In the order in which one stands in for another."""

_CLOZE = _by((re.compile(r".*"), gap))
