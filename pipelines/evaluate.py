"""Evaluate: run the query path once over a set of questions, and record what every stage did.

Scoring is not done here: `eval` reads the recorded run, whenever and as often as one likes.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from connectors.registry import open_source
from eval.datasets import Question, read_questions
from eval.located import Located
from eval.metrics.overlap import overlap
from eval.runs import Citing, DocumentRecord, Header, QuestionRecord, RoundRecord, Run, StageRecord
from eval.split import Side, split_questions
from pipelines import ingest
from pipelines.query import open_engine
from pipelines.scratch import embedder_named, in_scratch, open_scratch
from rag.engine import QueryEngine, merging_stages, selection_stage
from rag.errors import ConfigError, DocumentError, ModelError
from rag.ids import digest
from rag.index import Index
from rag.settings import ModelsSettings, Settings, StoreSettings
from rag.tokens import TokenCounter
from rag.types import Answer, Context, Document

__all__ = [
    "Calibration",
    "Plan",
    "Watch",
    "located",
    "prepare",
    "read_corpus",
    "record_run",
    "sampled",
    "texts_of",
]

BUDGETS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
"""Token budgets that calibration chooses from."""

_FAILURES_IN_A_ROW = 5  # questions whose generator failed, before the run is given up

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watch:
    """Who hears of progress; either may be nobody."""

    documents: ingest.Progress | None = None
    questions: ingest.Progress | None = None


@dataclass(frozen=True)
class Plan:
    """All that a run needs, read and checked before anything slow begins.

    Args:
        settings: with the store set to the scratch index.
        documents: the corpus as its connector parses it.
        questions: those of the chosen side, in order.
        tune: the questions to calibrate on; none where nothing is calibrated.
        target_recall: what to calibrate for; None where nothing is.
        header: what the run will say of itself.
        corpora: the folder of the corpus.
    """

    settings: Settings
    documents: tuple[Document, ...]
    questions: tuple[Question, ...]
    tune: tuple[Question, ...]
    target_recall: float | None
    header: Header
    corpora: Path

    @property
    def texts(self) -> dict[str, str]:
        """The documents' texts by name."""
        return texts_of(self.documents)


@dataclass(frozen=True, slots=True)
class Calibration:
    """The token budget that reached a recall on the tuning side; 0, the whole chunks, if none."""

    target_recall: float
    budget: int
    recall: float
    questions: int

    @property
    def reached(self) -> bool:
        """Whether the tuning side reached the target."""
        return self.recall >= self.target_recall


def read_corpus(folder: Path, ignore: Sequence[str] = ()) -> tuple[Document, ...]:
    """Every document of a folder (or file); one that cannot be read is left out, with a warning.

    Raises:
        UsageError: the folder is not there.
    """
    connector = open_source(str(folder), ignore=ignore)
    documents: list[Document] = []
    for ref in connector.list():
        try:
            documents.append(connector.fetch(ref))
        except DocumentError as error:
            logger.warning("%s: %s", ref.source, error)
    return tuple(documents)


def texts_of(documents: Iterable[Document]) -> dict[str, str]:
    """The text of each document, by its name."""
    return {document.name: document.text for document in documents}


def prepare(
    settings: Settings,
    questions: Path,
    corpora: Path,
    *,
    split: Side = "all",
    target_recall: float | None = None,
    tuning: bool = False,
    sample: int | None = None,
    label: str = "spanrag",
) -> Plan:
    """Read and check everything a run needs.

    Args:
        settings: of the query path; the store they name is not touched.
        questions: a file of question lines.
        corpora: the folder their documents lie in.
        split: which side of the document-level split to ask.
        target_recall: calibrate the context budget for this recall on the tuning side, and ask
            the testing side.
        tuning: read the tuning side too, and ask the testing side.
        sample: ask only so many questions, always the same ones.
        label: what reports call the run.

    Raises:
        UsageError: a file is not there or a line of it is bad, naming file and line; the chosen
            side is empty.
        ConfigError: a calibration is asked for where passages are summarised.
    """
    tuning = tuning or target_recall is not None
    if tuning and settings.clustering.mode == "abstractive":
        raise ConfigError(
            "selection cannot be calibrated or tuned on summaries",
            hint="set clustering.mode = extractive or off",
        )
    documents = read_corpus(corpora, settings.ingest.ignore)
    asked = read_questions(questions, texts_of(documents))
    side: Side = "test" if tuning else split
    chosen = sampled(split_questions(asked, side), sample)
    tune = split_questions(asked, "tune") if tuning else []
    plain = _plain(settings)
    header = Header(
        label=label,
        token_unit="",
        made=datetime.now(UTC).isoformat(timespec="milliseconds"),
        config_hash=plain.hash,
        split=side,
        sources={"questions": str(questions.resolve()), "corpora": str(corpora.resolve())},
        settings=plain.public(),
    )
    return Plan(
        in_scratch(settings, corpora),
        documents,
        tuple(chosen),
        tuple(sampled(tune, sample)),
        target_recall,
        header,
        corpora.resolve(),  # a document reached through a link is the same document
    )


def record_run(plan: Plan, watch: Watch | None = None) -> Run:
    """Ingest the corpus into its scratch index, ask every question, record every stage.

    The index is kept for the next run with the same corpus and index settings, and brought up to
    date as any index is. A question whose generator fails is recorded with what came before.

    Raises:
        StoreError, ModelError, ConfigError: as `open_index` and `open_engine`; a generator that
            fails several times in a row.
    """
    watch = watch or Watch()
    settings = plan.settings
    notes: dict[str, object] = {}
    with open_scratch(settings) as index:
        source = open_source(str(plan.corpora), ignore=settings.ingest.ignore)
        report = ingest.ingest(index, [source], prune=True, yes=True, progress=watch.documents)
        notes["ingest"] = {
            "seconds": report.seconds,
            "failed": [asdict(each) for each in report.failed],
        }
        documents = tuple(_record(index, document) for document in plan.documents)
        manifest = index.store.manifest().to_payload() | {"spanrag": version("spanrag")}
        unit = index.embedder.counter.name
        if plan.target_recall is not None:
            found = _calibrate(index, plan.tune, plan.target_recall)
            notes["calibration"] = asdict(found) | {"reached": found.reached}
            few = {} if found.budget else {"keep": "everything"}
            selection = settings.selection.model_copy(update={"budget": found.budget, **few})
            settings = settings.model_copy(update={"selection": selection})
        counter = index.embedder.counter
    served = settings.generation.kind == "server"
    at_a_time = settings.generation.concurrency if served else 1
    with open_engine(settings) as engine:
        records = tuple(_ask_all(engine, plan.questions, counter, watch.questions, at_a_time))
    header = replace(
        _described(plan.header, settings), token_unit=unit, manifest=manifest, notes=notes
    )
    return Run(header, documents, records)


def _described(header: Header, settings: Settings) -> Header:
    """The header with these settings; where index and models lie is no part of them."""
    plain = _plain(settings)
    return replace(header, config_hash=plain.hash, settings=plain.public())


def _plain(settings: Settings) -> Settings:
    ingest = settings.ingest.model_copy(update={"duplicates": "keep"})  # in scratch they all are
    where = {"store": StoreSettings(), "models": ModelsSettings(), "offline": True}
    return embedder_named(settings).model_copy(update={**where, "ingest": ingest})


def sampled(questions: list[Question], count: int | None) -> list[Question]:
    """So many questions, drawn by a digest of their ids, in their order."""
    if count is None:
        return questions
    drawn = {each.id for each in sorted(questions, key=lambda each: digest(each.id))[:count]}
    return [each for each in questions if each.id in drawn]


def _record(index: Index, document: Document) -> DocumentRecord:
    chunks = [(chunk.span.start, chunk.span.end) for chunk in index.chunk(document)]
    return DocumentRecord.of(document.name, document.text, chunks)


class _Asked(NamedTuple):
    """A question under way, what each stage let through, and how to wait for its answer."""

    question: Question
    seen: dict[str, Context]
    answer: Callable[[], Answer]


def _ask_all(
    engine: QueryEngine,
    questions: Sequence[Question],
    counter: TokenCounter,
    progress: ingest.Progress | None,
    at_a_time: int,
) -> Iterable[QuestionRecord]:
    if progress:
        progress.start(len(questions))
    failures = 0
    for question, seen, answer in _under_way(engine, questions, at_a_time):
        try:
            record = _recorded(question, seen, answer())
            if any(stage.llm_calls for stage in record.stages):
                failures = 0
        except ModelError as error:
            failures += 1
            if failures == min(_FAILURES_IN_A_ROW, len(questions)):
                raise
            logger.warning("question %s: %s", question.id, error)
            stages = tuple(
                StageRecord(name, located(each), counter.total(each.pieces))
                for name, each in seen.items()
            )
            record = QuestionRecord(question, stages, failed=str(error))
        yield record
        if progress:
            progress.advance(1)


def _under_way(
    engine: QueryEngine, questions: Sequence[Question], at_a_time: int
) -> Iterator[_Asked]:
    """The questions in order, so many of them being answered while the next are gathered."""

    def gathered(question: Question) -> tuple[dict[str, Context], Callable[[], Answer]]:
        seen: dict[str, Context] = {}
        context = engine.gather(question.text, observe=seen.__setitem__)
        return seen, partial(engine.answer, context)

    if at_a_time == 1:
        for question in questions:
            yield _Asked(question, *gathered(question))
        return
    pool = ThreadPoolExecutor(at_a_time, thread_name_prefix="question")
    waiting: deque[_Asked] = deque()
    try:
        for question in questions:
            seen, answer = gathered(question)
            waiting.append(_Asked(question, seen, pool.submit(answer).result))
            if len(waiting) == at_a_time:
                yield waiting.popleft()
        yield from waiting
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _recorded(question: Question, seen: dict[str, Context], answer: Answer) -> QuestionRecord:
    citations = tuple(
        Citing(Located(each.name, each.span.start, each.span.end), each.verified)
        for each in answer.citations
    )
    passed = {name: located(context) for name, context in seen.items()}
    passed["verify"] = tuple(citing.at for citing in citations)
    stages = tuple(
        StageRecord(
            entry.stage,
            passed.get(entry.stage),
            entry.tokens_out,
            entry.seconds,
            entry.llm_calls,
            entry.llm_tokens,
            entry.degraded,
            entry.note,
            entry.overruled,
            entry.llm_cached,
        )
        for entry in answer.ledger
    )
    return QuestionRecord(
        question,
        stages,
        answer.text,
        answer.abstained,
        citations,
        answer.dropped_citations,
        agreed=answer.grounding.agreed if answer.grounding else None,
        rounds=tuple(
            RoundRecord(each.stage, each.from_sticker, each.from_both, each.agreed, each.rule)
            for each in (answer.grounding.rounds if answer.grounding else ())
        ),
    )


def located(context: Context) -> tuple[Located, ...]:
    """What a context holds, passage by passage; of a written one, what it was written from."""
    return tuple(
        Located(passage.chunk.name, span.start, span.end)
        for passage in context.sources
        for span in passage.kept
    )


def _calibrate(index: Index, questions: Sequence[Question], target: float) -> Calibration:
    """The smallest budget whose recall on these questions reaches the target.

    Retrieval and judging are done once a question; only the cut is tried at every budget.
    """
    select = selection_stage(index)
    totals = dict.fromkeys((*BUDGETS, 0), 0.0)
    asked = [question for question in questions if question.references]
    for question in asked:
        context = Context.of(index.search(question.text))
        for stage in merging_stages(index):
            context = stage(question.text, context)
        ranking = select.rank(question.text, context)
        for budget in totals:
            kept = select.narrow(context, ranking, budget) if budget else context
            totals[budget] += overlap(question.references, located(kept)).recall
    recalls = {budget: total / max(len(asked), 1) for budget, total in totals.items()}
    enough = (budget for budget in BUDGETS if recalls[budget] >= target)
    budget = next(enough, 0)
    return Calibration(target, budget, recalls[budget], len(asked))
