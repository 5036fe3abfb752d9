"""Tuning from end to end: what is searched on which questions, and what it is worth on others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from optuna.distributions import distribution_to_json

from eval.compare import CONTEXT, Difference
from eval.datasets import Question, read_questions
from eval.runs import identity
from eval.stats import LEVEL, bootstrap
from pipelines.evaluate import Watch, prepare, read_corpus, sampled, texts_of
from pipelines.journal import Journal
from pipelines.scratch import embedder_named
from pipelines.tune.bench import Bench, Embedders, Figures
from pipelines.tune.choose import Goal, choose, front
from pipelines.tune.search import Search, Trial, search
from pipelines.tune.space import SIZES, Embedding, Space, grid
from rag.embedding.registry import with_model
from rag.errors import ConfigError, UsageError
from rag.ids import digest
from rag.index import largest_chunk
from rag.settings import EmbeddingSettings, Settings
from rag.types import Document

__all__ = ["EVIDENCE_GROUPS", "Asked", "LeftOut", "Outcome", "given_values", "told_apart", "tune"]

EVIDENCE_GROUPS = (
    "chunking", "embedding", "lexical", "retrieval", "clustering", "selection", "pruning",
)  # fmt: skip
"""The groups of settings that decide what a generator is given."""

FIGURES = ("recall", "iou", "tokens")
_RESAMPLES = 20_000  # more than usual: a level near 1 lives on the few last of them


@dataclass(frozen=True)
class Asked:
    """What to tune on, what to try, and what to report on.

    Args:
        questions: a file of question lines; its tuning side is tuned on.
        corpora: the folder of their documents.
        journal: the file of the trials; where it holds some, the search goes on from there.
        trials: how many there shall be, those of the journal included.
        target_recall: as `Goal` has it.
        max_tokens: as `Goal` has it.
        sizes: of chunks; that of the settings is always among them.
        embeddings: folders or names of sentence-transformers models to try beside the one of the
            settings; "bundled" is the bundled one.
        pruning: search pruning, too.
        reader: search the joint reader, too.
        fixed: settings of `FIXABLE` that are not searched.
        seed: of the search.
        sample: so many questions of either side, always the same.
        report_questions: report on these, in place of the testing side; without those about a
            document that was tuned on.
        report_corpora: the folder of their documents; by default the same.
    """

    questions: Path
    corpora: Path
    journal: Path
    trials: int = 50
    target_recall: float | None = None
    max_tokens: float | None = None
    sizes: tuple[int, ...] = SIZES
    embeddings: tuple[str, ...] = ()
    pruning: bool = False
    reader: bool = False
    fixed: frozenset[str] = frozenset()
    seed: int = 0
    sample: int | None = None
    report_questions: Path | None = None
    report_corpora: Path | None = None


class LeftOut(NamedTuple):
    """Sizes of chunk that an embedder cannot read to their end."""

    embedder: str
    sizes: tuple[int, ...]
    largest: int


@dataclass(frozen=True)
class Outcome:
    """What tuning came to.

    Args:
        trials: all of them, in order; the first has the settings as they were given.
        goal: what was wanted.
        chosen: the trial that serves it best.
        settings: those of the chosen trial.
        before: what the settings as they were given come to on the questions reported on.
        after: what the chosen ones come to there.
        left_out: questions that were not reported on, for they are about a document tuned on.
        too_large: sizes of chunk that were not tried.
    """

    trials: Sequence[Trial]
    goal: Goal
    chosen: Trial
    settings: Settings
    before: Figures
    after: Figures
    left_out: tuple[str, ...]
    too_large: tuple[LeftOut, ...]

    @property
    def met(self) -> bool:
        """Whether the chosen trial does what was asked."""
        return self.goal.met(self.chosen.means)

    @property
    def given(self) -> Trial:
        """The settings as they were given."""
        return self.trials[0]

    @property
    def tuned_on(self) -> int:
        """How many questions were tuned on."""
        return len(self.given.figures.ids) if self.given.figures else 0

    @property
    def front(self) -> list[Trial]:
        """The trials that no other beats."""
        return front([each for each in self.trials if each.figures])

    @property
    def gain(self) -> list[Difference]:
        """After less before, question by question, with 95 % intervals."""
        columns = [
            np.array(getattr(self.after, each)) - np.array(getattr(self.before, each))
            for each in FIGURES
        ]
        n = len(self.before.ids)
        return [
            Difference(CONTEXT, name, one, other, interval, n)
            for name, one, other, interval in zip(
                FIGURES, self.before.means, self.after.means, bootstrap(np.array(columns).T),
                strict=True,
            )
        ]  # fmt: skip

    @property
    def worse(self) -> list[str]:
        """In which figures the chosen settings really lose on the questions reported on.

        Fewer tokens are no loss; more are the price of recall, which a goal may ask for.
        """
        return [
            each.figure
            for each in self.gain
            if each.figure != "tokens" and each.real and each.difference < 0
        ]


class _Sides(NamedTuple):
    """Questions to tune on and to report on, each with references, and their documents."""

    tune: tuple[Question, ...]
    test: tuple[Question, ...]
    documents: tuple[Document, ...]
    tested: tuple[Document, ...]
    left_out: tuple[str, ...] = ()


def tune(
    settings: Settings,
    asked: Asked,
    watch: Watch | None = None,
    stop: Callable[[], bool] = lambda: False,
    told: Callable[[LeftOut], None] = lambda left_out: None,
) -> Outcome:
    """Search on the tuning side, choose, and report on the other.

    Args:
        settings: as they were given: where the search begins and what it is compared with.
        asked: what is wanted.
        watch: hears of documents that are indexed, and of trials (as questions).
        stop: asked after each trial; true ends the run.
        told: hears of sizes of chunk that are not tried.

    Raises:
        KeyboardInterrupt: `stop` said so. What was tried is in the journal.
        UsageError: as `pipelines.evaluate.prepare`; a side has no question with references.
        ConfigError: the journal is of another search; passages are to be summarised.
        StoreError, ModelError: the settings as they were given cannot be run.
    """
    watch = watch or Watch()
    settings = embedder_named(settings)
    sides = _sides(settings, asked)
    embedders = Embedders(offline=settings.offline)
    space, too_large = _space(settings, asked, embedders)
    for each in too_large:
        told(each)
    wanted = Search(space, sides.tune, asked.target_recall, asked.max_tokens, asked.seed)
    counter = embedders.load(settings.embedding)[0].counter
    journal = Journal(asked.journal, _header(settings, asked, sides, space, embedders))
    ignore = settings.ingest.ignore

    def bench(corpora: Path, documents: Sequence[Document]) -> Bench:
        return Bench(
            corpora, documents, ignore, embedders, counter, progress=watch.documents, stop=stop
        )

    try:
        with bench(asked.corpora, sides.documents) as here:
            trials = search(
                wanted, here, journal, asked.trials, progress=watch.questions, stop=stop
            )
    finally:
        journal.close()
    goal = wanted.goal(trials)
    finished = [each for each in trials if each.figures]
    chosen = choose(told_apart(finished) if goal.keeps_recall else finished, goal)
    tuned = wanted.settings(chosen)
    with bench(asked.report_corpora or asked.corpora, sides.tested) as there:
        before = there.measure(settings, sides.test)
        after = before if chosen is trials[0] else there.measure(tuned, sides.test)
    return Outcome(trials, goal, chosen, tuned, before, after, sides.left_out, too_large)


def told_apart(trials: Sequence[Trial]) -> list[Trial]:
    """The settings as given, and the trials whose gain in IoU over them is told from nought.

    The best of many trials looks better than it is. So the level of the paired bootstrap is raised
    by their number (Bonferroni): a change that chance may have brought is not chosen.

    Args:
        trials: with figures of the same questions, the settings as given first.
    """
    given, *others = trials
    if not others or given.figures is None:
        return [given]
    base = np.array(given.figures.iou)
    gains = [np.array(each.figures.iou) - base for each in others if each.figures]
    level = 1 - (1 - LEVEL) / len(others)
    intervals = bootstrap(np.array(gains).T, resamples=_RESAMPLES, level=level)
    pairs = zip(others, intervals, strict=True)
    return [given, *(trial for trial, interval in pairs if interval.low > 0)]


def given_values(settings: Settings) -> dict[str, Any]:
    """What decides what a generator is given and is no default, by dotted key; no secrets."""
    values, plain = embedder_named(settings).public(), embedder_named(Settings()).public()
    return {
        f"{group}.{field}": value
        for group in EVIDENCE_GROUPS
        for field, value in values[group].items()
        if value != plain[group][field] and (group, field) != ("embedding", "device")
    }


def _sides(settings: Settings, asked: Asked) -> _Sides:
    if settings.clustering.mode == "abstractive":
        raise ConfigError(
            "settings cannot be tuned on summaries",
            hint="set clustering.mode = extractive or off",
        )
    if asked.report_questions is None:
        plan = prepare(settings, asked.questions, asked.corpora, tuning=True, sample=asked.sample)
        sides = _Sides(plan.tune, plan.questions, plan.documents, plan.documents)
    else:
        plan = prepare(settings, asked.questions, asked.corpora, split="tune", sample=asked.sample)
        sides = _reported(settings, asked, _Sides(plan.questions, (), plan.documents, ()))
    sides = sides._replace(tune=_referring(sides.tune), test=_referring(sides.test))
    for side, questions in (("tuning", sides.tune), ("testing", sides.test)):
        if not questions:
            raise UsageError(
                f"no question of the {side} side has a reference",
                hint="write down where answers stand, in questions about more documents",
            )
    return sides


def _reported(settings: Settings, asked: Asked, sides: _Sides) -> _Sides:
    """The sides, with the questions to report on; none shares a document's text with tuning."""
    assert asked.report_questions is not None
    tested = sides.documents
    if asked.report_corpora is not None:
        tested = read_corpus(asked.report_corpora, settings.ingest.ignore)
    theirs, ours = texts_of(tested), texts_of(sides.documents)
    seen = {digest(ours[each.doc]) for question in sides.tune for each in question.references}
    known = {name for name, text in theirs.items() if digest(text) in seen}
    every = read_questions(asked.report_questions, theirs)
    apart = [each for each in every if not any(ref.doc in known for ref in each.references)]
    if not apart:
        raise UsageError(
            f"every question of {asked.report_questions} is about a document that was tuned on",
            hint="report on questions about other documents",
        )
    left_out = tuple(each.id for each in every if each not in apart)
    test = tuple(sampled(apart, asked.sample))
    return sides._replace(test=test, tested=tested, left_out=left_out)


def _referring(questions: Sequence[Question]) -> tuple[Question, ...]:
    return tuple(each for each in questions if each.references)


def _space(
    settings: Settings, asked: Asked, embedders: Embedders
) -> tuple[Space, tuple[LeftOut, ...]]:
    """The space, and the sizes that no chunk may have, for its end would not be read."""
    choices = dict.fromkeys((settings.embedding.model_dump_json(), *(
        with_model(settings.embedding, each).model_dump_json() for each in asked.embeddings
    )))  # fmt: skip
    found: list[Embedding] = []
    too_large: list[LeftOut] = []
    for each in map(EmbeddingSettings.model_validate_json, choices):
        embedder = embedders.load(each)[0]
        largest = largest_chunk(embedder, settings.chunking.header_tokens)
        given = () if found else (settings.chunking.size,)  # whose index is built in any case
        kept, out = grid((*asked.sizes, *given), largest)
        if not kept:
            raise UsageError(
                f"no size fits {embedder.name}, which reads {largest} tokens of a chunk",
                hint="give --sizes some that are no larger",
            )
        found.append(Embedding(embedder.name, each, kept))
        if out:
            too_large.append(LeftOut(embedder.name, out, largest))
    space = Space(settings, tuple(found), asked.pruning, asked.reader, asked.fixed)
    return space, tuple(too_large)


def _header(
    settings: Settings, asked: Asked, sides: _Sides, space: Space, embedders: Embedders
) -> dict[str, Any]:
    """All that the trials depend on."""
    documents = sorted((each.name, each.revision) for each in sides.documents)
    header: dict[str, Any] = {
        "spanrag": version("spanrag"),
        "questions": _counted([identity(each) for each in sides.tune]),
        "documents": _counted(documents),
        "split": "tune",
        "sample": asked.sample,
        "seed": asked.seed,
    }
    for each in space.embeddings:
        header[f"embedder {each.name}"] = embedders.load(each.settings)[0].fingerprint
    if settings.selection.scorer and Path(settings.selection.scorer).is_file():
        scorer = Path(settings.selection.scorer).read_text(encoding="utf-8", errors="replace")
        header["scorer"] = digest(scorer)[:12]
    for name, distribution in space.distributions.items():
        header[f"space of {name}"] = distribution_to_json(distribution)
    return header | given_values(settings)


def _counted(values: Sequence[Any]) -> str:
    return f"{len(values)} ({digest(values)[:12]})"
