"""Stickers: what a model wrote is read strictly, and each fact is found in the context or dropped.

Source: Zeng et al., "SIFT: Grounding LLM Reasoning in Contexts via Stickers" (arXiv 2502.14922).
There a sticker is text, and nothing says that its facts stand in what was given. Departure: here
each fact has evidence, a stretch of the kept context that was found by code.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from rag.evidence.units import units_of
from rag.grounding.anchor import find_quote, holds
from rag.grounding.citations import cite
from rag.grounding.support import find_support
from rag.grounding.values import same_value, values_of
from rag.sentences import sentence_spans
from rag.types import Citation, Context, Fact, Sticker

__all__ = ["SCHEMA", "Written", "findings", "ground", "quoted_sticker", "read_sticker"]

_MOST = 24  # facts of a sticker; a model that repeats itself writes without end


class _Statement(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str
    quote: str = ""
    source: int = 0


class Written(BaseModel):
    """A sticker as a model wrote it: its claims, not yet facts."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    facts: tuple[_Statement, ...]
    question: str = ""

    @classmethod
    def verbatim(cls, text: str) -> Written:
        """A reply in no known form, as one claim."""
        return cls(facts=(_Statement(text=text),))


SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["facts", "question"],
    "properties": {
        "facts": {
            "type": "array",
            "maxItems": _MOST,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["text", "quote", "source"],
                "properties": {
                    "text": {"type": "string"},
                    "quote": {"type": "string"},
                    "source": {"type": "integer"},
                },
            },
        },
        "question": {"type": "string"},
    },
}
"""The JSON schema of a sticker, for engines that hold a model to one."""


def read_sticker(text: str, *, few_shot: bool) -> Written | None:
    """What a model wrote, or None where that is no sticker.

    A chat model writes JSON, perhaps in a fence or with words around it; one that was cut off
    counts as far as it goes. A model that completes examples writes a line of sentences.
    """
    if few_shot:
        sentences = [" ".join(span.text_in(text).split()) for span in sentence_spans(text)]
        facts = tuple(_Statement(text=each) for each in sentences if any(map(str.isalnum, each)))
        return Written(facts=facts) if facts else None
    begun = text[max(text.find("{"), 0) :]
    try:
        value = from_json(begun[: begun.rfind("}") + 1])
    except ValueError:
        value = _cut_off(begun)
    try:
        return Written.model_validate(value)
    except ValidationError:
        return None


def _cut_off(begun: str) -> Any:
    """What JSON holds that ends before its end, without the fact that it ends in."""
    try:
        value = from_json(begun, allow_partial=True)
    except ValueError:
        return None
    match value:
        case {"facts": [*whole, dict(last)]} if "text" not in last:
            return {**value, "facts": whole}
        case _:
            return value


def ground(written: Written, question: str, context: Context, *, paper: bool = False) -> Sticker:
    """The sticker with each fact's evidence; a fact that the context does not hold is dropped.

    Args:
        written: by a model.
        question: taken where it restated none.
        context: what it was shown.
        paper: keep every fact, as the paper does, with evidence where there is some.
    """
    facts: dict[str, Fact] = {}
    dropped = 0
    for statement in written.facts[:_MOST]:
        text = " ".join(statement.text.split())
        if not any(map(str.isalnum, text)) or text.casefold() in facts:
            continue
        evidence = _evidence(statement, context)
        if evidence or paper:
            facts[text.casefold()] = Fact(text, (evidence,) if evidence else ())
        else:
            dropped += 1
    asked = " ".join(written.question.split())
    return Sticker(asked or question, tuple(facts.values()), dropped)


def quoted_sticker(question: str, context: Context) -> Sticker:
    """A sticker without a model: the sentences of a narrow context are its facts."""
    facts = (
        Fact(
            " ".join(unit.text.split()),
            (cite(context.passages[unit.passage], unit.span, verified=True),),
        )
        for unit in units_of(context)
    )
    return Sticker(question, tuple(facts))


def findings(question: str, written: Written, sticker: Sticker) -> list[str]:
    """What a check has to say of a sticker: facts without evidence, values of the question lost."""
    kept = {fact.text for fact in sticker.facts}
    found = [
        f'"{text}" stands in no source'
        for text in dict.fromkeys(" ".join(each.text.split()) for each in written.facts)
        if text not in kept
    ]
    told = " ".join([sticker.question, *(fact.text for fact in sticker.facts)])
    said = values_of(told)
    found += [
        f'the question says "{value.text}", which is in no fact'
        for value in values_of(question)
        if not any(same_value(value, each) for each in said)
    ]
    return found


def _evidence(statement: _Statement, context: Context) -> Citation | None:
    """Where the context says it: at its quote, else where its words stand; None if nowhere."""
    at = max(statement.source, 0)
    named = context.passages[max(at - 1, 0) : at]
    passages = [source for each in (*named, *context.passages) for source in each.sources]
    for quote in filter(str.strip, (statement.quote, statement.text)):
        anchor = find_quote(quote, passages)
        if anchor and holds(statement.text, anchor.passage.chunk.slice(anchor.span)):
            return cite(anchor.passage, anchor.span, verified=True)
    support = find_support(statement.text, passages)
    if support and holds(statement.text, support.passage.chunk.slice(support.span)):
        return cite(support.passage, support.span, verified=True)
    return None
