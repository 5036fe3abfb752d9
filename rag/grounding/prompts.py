"""What SIFT asks of a model: to write a sticker, to mend one, to draw one from an answer.

The prompts are our own; those of the paper (arXiv 2502.14922, appendix) are for sums in words. For
a chat model every prompt that needs the context begins alike (orders, sources, question), for a
model that completes examples too (examples, text), so that an engine which remembers prefixes reads
the context once. The latter writes one line for all facts, and keeps the question as it was asked.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag.generation.base import Prompt
from rag.generation.prompt import (
    INSTRUCTIONS,
    complete_answer,
    defused,
    on_one_line,
    render_question,
    worked_examples,
)
from rag.types import Context, Sticker

__all__ = [
    "answer_from_both",
    "answer_from_sticker",
    "draw_sticker",
    "mend_sticker",
    "write_sticker",
]

_FORM = (
    'Answer in JSON: {"facts": [{"text": "...", "quote": "...", "source": 1}], "question": "..."}. '
    "Each fact says one thing and is complete by itself, with its subject, number and unit; its "
    "quote is copied letter by letter from the source with that number. The question asks, in one "
    "sentence, only for what is not known."
)
_WRITE = (
    "Do not answer yet. List the facts in the sources that are needed to answer the question, and "
    f"restate the question. {_FORM} If no source has such a fact, leave the list empty."
)
_MEND = (
    "Do not answer yet. Correct this list of facts: add what is missing, take out what the sources "
    f"do not say or the answer does not need, mend what differs from them. {_FORM}"
)
_DRAW = (
    "List the facts that this answer takes as given, without any of its reasoning, and the "
    f"question that it answers. {_FORM}"
)

_DRAWN = """\
List the facts that each answer rests on.

Question: How many arrivals were recorded in May?
Answer: 412
Facts: 412 arrivals were recorded in May.

"""


def write_sticker(question: str, context: Context, *, few_shot: bool) -> Prompt:
    """Ask for the sticker of a question (SG)."""
    if few_shot:
        return Prompt("", f"{worked_examples(question, context)}Facts:")
    return Prompt(INSTRUCTIONS, f"{render_question(question, context)}\n\n{_WRITE}")


def mend_sticker(
    question: str, context: Context, sticker: Sticker, findings: Sequence[str], *, few_shot: bool
) -> Prompt:
    """Ask for a better one, against question and context (FO); `findings` say what is wrong."""
    if few_shot:
        facts = defused(on_one_line(_sentences(sticker)))
        about = worked_examples(question, context)
        return Prompt("", f"{about}Facts: {facts}\nCorrected facts:")
    listed = _listed(sticker, context) or "(none)"
    wrong = "".join(f"\n- {defused(on_one_line(each))}" for each in findings)
    found = f"\n\nWhat a check found:{wrong}" if findings else ""
    request = f"{render_question(question, context)}\n\nFacts:\n{listed}{found}\n\n{_MEND}"
    return Prompt(INSTRUCTIONS, request)


def draw_sticker(question: str, answer: str, *, few_shot: bool) -> Prompt:
    """Ask for the sticker that an answer rests on (IG); the context is not shown."""
    given = defused(on_one_line(answer))
    if few_shot:
        asked = defused(on_one_line(question))
        return Prompt("", f"{_DRAWN}Question: {asked}\nAnswer: {given}\nFacts:")
    return Prompt(INSTRUCTIONS, f"An answer: {given}\n\n{_DRAW}")


def answer_from_sticker(sticker: Sticker, context: Context, *, few_shot: bool) -> Prompt:
    """Ask the sticker's question of its facts alone; the context only numbers their sources."""
    if few_shot:
        return complete_answer(sticker.question, Context(), _sentences(sticker))
    asked = defused(sticker.question)
    return Prompt(INSTRUCTIONS, f"Facts:\n{_listed(sticker, context)}\n\nQuestion: {asked}")


def answer_from_both(
    question: str, context: Context, sticker: Sticker, *, few_shot: bool
) -> Prompt:
    """Ask the question of the context, with the facts beside it."""
    if few_shot:
        return complete_answer(question, context, _sentences(sticker))
    request = render_question(question, context)
    return Prompt(INSTRUCTIONS, f"{request}\n\nFacts:\n{_listed(sticker, context)}")


def _sentences(sticker: Sticker) -> str:
    return " ".join(fact.text for fact in sticker.facts)


def _listed(sticker: Sticker, context: Context) -> str:
    """The facts, each with the marks of the passages that hold it."""
    number = {
        (source.chunk.doc_id, source.chunk.span): at
        for at, passage in enumerate(context.passages, start=1)
        for source in passage.sources
    }
    lines: list[str] = []
    for fact in sticker.facts:
        sources = {
            at
            for (doc_id, span), at in number.items()
            for each in fact.evidence
            if each.doc_id == doc_id and span.covers(each.span)
        }
        marks = "".join(f" [S{at}]" for at in sorted(sources))
        lines.append(f"- {defused(on_one_line(fact.text))}{marks}")
    return "\n".join(lines)
