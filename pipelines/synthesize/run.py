"""Synthesize: windows to drafts to questions, each rejection counted, each step in a journal."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eval.files import require_writable, writing_whole
from pipelines.ingest import Progress
from pipelines.journal import Journal
from pipelines.synthesize.corpus import Corpus
from pipelines.synthesize.draft import CAUSES, UNUSED, Draft, Engine, Rejected, Task, Usage
from pipelines.synthesize.filters import Filters
from pipelines.synthesize.windows import Windows
from rag.errors import ModelError, UsageError
from rag.ids import digest
from rag.settings import Settings, SynthesisSettings

__all__ = ["Budget", "Synthesis", "synthesize"]

_FAILURES_IN_A_ROW = 5  # batches at which the model failed, before the run is given up
_DRY, _FEWEST_DRY = (
    3,
    200,
)  # attempts a document, and in all, that gave nothing to ask: no more will


@dataclass(frozen=True, slots=True)
class Budget:
    """When to stop: at so many questions, attempts, or tokens of a language model (0: no limit)."""

    questions: int
    attempts: int
    llm_tokens: int = 0


@dataclass
class Synthesis:
    """What a run came to, with what the journal had of it before.

    `rejected` counts by cause, in the order of `draft.CAUSES`; `exhausted` says that attempts or
    tokens ran out before there were enough questions.
    """

    lines: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 0
    causes: Counter[str] = field(default_factory=Counter)
    usage: Usage = UNUSED
    seconds: float = 0.0
    exhausted: bool = False
    dry: int = 0
    """Attempts in a row, the last ones, that found nothing to ask."""

    @property
    def rejected(self) -> dict[str, int]:
        """How many attempts came to nothing, by cause."""
        return {cause: self.causes[cause] for cause in CAUSES if self.causes[cause]}

    @property
    def kinds(self) -> dict[str, int]:
        """How many questions there are of each kind."""
        return dict(Counter(line["kind"] for line in self.lines).most_common())

    def add(self, entry: Mapping[str, Any]) -> None:
        """Count what an attempt came to."""
        self.attempts += 1
        self.seconds += entry["seconds"]
        self.usage = self.usage.plus(Usage(entry["llm_calls"], entry["llm_tokens"]))
        self.dry = self.dry + 1 if entry["cause"] == "nothing to ask" else 0
        if entry["cause"]:
            self.causes[entry["cause"]] += 1
        else:
            self.lines.append(entry["line"])


def synthesize(
    corpus: Corpus,
    engine: Engine,
    settings: SynthesisSettings,
    budget: Budget,
    out: Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Synthesis:
    """Make questions about a corpus and write them down, one JSON object a line.

    A journal beside the file (`<out>.journal`) holds every attempt: after a kill, or for more
    questions, the same call goes on where it ended. The same call on the same documents makes the
    same questions, as far as the engine does.

    Args:
        corpus: what to ask about.
        engine: who writes the questions.
        settings: windows, kinds, personas, bounds of the filters.
        budget: when to stop.
        out: the question lines, as `eval.datasets.read_questions` reads them.
        seed: another seed is another set of windows.
        progress: hears of every question that is kept.

    Raises:
        ModelError: the language model fails several times in a row.
        ConfigError: the journal is that of another run.
        UsageError: the file cannot be written; no question was kept.
    """
    require_writable(out)
    journal = Journal(_journal(out), _header(corpus, engine, settings, seed))
    try:
        made = _Attempts(corpus, engine, settings, seed).run(journal, budget, progress)
    finally:
        journal.close()
    if not made.lines:
        causes = ", ".join(f"{count} {cause}" for cause, count in made.rejected.items())
        raise UsageError(
            f"no question was kept of {made.attempts} attempts ({causes})",
            hint="give more or other documents, a better model, or more --attempts",
        )
    with writing_whole(out) as stream:
        for line in made.lines:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    return made


def _journal(out: Path) -> Path:
    return out.with_name(f"{out.name}.journal")


def _header(
    corpus: Corpus, engine: Engine, settings: SynthesisSettings, seed: int
) -> dict[str, Any]:
    """All that decides which questions are made."""
    return {
        "journal": "questions",
        "spanrag": version("spanrag"),
        "documents": digest(sorted((each.name, each.revision) for each in corpus.documents))[:12],
        "engine": engine.name,
        "model": engine.signature,
        "batch": engine.batch,
        "settings": digest(settings.model_dump(mode="json"))[:12],
        "embedder": corpus.index.embedder.fingerprint,
        "index": digest(_searching(corpus.index.settings))[:12],
        "seed": seed,
    }


def _searching(settings: Settings) -> dict[str, Any]:
    """The settings on which it depends what a search finds: rivals are looked for by one."""
    return settings.model_dump(mode="json", include={"chunking", "lexical", "retrieval"})


class _Attempts:
    """One run over the windows of a corpus."""

    def __init__(
        self, corpus: Corpus, engine: Engine, settings: SynthesisSettings, seed: int
    ) -> None:
        self._corpus = corpus
        self._engine = engine
        self._settings = settings
        self._seed = seed
        self._windows = Windows(corpus.documents, settings.window, seed)
        self._filters = Filters(corpus.index, settings)

    def run(self, journal: Journal, budget: Budget, progress: Progress | None) -> Synthesis:
        batch = self._engine.batch
        journal.keep(len(journal.entries) // batch * batch)  # a kill may have cut one in half
        made = self._replayed(journal)
        if progress:
            progress.start(max(budget.questions - len(made.lines), 0))
        error: ModelError | None = None
        failed: list[Rejected] = []  # the model's fault, or that of these texts?
        while len(made.lines) < budget.questions and not self._spent(made, budget, len(failed)):
            first = made.attempts + len(failed)
            began = time.perf_counter()
            outcomes, error = self._outcomes([self._task(first + at) for at in range(batch)])
            seconds = (time.perf_counter() - began) / batch
            if error is not None and all(_failed(each) for each in outcomes):
                failed += [each for each in outcomes if isinstance(each, Rejected)]
                if len(failed) >= _FAILURES_IN_A_ROW * batch:
                    raise _gone(self._engine, error)
                continue
            before = len(made.lines)
            entries = [
                *(self._entry(each, 0.0) for each in failed),
                *(self._entry(each, seconds) for each in outcomes),
            ]
            failed.clear()
            journal.append(*entries)
            for entry in entries:
                made.add(entry)
            if progress:
                progress.advance(len(made.lines) - before)
        if failed:
            assert error is not None
            raise _gone(self._engine, error)
        made.exhausted = len(made.lines) < budget.questions
        made.lines = made.lines[: budget.questions]
        return made

    def _replayed(self, journal: Journal) -> Synthesis:
        """What the journal holds, told to engine and filters as if it had just been made."""
        made = Synthesis()
        for entry in journal.entries:
            made.add(entry)
            if entry["question"]:
                self._engine.remember(entry["document"], entry["question"])
        self._filters.admit(line["question"] for line in made.lines)
        return made

    def _spent(self, made: Synthesis, budget: Budget, failed: int) -> bool:
        tokens = budget.llm_tokens and made.usage.tokens >= budget.llm_tokens
        dry = made.dry >= max(_FEWEST_DRY, _DRY * len(self._windows))
        return bool(made.attempts + failed >= budget.attempts or tokens or dry)

    def _outcomes(self, tasks: Sequence[Task]) -> tuple[list[Draft | Rejected], ModelError | None]:
        """What attempts come to, those that pass the filters as drafts; and how the model failed.

        Where the model fails at several together, each is tried alone: one text may be too long.
        """
        try:
            drafts = self._engine.draft(tasks)
        except ModelError as error:
            if len(tasks) == 1:
                return [Rejected(tasks[0], "no answer")], error
            alone = [self._outcomes([task]) for task in tasks]
            return [each for outcomes, _ in alone for each in outcomes], error
        judged = [self._judged(each) if isinstance(each, Draft) else each for each in drafts]
        return judged, None

    def _task(self, number: int) -> Task:
        kinds, personas = self._settings.kinds, self._settings.personas
        persona = personas[number // len(kinds) % len(personas)] if personas else ""
        return Task(number, self._windows.at(number), kinds[number % len(kinds)], persona)

    def _judged(self, draft: Draft) -> Draft | Rejected:
        cause, used = self._filters.cause(draft), UNUSED
        if not cause:
            try:
                confirmed, used = self._engine.confirm(draft)
                cause = "" if confirmed else "unanswerable"
            except ModelError:
                cause = "no answer"
        if cause:
            return Rejected(draft.task, cause, draft.question, draft.usage.plus(used))
        self._filters.admit([draft.question])
        return replace(draft, usage=draft.usage.plus(used))

    def _entry(self, outcome: Draft | Rejected, seconds: float) -> dict[str, Any]:
        kept = {"line": self._line(outcome)} if isinstance(outcome, Draft) else {}
        return {
            "attempt": outcome.task.number,
            "document": outcome.task.window.document.id,
            "question": outcome.question,
            "cause": "" if isinstance(outcome, Draft) else outcome.cause,
            "llm_calls": outcome.usage.calls,
            "llm_tokens": outcome.usage.tokens,
            "seconds": round(seconds, 4),
            **kept,
        }

    def _line(self, draft: Draft) -> dict[str, Any]:
        """A question as the evaluation reads it, and where it comes from."""
        document, window = draft.task.window.document, draft.task.window.span
        folder, slash, _ = document.name.partition("/")
        return {
            "question_id": f"synth-{digest([document.name, draft.question])[:12]}",
            "question": draft.question,
            "corpus": folder if slash else self._corpus.name,
            "references": [
                {"doc": document.name, "start": span.start, "end": span.end, "text": text}
                for span, text in zip(draft.references, draft.excerpts, strict=True)
            ],
            "answer": draft.answer,
            "kind": draft.kind,
            "discontinuous": len(draft.references.spans) > 1,
            "provenance": {
                "engine": self._engine.name,
                "model": self._engine.signature,
                "seed": self._seed,
                "attempt": draft.task.number,
                "persona": draft.persona,
                "window": [window.start, window.end],
                "spanrag": version("spanrag"),
            },
        }


def _failed(outcome: Draft | Rejected) -> bool:
    return isinstance(outcome, Rejected) and outcome.cause == "no answer"


def _gone(engine: Engine, error: ModelError) -> ModelError:
    """The error of a model that does not answer any more; nothing of that is in the journal."""
    hint = f"{error.hint}; run it again to go on" if error.hint else "run it again to go on"
    found = ModelError(f"{engine.signature}: {error.message}", hint=hint)
    found.__cause__ = error
    return found
