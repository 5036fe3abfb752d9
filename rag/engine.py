"""The query path: the stages in order, each one booked, none able to lose a question."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from rag.attribution import encoder_of, load_attributor
from rag.clustering import ClusterContext, SummariseClusters, SummaryCache
from rag.errors import ConfigError
from rag.evidence.reader import load_reader
from rag.generation.base import Generator, Summariser, Watch, Writer
from rag.grounding.citations import resolve_citations
from rag.grounding.sift import QuotedSticker, SiftGenerator
from rag.grounding.verify import unsupported
from rag.index import Index
from rag.ledger import Entry, TokenLedger
from rag.pruning import FrugalPrompt, SelectSentences
from rag.routing.routed import RoutedIndex
from rag.settings import SelectionSettings
from rag.stages import Stage
from rag.store import Condition
from rag.trace import booked, code_of, mark, spanned
from rag.types import Answer, Context, Remark, ScoredChunk

__all__ = [
    "ABSTENTION",
    "Gathered",
    "Looked",
    "QueryEngine",
    "Searched",
    "default_stages",
    "look_up",
    "merging_stages",
    "selection_stage",
]

ABSTENTION = "The documents do not hold an answer to this question"
# What the prompt tells a model to write, and how small ones write it.
_NOT_FOUND = re.compile(r"(?:[^.\[\]]{0,40}:\s*)?NOT FOUND\b[^\[\]]{0,60}(?:\[S\d+\]\W*)*")

logger = logging.getLogger(__name__)


Searched = Index | RoutedIndex
"""What questions are put to: an index, or several behind a router."""


class Looked(NamedTuple):
    """What was found, best first; of several indexes, also in which, and which are missing.

    `note` says where the question went, and how probable that was; `degraded` what is missing.
    """

    hits: list[ScoredChunk]
    searched: tuple[str, ...] = ()
    note: str = ""
    degraded: str = ""


class Gathered(NamedTuple):
    """A question with the context it is to be answered from, and what that has cost so far."""

    question: str
    context: Context
    ledger: TokenLedger


class QueryEngine:
    """Answers questions from an index: retrieve, narrow, generate, verify.

    Args:
        index: an open index, or several behind a router.
        generator: who writes the answer.
        stages: what narrows the context, in order; by default those of the settings.
    """

    def __init__(
        self, index: Searched, generator: Generator, stages: Sequence[Stage] | None = None
    ) -> None:
        self._index = index
        self._generator = _grounded(index, generator)
        self._min_evidence = index.settings.selection.min_evidence
        self._stages = default_stages(index, generator) if stages is None else stages

    def query(
        self,
        question: str,
        *,
        top_k: int | None = None,
        conditions: Sequence[Condition] = (),
        observe: Callable[[str, Context], None] = lambda stage, context: None,
        watch: Watch | None = None,
    ) -> Answer:
        """Answer one question, or abstain where the documents hold no evidence.

        Args:
            question: what is asked.
            top_k: how many chunks to retrieve, if not as many as the settings say.
            conditions: only chunks that meet all of them.
            observe: told, after retrieval and after each stage, its name and what it let through,
                with the stage's remark.
            watch: told the answer as a language model writes it, before it is verified.

        Raises:
            StoreError, ModelError: retrieval or generation failed; everything else degrades.
        """
        with spanned("rag.query"):
            gathered = self.gather(question, top_k=top_k, conditions=conditions, observe=observe)
            return self.answer(gathered, watch=watch)

    def gather(
        self,
        question: str,
        *,
        top_k: int | None = None,
        conditions: Sequence[Condition] = (),
        observe: Callable[[str, Context], None] = lambda stage, context: None,
    ) -> Gathered:
        """The first half of `query`, without the generator: retrieve and narrow.

        Raises:
            StoreError: retrieval failed.
        """
        counter = self._index.embedder.counter
        ledger = TokenLedger(unit=counter.name)
        began = time.perf_counter()
        with spanned("rag.retrieve") as figures:
            looked = look_up(self._index, question, top_k=top_k, conditions=conditions)
            context, note, degraded = Context.of(looked.hits), looked.note, looked.degraded
            tokens = counter.total(context.pieces)
            seconds = time.perf_counter() - began
            entry = Entry("retrieve", tokens, tokens, seconds=seconds, note=note, degraded=degraded)
            figures.update(booked(ledger.add(entry)))
        observe("retrieve", context)
        for stage in self._stages:
            context = self._narrow(stage, question, context, ledger)
            observe(stage.name, context)
        return Gathered(question, replace(context, remark=Remark()), ledger)

    def answer(self, gathered: Gathered, *, watch: Watch | None = None) -> Answer:
        """The second half: generate and verify. It may run in several threads at once.

        Raises:
            ModelError: generation failed.
        """
        question, context, ledger = gathered
        reason = self.lacking(context)
        if reason:
            answer = Answer(
                question, f"{ABSTENTION} ({reason}).", (), context, ledger, abstained=True
            )
        else:
            answer = self._answer(question, context, ledger, watch)
        mark(
            {
                "spanrag.abstained": answer.abstained,
                "spanrag.citations": len(answer.citations),
                "spanrag.unsupported": len(answer.unsupported),
            }
        )
        return answer

    def lacking(self, context: Context) -> str:
        """Why a context holds no answer, so that the engine abstains, or ""."""
        if not context.passages:
            return "nothing was retrieved"
        if context.evidence is not None and context.evidence < self._min_evidence:
            return f"best evidence {context.evidence:.2f} is below {self._min_evidence:.2f}"
        return ""

    def _narrow(
        self, stage: Stage, question: str, context: Context, ledger: TokenLedger
    ) -> Context:
        """Run one stage; on failure hand its input on, and book why."""
        counter = self._index.embedder.counter
        tokens_in = counter.total(context.pieces)
        began = time.perf_counter()
        degraded = ""
        with spanned(f"rag.{stage.name}") as figures:
            try:
                narrowed = stage(question, replace(context, remark=Remark()))
                tokens_out = counter.total(narrowed.pieces)
            except Exception as error:
                logger.warning("stage %s failed, going on without it", stage.name, exc_info=True)
                degraded = f"{type(error).__name__}: {error}".splitlines()[0]
                narrowed, tokens_out = replace(context, remark=Remark()), tokens_in
                figures["error.type"] = code_of(error)
            entry = Entry(
                stage.name,
                tokens_in,
                tokens_out,
                narrowed.remark.llm_calls,
                narrowed.remark.llm_tokens,
                time.perf_counter() - began,
                degraded,
                note=narrowed.remark.note,
                overruled=narrowed.remark.overruled,
            )
            figures.update(booked(ledger.add(entry)))
        return narrowed

    def _answer(
        self, question: str, context: Context, ledger: TokenLedger, watch: Watch | None
    ) -> Answer:
        counter = self._index.embedder.counter
        tokens_in = counter.total(context.pieces)
        began = time.perf_counter()
        with spanned("rag.generate") as figures:
            written = self._generator.generate(question, context, watch=watch)
            for step in written.steps:
                ledger.add(step)
            seconds = time.perf_counter() - began - sum(step.seconds for step in written.steps)
            entry = Entry(
                "generate",
                tokens_in,
                counter.count(written.text),
                written.llm_calls,
                written.llm_tokens,
                seconds,
                written.degraded,
                llm_cached=written.cached_tokens,
            )
            figures.update(booked(ledger.add(entry)))
        grounding = written.grounding
        if not written.text.strip() or _NOT_FOUND.fullmatch(written.text.strip()):
            reason = written.abstains or f"{self._generator.name} found none in the sources"
            text = f"{ABSTENTION} ({reason})."
            return Answer(question, text, (), context, ledger, abstained=True, grounding=grounding)
        began = time.perf_counter()
        with spanned("rag.verify") as figures:
            resolved = resolve_citations(written.text, context)
            quoted = sum(counter.count(citation.quote) for citation in resolved.citations)
            entry = Entry("verify", tokens_in, quoted, seconds=time.perf_counter() - began)
            figures.update(booked(ledger.add(entry)))
        return Answer(
            question,
            resolved.text,
            resolved.citations,
            context,
            ledger,
            dropped_citations=resolved.dropped,
            grounding=grounding,
            unsupported=unsupported(resolved.text, resolved.citations),
        )


def look_up(
    index: Searched,
    question: str,
    *,
    top_k: int | None = None,
    conditions: Sequence[Condition] = (),
) -> Looked:
    """The chunks nearest to a question.

    Raises:
        StoreError: the index does not answer; of several, none.
    """
    if isinstance(index, RoutedIndex):
        found = index.retrieve(question, top_k=top_k, conditions=conditions)
        return Looked(found.chunks, found.searched, found.note, found.degraded)
    return Looked(index.search(question, top_k=top_k, conditions=conditions))


def _grounded(index: Searched, generator: Generator) -> Generator:
    """The generator, held to the facts of its context as the settings want it (SIFT).

    Raises:
        ConfigError: a model is to write stickers, and the generator is no language model.
    """
    settings = index.settings.grounding
    if settings.mode == "off":
        return generator
    budget = SelectionSettings(budget=settings.sticker_tokens)
    narrow = selection_stage(index, budget)
    if isinstance(generator, Writer):
        return SiftGenerator(generator, settings, narrow, index.embedder.counter)
    if settings.mode == "extractive":
        return QuotedSticker(generator, narrow)
    raise ConfigError(
        "grounding.mode = sift needs a language model",
        hint="set generation.kind to bundled, local or server, or grounding.mode = extractive",
    )


def default_stages(index: Searched, generator: Generator) -> list[Stage]:
    """The stages that the settings ask for, in order."""
    settings = index.settings
    stages: list[Stage] = [*merging_stages(index, generator), selection_stage(index)]
    if settings.pruning.mode != "off":
        attributor = load_attributor(settings.pruning.method, encoder_of(index.embedder))
        counter = index.embedder.counter
        stages.append(
            FrugalPrompt(attributor, settings.pruning, counter, lambda: generator.reading_speed)
        )
    return stages


def merging_stages(index: Searched, generator: Generator | None = None) -> list[Stage]:
    """What comes before selection.

    Raises:
        ConfigError: summaries are asked for, and the generator is no language model.
    """
    settings = index.settings.clustering
    if settings.mode == "off":
        return []
    if settings.mode == "extractive":
        return [ClusterContext(index.sentences, settings)]
    if not isinstance(generator, Summariser):
        raise ConfigError(
            "clustering.mode = abstractive needs a language model",
            hint="set generation.kind to bundled, local or server, or clustering.mode = extractive",
        )
    cache = SummaryCache(settings.cache)
    return [SummariseClusters(index.sentences, settings, generator, cache)]


def selection_stage(index: Searched, settings: SelectionSettings | None = None) -> SelectSentences:
    """Selection, with the joint reader where the settings (by default the index's) want it."""
    settings = settings or index.settings.selection
    reader = load_reader() if settings.reader else None
    return SelectSentences(index.sentences, index.lexical, settings, reader)
