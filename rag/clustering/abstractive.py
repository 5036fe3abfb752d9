"""Clustered RAG as the paper has it: a language model summarises each cluster of passages.

Source: Akesson and Santos, "Clustered Retrieved Augmented Generation" (2406.00029): retrieve,
cluster by k-means, summarise each cluster, answer from the summaries, so that the prompt stays
nearly as long whether 4 passages were retrieved or 75. Which model and prompt it summarised with
could not be verified. Departures: what a cluster says twice is read once; a cluster short enough is
quoted; and a summary is held to its sources. Each of its sentences is traced to sentences of the
cluster by its words and figures, and one that cannot be traced is dropped. So a summary is the only
text in the house without coordinates, but what it came from has them.

Summaries do not depend on the question: the same cluster is written once and remembered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.clustering.cache import SummaryCache
from rag.clustering.clusters import Clusters, Grouping, find_clusters, spans_by_passage
from rag.clustering.groups import group
from rag.embedding.base import Embedder
from rag.errors import ModelError
from rag.generation.base import Generation, Summariser
from rag.grounding.support import content_words, figures
from rag.ids import digest
from rag.sentences import sentence_spans
from rag.settings import ClusteringSettings
from rag.spans import Span
from rag.types import Context, Passage, Remark

__all__ = ["SummariseClusters", "trace"]

_PROMPT = 1  # raise it when the prompt changes: remembered summaries are then written anew
_READ = 1024  # tokens of a cluster that a model is given, the most central sentences of it
_WORDS_PER_TOKEN = 0.75
_TRACED_TO = 3  # sentences of the cluster that one sentence of a summary may join
_SHARED = 2  # words with it of each of those: "price" here and "three years" there are no claim
_TRACED = 0.7  # share of its content words that must stand there; half lets "camera" be "good"
_ENOUGH = 0.8  # share after which no further source is looked for
_FEWEST_WORDS = 2  # of a sentence; "The gift was a gift." has one

_ENDS = re.compile(r"[.!?\u2026\u3002]\W*$")
_LISTED = re.compile(r"^(?:[-*•]|\d+[.)])\s+")  # chat models number and mark what they say
_DENIES = re.compile(r"\b(?:not|no|never|none|nor|neither|without|cannot)\b|n['’]t\b", re.I)  # noqa: RUF001
_DENIAL = "¬"  # stands for any of those among the words of a sentence
_COUNTS = frozenset(
    "zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
    "hundred thousand million billion dozen half third quarter twice".split()
)


class _Told(NamedTuple):
    """What became of a cluster: its passages, what it cost, what could not be traced."""

    passages: tuple[Passage, ...]
    generation: Generation
    untraced: int = 0


class SummariseClusters:
    """Puts a summary in the place of each cluster of passages.

    Args:
        embedder: the index's own.
        settings: how to group, how long all summaries together, and when to leave things alone.
        summariser: who writes.
        cache: what it wrote before.
        grouping: from vectors and policy to the group of each passage.
    """

    name = "cluster"

    def __init__(
        self,
        embedder: Embedder,
        settings: ClusteringSettings,
        summariser: Summariser,
        cache: SummaryCache,
        grouping: Grouping = group,
    ) -> None:
        self._embedder = embedder
        self._settings = settings
        self._summariser = summariser
        self._cache = cache
        self._grouping = grouping

    def __call__(self, question: str, context: Context) -> Context:
        """The summaries, that of the cluster with the best passage first; or the context as it was.

        Raises:
            ModelError: the summariser failed.
        """
        del question  # a summary is of the cluster, so that any question can use it again
        found = find_clusters(context, self._embedder, self._settings, self._grouping)
        if isinstance(found, str):
            return replace(context, remark=Remark(found))
        budget = self._settings.budget / len(found.members)
        told, failure = self._tell_each(context, found, budget)
        passages = tuple(passage for each in told for passage in each.passages)
        written = sum(any(passage.written for passage in each.passages) for each in told)
        untraced = sum(each.untraced for each in told)
        note = (
            f"{len(told)} clusters, {found.redundancy:.0%} was said twice; {written} summarised, "
            f"{len(told) - written} quoted"
        )
        for said in dict.fromkeys(each.generation.degraded for each in told):
            note += f"; {said}" * bool(said)
        if failure:
            note += f"; the rest quoted: {failure}"
        if untraced:
            note += f"; {untraced} sentences without a source dropped"
        remark = Remark(
            note,
            llm_calls=sum(each.generation.llm_calls for each in told),
            llm_tokens=sum(each.generation.llm_tokens for each in told),
            why=dict.fromkeys(
                (passage.chunk.id for passage in context.passages), "too short to say anything"
            )
            | {
                context.passages[unit.passage].chunk.id: "told by its cluster"
                for unit in found.units
            },
        )
        return replace(context, passages=passages, remark=remark)

    def _tell_each(
        self, context: Context, found: Clusters, budget: float
    ) -> tuple[list[_Told], str]:
        """Every cluster; after a failure that came too late to lose nothing, quoted, and why."""
        told: list[_Told] = []
        failure = ""
        for members in found.members:
            try:
                told.append(self._tell(context, found, members, budget, write=not failure))
            except ModelError as error:
                if not any(each.generation.llm_calls for each in told):
                    raise  # nothing is lost: the engine goes on with the whole passages
                failure = error.message
                told.append(self._tell(context, found, members, budget, write=False))
        return told, failure

    def _tell(
        self,
        context: Context,
        found: Clusters,
        members: NDArray[np.int64],
        budget: float,
        *,
        write: bool,
    ) -> _Told:
        """One cluster: quoted where its distinct sentences fit, else summarised and traced."""
        # In the order of the documents' names, not of this question: the next one finds it
        # remembered. (Their ids depend on the folder they lie in.)
        chunks = [context.passages[unit.passage].chunk for unit in found.units]
        places = [
            (chunk.name, chunk.doc_id, unit.span)
            for chunk, unit in zip(chunks, found.units, strict=True)
        ]
        members = np.array(sorted(members.tolist(), key=places.__getitem__), dtype=np.int64)
        distinct = self._distinct(found, members)
        if not write or found.tokens[distinct].sum() <= budget:
            fitting = _within(found, distinct, budget)
            return _Told(_quoted(context, found, fitting), Generation(""))
        read = _within(found, distinct, _READ)
        texts = [found.units[at].text for at in sorted(read, key=places.__getitem__)]
        generation = self._summarised(texts, max(1, int(budget * _WORDS_PER_TOKEN)))
        sentences, sources, untraced = self._traced(found, members, generation.text, budget)
        if not sentences:
            quoted = _quoted(context, found, _within(found, distinct, budget))
            return _Told(quoted, generation, untraced)
        first, *rest = _quoted(context, found, sources)
        summary = replace(first, written=" ".join(sentences), beside=tuple(rest))
        # Small models leave out what every passage says: what room there is goes to quotes.
        budget -= self._embedder.counter.count(summary.written)
        untold = _fitting(found, self._untold(found, distinct, summary.written), budget)
        quoted = _quoted(context, found, untold) if untold else ()
        return _Told((summary, *quoted), generation, untraced)

    def _untold(self, found: Clusters, distinct: Sequence[int], summary: str) -> list[int]:
        """The distinct sentences that no sentence of the summary says."""
        texts = [span.text_in(summary) for span in sentence_spans(summary)]
        told = self._embedder.embed_documents(texts)
        near = found.vectors[list(distinct)] @ told.T
        said = near.max(axis=1) >= self._settings.alike
        return [at for at, known in zip(distinct, said.tolist(), strict=True) if not known]

    def _distinct(self, found: Clusters, members: NDArray[np.int64]) -> list[int]:
        """The members without those that say what a more central one says, central ones first."""
        centre = found.vectors[members].mean(axis=0)
        chosen: list[int] = []
        central = (found.vectors[members] @ centre).round(4)
        for at in members[np.argsort(-central, kind="stable")].tolist():
            said = found.vectors[chosen] @ found.vectors[at] if chosen else np.zeros(1)
            if said.max() < self._settings.alike:
                chosen.append(at)
        return chosen

    def _summarised(self, texts: Sequence[str], words: int) -> Generation:
        """From the cache, else written; a cached one costs nothing."""
        key = digest([self._summariser.signature, _PROMPT, words, list(texts)])
        known = self._cache.get(key)
        if known is not None:
            return Generation(known)
        written = self._summariser.summarise(texts, words)
        if written.text.strip() and not written.degraded:  # else it may go better next time
            self._cache.put(key, written.text)
        return written

    def _traced(
        self, found: Clusters, members: NDArray[np.int64], summary: str, budget: float
    ) -> tuple[list[str], list[int], int]:
        """The sentences that have a source, the units these are, and how many have none.

        Those beyond the budget are left out, but never the first.
        """
        words = [_words(found.units[at].text) for at in members]
        kept: list[str] = []
        said: list[set[str]] = []
        sources: dict[int, None] = {}
        untraced = 0
        for span in _finished(summary, list(sentence_spans(summary))):
            sentence = _LISTED.sub("", " ".join(span.text_in(summary).split()))
            if len(content_words(sentence)) < _FEWEST_WORDS:
                untraced += 1
                continue
            if any(_words(sentence) <= each for each in said):
                continue  # small models repeat themselves
            lead = trace(sentence, words)
            if not lead:
                untraced += 1
                continue
            budget -= self._embedder.counter.count(sentence)
            if kept and budget < 0:
                break
            kept.append(sentence)
            said.append(_words(sentence))
            sources |= dict.fromkeys(int(members[at]) for at in lead)
        return kept, list(sources), untraced


def trace(sentence: str, sources: Sequence[set[str]]) -> list[int]:
    """The sources that a written sentence came from; none where it says what they do not.

    Sources that share two words with it or more are added while they share words that are not
    accounted for yet, the one that shares most first. They must hold seven tenths of the sentence's
    content words, every number of it, in digits or in words, and a denial where it denies. (What a
    source denies and the sentence does not is not seen, as it is not in `grounding.support`.)

    Args:
        sentence: of a summary.
        sources: the words of each sentence it may have come from.

    >>> said = [{"screen", "bright"}, {"battery", "lasts", "2", "days"}]
    >>> trace("The battery lasts 2 days.", said), trace("The battery lasts 3 days.", said)
    ([1], [])
    """
    words = _words(_LISTED.sub("", sentence.strip()))
    # What shares no more than a number or a denial speaks of something else.
    topic = words - _pinned(words) or words
    sources = [each if each & topic else set() for each in sources]
    missing = set(words)
    lead: list[int] = []
    while len(lead) < _TRACED_TO and (_held(words, missing) < _ENOUGH or _pinned(missing)):
        # A figure counts twice: what holds it is where it came from.
        fits = [len(words & each) >= min(_SHARED, len(words)) for each in sources]
        shared = [
            fit * (len(missing & each) + len(figures(missing) & each))
            for fit, each in zip(fits, sources, strict=True)
        ]
        best = max(range(len(shared)), key=shared.__getitem__, default=0)
        if not shared or not shared[best]:
            break
        lead.append(best)
        missing -= sources[best]
    return lead if _held(words, missing) >= _TRACED and not _pinned(missing) else []


def _finished(summary: str, sentences: list[Span]) -> list[Span]:
    """Its sentences, without a last one that was cut off in the middle."""
    whole = sentences and _ENDS.search(sentences[-1].text_in(summary))
    return sentences if whole or len(sentences) == 1 else sentences[:-1]


def _words(text: str) -> set[str]:
    """The content words of a text, and a mark where it denies something."""
    return content_words(text) | ({_DENIAL} if _DENIES.search(text) else set())


def _held(words: set[str], missing: set[str]) -> float:
    """The share of the words that is not missing; 0 where there are none."""
    return (len(words) - len(missing)) / max(len(words), 1)


def _pinned(words: set[str]) -> set[str]:
    """Those words that a source must hold: numbers and denials."""
    return {
        word
        for word in words
        if word in _COUNTS or word == _DENIAL or any(map(str.isnumeric, word))
    }


def _within(found: Clusters, units: Sequence[int], budget: float) -> list[int]:
    """The first of these units that fit the budget together, at least one."""
    fitting = int(np.searchsorted(found.tokens[list(units)].cumsum(), budget, side="right"))
    return list(units[: max(fitting, 1)])


def _fitting(found: Clusters, units: Sequence[int], budget: float) -> list[int]:
    """Those of these units that fit the budget together; one too long is passed over."""
    fitting: list[int] = []
    for at in units:
        if found.tokens[at] <= budget:
            budget -= float(found.tokens[at])
            fitting.append(at)
    return fitting


def _quoted(context: Context, found: Clusters, units: Sequence[int]) -> tuple[Passage, ...]:
    """The passages of these units, with no more than these of them, best passage first."""
    return context.keep(spans_by_passage(found.units, units)).passages
