"""SIFT: answer twice, from the facts alone and from the context, until both say the same.

Source: Zeng et al., "SIFT: Grounding LLM Reasoning in Contexts via Stickers" (arXiv 2502.14922),
algorithms 1 and 2: three stages, each of which makes a sticker and predicts with and without what
was given; the first stage whose predictions agree answers, and where none agrees, the plain
prediction does. With retrieved context, "what was given" is the question and the passages.

Departures, unless `grounding.paper` is set: facts that stand nowhere in the passages are dropped,
and stage two is told of them; a sticker that came back unchanged is not asked about again, nor one
without facts; and a question whose answers never agree may be left unanswered. Agreement is judged
by the kind of answer (`rag.grounding.consensus`), in both.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from rag.errors import ModelError, first_line
from rag.generation.base import Generation, Generator, Prompt, PromptWith, Watch, Writer
from rag.generation.prompt import chat_answer, complete_answer
from rag.grounding.consensus import agree
from rag.grounding.prompts import (
    answer_from_both,
    answer_from_sticker,
    draw_sticker,
    mend_sticker,
    write_sticker,
)
from rag.grounding.sticker import SCHEMA, Written, findings, ground, quoted_sticker, read_sticker
from rag.ledger import Entry
from rag.settings import GroundingSettings
from rag.tokens import TokenCounter
from rag.trace import booked, spanned
from rag.types import Context, Grounding, Round, Sticker

__all__ = ["Narrow", "QuotedSticker", "SiftGenerator"]

Narrow = Callable[[str, Context], Context]
"""From a question and a context to the few best sentences of it."""

logger = logging.getLogger(__name__)

_ONCE_MORE = "Write the JSON and nothing else."
_NEVER = "its answers from the facts and from the passages never agreed"


class SiftGenerator:
    """A generator that answers by way of a sticker.

    Args:
        writer: the language model.
        settings: extractive or model-written stickers, and what to do where nothing agrees.
        narrow: chooses the sentences of an extractive sticker.
        counter: measures what each step took in and came to.
    """

    def __init__(
        self, writer: Writer, settings: GroundingSettings, narrow: Narrow, counter: TokenCounter
    ) -> None:
        self._writer = writer
        self._settings = settings
        self._narrow = narrow
        self._counter = counter

    @property
    def name(self) -> str:
        """The model's name."""
        return self._writer.name

    @property
    def reading_speed(self) -> float:
        """The model's."""
        return self._writer.reading_speed

    def generate(
        self, question: str, context: Context, *, watch: Watch | None = None
    ) -> Generation:
        """The answer that both ways lead to; else the plain one, or none.

        Malformed stickers are asked for once more, then an extractive one takes their place, and
        `degraded` says so. What fails on the way ends it: the plain answer is given.

        Raises:
            ModelError: the model gives no plain answer either.
        """
        # Which of its answers is given is known at the end: so nothing is told, but told it is.
        alive = (lambda: watch("")) if watch else (lambda: None)
        run = _Run(
            self._writer, self._settings, self._narrow, self._counter, question, context, alive
        )
        try:
            if self._settings.mode == "extractive":
                run.extractive()
            else:
                run.stages()
        except ModelError as error:
            run.troubles.append(f"{error.message}; no further stage")
        except Exception as error:  # grounding is optional: no question is lost to it
            logger.warning("grounding failed, going on without it", exc_info=True)
            run.troubles.append(f"{type(error).__name__}: {first_line(error)}; no further stage")
        return run.answer()


class QuotedSticker:
    """A generator that is no language model, and the sticker its answer could rest on.

    Nothing is predicted, so nothing can agree: `agreed` is None.
    """

    def __init__(self, generator: Generator, narrow: Narrow) -> None:
        self._generator = generator
        self._narrow = narrow

    @property
    def name(self) -> str:
        """The generator's name."""
        return self._generator.name

    @property
    def reading_speed(self) -> float:
        """The generator's."""
        return self._generator.reading_speed

    def generate(
        self, question: str, context: Context, *, watch: Watch | None = None
    ) -> Generation:
        """What the generator writes, with a sticker."""
        sticker = quoted_sticker(question, self._narrow(question, context))
        written = self._generator.generate(question, context, watch=watch)
        return replace(written, grounding=Grounding(sticker, None, "sticker"))


class _Made(NamedTuple):
    """A sticker, and the claims that it was made of."""

    written: Written
    sticker: Sticker


class _Run:
    """One question on its way through the stages, and what it has cost so far."""

    def __init__(
        self,
        writer: Writer,
        settings: GroundingSettings,
        narrow: Narrow,
        counter: TokenCounter,
        question: str,
        context: Context,
        alive: Callable[[], None],
    ) -> None:
        self._alive = alive
        self._writer, self._settings, self._narrow = writer, settings, narrow
        self._counter, self._tokens_in = counter, counter.total(context.pieces)
        self._question, self._context = question, context
        self._few_shot = writer.few_shot
        self._sticker = Sticker(question)
        self._rounds: list[Round] = []
        self._steps: list[Entry] = []
        self._asked: list[Generation] = []
        self._plain = ""
        self.troubles: list[str] = []

    def extractive(self) -> bool:
        """One round, with a sticker that no model wrote; whether its predictions agree."""
        return self._round("sticker", self._quoted)

    def stages(self) -> bool:
        """All three stages, until the predictions of one agree."""
        made: list[_Made] = []

        def kept(sticker: _Made) -> Sticker:
            made.append(sticker)
            return sticker.sticker

        return (
            self._round("sticker", lambda: kept(self._first()))
            or self._round("forward", lambda: kept(self._mended(made[-1])))
            or self._round("inverse", lambda: kept(self._mended(self._drawn())))
        )

    def answer(self) -> Generation:
        """What it comes to: what was agreed on, else the plain answer, or none."""
        last = self._rounds[-1] if self._rounds else None
        if last and last.agreed:
            return self._done(last.from_both, last.stage, agreed=True)
        if self._settings.fallback == "abstain" and not self._settings.paper:
            return self._done("", "plain", abstains=_NEVER)
        if last and self._settings.mode == "extractive":
            return self._done(last.from_both, last.stage)
        with self._booked("plain"):
            text = self._plain_answer()
        return self._done(text, "plain")

    def _done(
        self, text: str, stage: str, *, agreed: bool = False, abstains: str = ""
    ) -> Generation:
        return Generation(
            text,
            degraded="; ".join(dict.fromkeys(filter(None, self.troubles))),
            abstains=abstains,
            grounding=Grounding(self._sticker, agreed, stage, tuple(self._rounds)),
            steps=tuple(self._steps),
        )

    def _round(self, stage: str, make: Callable[[], Sticker]) -> bool:
        """Make a sticker, and predict with it and with everything; whether these agree."""
        with self._booked(stage):
            before, self._sticker = self._sticker, make()
            nothing_new = not self._sticker.facts or (
                bool(self._rounds) and _same(before, self._sticker)
            )
            if nothing_new and not self._settings.paper:
                return False
            sticker, few_shot = self._sticker, self._few_shot
            # First the one that begins like the prompt before it: an engine may remember that.
            from_both, from_sticker = self._predictions(
                lambda fitting: answer_from_both(
                    self._question, fitting, sticker, few_shot=few_shot
                ),
                lambda fitting: answer_from_sticker(sticker, fitting, few_shot=few_shot),
            )
            found = agree(self._question, from_sticker, from_both)
            self._rounds.append(Round(stage, sticker, from_sticker, from_both, *found))
            return found.agreed

    def _first(self) -> _Made:
        """A sticker of the question and its context (SG)."""
        return self._made(
            lambda fitting: write_sticker(self._question, fitting, few_shot=self._few_shot),
            self._context,
        )

    def _mended(self, made: _Made) -> _Made:
        """A sticker held against question and context, with what a check found in it (FO)."""
        found: list[str] = []
        if not self._settings.paper:
            found = findings(self._question, made.written, made.sticker)
        return self._made(
            lambda fitting: mend_sticker(
                self._question, fitting, made.sticker, found, few_shot=self._few_shot
            ),
            self._context,
        )

    def _drawn(self) -> _Made:
        """A sticker drawn from the answer that saw everything (IG)."""
        answer = self._rounds[-1].from_both if self._rounds else self._plain_answer()
        return self._made(
            lambda _: draw_sticker(self._question, answer, few_shot=self._few_shot), Context()
        )

    def _made(self, prompt_with: PromptWith, shown: Context) -> _Made:
        """Ask for a sticker, once more where it cannot be read; then go without a model."""

        def again(fitting: Context) -> Prompt:
            prompt = prompt_with(fitting)
            return prompt._replace(request=f"{prompt.request}\n\n{_ONCE_MORE}")

        text = ""
        # A model that completes would only write the same again.
        for asking in (prompt_with,) if self._few_shot else (prompt_with, again):
            (text,) = self._ask([asking], shown, schema=SCHEMA)
            written = read_sticker(text, few_shot=self._few_shot)
            if written is not None:
                paper = self._settings.paper
                sticker = ground(written, self._question, self._context, paper=paper)
                return _Made(written, sticker)
        if self._settings.paper and text.strip():  # the paper takes such a reply as it is
            verbatim = Written.verbatim(text)
            return _Made(verbatim, ground(verbatim, self._question, self._context, paper=True))
        self.troubles.append("the model's sticker could not be read: sentences in its place")
        return _Made(Written(facts=()), self._quoted())

    def _quoted(self) -> Sticker:
        return quoted_sticker(self._question, self._narrow(self._question, self._context))

    def _predictions(self, *prompts_with: PromptWith) -> list[str]:
        """What is answered to each prompt; of several that are drawn, one that most agree with."""
        samples = self._settings.samples
        if samples == 1:
            return self._ask(prompts_with, self._context)
        several = [each for each in prompts_with for _ in range(samples)]
        drawn = self._ask(several, self._context, temperature=self._settings.temperature)
        return [
            self._most_agreed(drawn[start : start + samples])
            for start in range(0, len(drawn), samples)
        ]

    def _most_agreed(self, drawn: Sequence[str]) -> str:
        agreeing = [sum(agree(self._question, one, each).agreed for each in drawn) for one in drawn]
        return drawn[agreeing.index(max(agreeing))]

    def _plain_answer(self) -> str:
        """From the context alone; asked once."""
        if not self._plain:
            prompt_for = complete_answer if self._few_shot else chat_answer
            (self._plain,) = self._predictions(lambda fitting: prompt_for(self._question, fitting))
        return self._plain

    def _ask(
        self,
        prompts_with: Sequence[PromptWith],
        context: Context,
        *,
        schema: dict[str, Any] | None = None,
        temperature: float | None = None,
    ) -> list[str]:
        self._alive()
        written = self._writer.write(prompts_with, context, schema=schema, temperature=temperature)
        self._asked.extend(written)
        self.troubles.extend(each.degraded for each in written)
        return [each.text for each in written]

    @contextmanager
    def _booked(self, stage: str) -> Iterator[None]:
        """Book what is asked within as one step."""
        began, before = time.perf_counter(), len(self._asked)
        with spanned(f"rag.sift.{stage}") as figures:
            try:
                yield
            finally:
                seconds = time.perf_counter() - began
                self._steps.append(self._entry(stage, self._asked[before:], seconds))
                figures.update(booked(self._steps[-1]))

    def _entry(self, stage: str, asked: Sequence[Generation], seconds: float) -> Entry:
        """What a step has cost, and what it came to: facts, or the plain answer."""
        told, note = self._plain if stage == "plain" else "", ""
        if self._rounds and self._rounds[-1].stage == stage:
            last = self._rounds[-1]
            told = " ".join(fact.text for fact in last.sticker.facts)
            note = f"{'agreed' if last.agreed else 'not agreed'} ({last.rule})"
        if self._sticker.dropped and stage != "plain":
            note += f"; {self._sticker.dropped} facts without a source dropped"
        return Entry(
            f"sift: {stage}",
            self._tokens_in,
            self._counter.count(told),
            llm_calls=sum(each.llm_calls for each in asked),
            llm_tokens=sum(each.llm_tokens for each in asked),
            llm_cached=sum(each.cached_tokens for each in asked),
            seconds=seconds,
            note=note.removeprefix("; "),
        )


def _same(one: Sticker, other: Sticker) -> bool:
    return (one.question, one.facts) == (other.question, other.facts)
