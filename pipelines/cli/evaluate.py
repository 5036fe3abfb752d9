"""`rag eval run`, `score`, `fit`, `compare` and `report`; `tune` has a file of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli import tune
from pipelines.cli.evaluate_tables import (
    print_differences,
    print_fitted,
    print_run,
    print_scores,
)
from pipelines.cli.run import Run, command
from rag.errors import UsageError

if TYPE_CHECKING:  # the command line answers `--help` before any of this is read
    from eval.datasets import Texts
    from eval.runs import Run as RecordedRun
    from eval.score import RunScores
    from eval.units import TokenRuler

__all__ = ["app"]

app = typer.Typer(
    help="How good it is: recorded runs, span-exact scores, comparisons, a report.",
    no_args_is_help=True,
)

SPLITS = ("all", "tune", "test")

Questions = Annotated[
    Path, typer.Option("--questions", metavar="FILE", help="Questions, one JSON object a line.")
]
Corpora = Annotated[
    Path | None,
    typer.Option(
        "--corpora", metavar="DIR", help="The documents (default: corpora beside the questions)."
    ),
]
Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Recorded runs.")]


@command(app, "run")
def run_(
    run: Run,
    questions: Questions,
    corpora: Corpora = None,
    split: Annotated[
        str,
        typer.Option("--split", help="all, tune or test: a split by document."),
    ] = "all",
    budget: Annotated[
        int | None, typer.Option("--budget", min=1, help="Tokens of context, at most.")
    ] = None,
    target_recall: Annotated[
        float | None,
        typer.Option(
            "--target-recall",
            min=0,
            max=1,
            help="Find the smallest budget with this recall on the tune split; ask the test split.",
        ),
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Ask only so many, always the same.")
    ] = None,
    label: Annotated[str, typer.Option("--label", help="What reports call the run.")] = "spanrag",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write the recorded run.")
    ] = None,
) -> None:
    """Ask every question once, record every stage, and score the record."""
    from eval.files import require_writable
    from eval.summary import summarize
    from pipelines.cli.progress import show_progress
    from pipelines.evaluate import Watch, prepare, record_run

    if split not in SPLITS:
        raise UsageError(f"no split {split}", hint=f"one of {', '.join(SPLITS)}")
    if target_recall is not None and (budget is not None or split != "all"):
        raise UsageError(
            "--target-recall chooses the budget on the tune split and asks the test split",
            hint="leave --budget and --split out",
        )
    if out is not None:
        require_writable(out)
    settings = run.settings
    if budget is not None:
        selection = settings.selection.model_copy(update={"budget": budget})
        settings = settings.model_copy(update={"selection": selection})
    began = time.perf_counter()
    plan = prepare(
        settings,
        questions,
        corpora or questions.parent / "corpora",
        split=split,  # type: ignore[arg-type]
        target_recall=target_recall,
        sample=sample,
        label=label,
    )
    with (
        show_progress(run.err, run.quiet, "documents") as documents,
        show_progress(run.err, run.quiet, "questions") as asked,
    ):
        recorded = record_run(plan, Watch(documents, asked))
    path = out or _new_path(recorded, questions)
    recorded.write(path)
    scores = _scored(run, recorded, plan.texts)
    seconds = round(time.perf_counter() - began, 3)
    run.show(
        {**summarize(recorded, scores), "run": str(path), "seconds": seconds},
        lambda console: print_run(console, recorded, scores, path),
    )


@command(app)
def score(
    run: Run,
    recorded: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="A recorded run to score again.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option("--questions", metavar="FILE", help="Questions with references.")
    ] = None,
    retrieved: Annotated[
        Path | None, typer.Option("--retrieved", metavar="FILE", help="What was retrieved.")
    ] = None,
    chunks: Annotated[
        Path | None,
        typer.Option("--chunks", metavar="FILE", help="Every chunk, for Precision-Omega."),
    ] = None,
    corpora: Corpora = None,
    unit: Annotated[
        str | None, typer.Option("--unit", help="char (default), or token (of the embedder).")
    ] = None,
    compat: Annotated[
        str | None,
        typer.Option("--compat", help="chroma: the arithmetic of the published evaluation code."),
    ] = None,
) -> None:
    """Score a recorded run again, or anybody's retrieval from two or three files."""
    if unit not in (None, "char", "token"):
        raise UsageError(f"no unit {unit}", hint="char or token")
    if compat not in (None, "chroma"):
        raise UsageError(f"no such arithmetic: {compat}", hint="--compat chroma, or none")
    if recorded is not None:
        if questions or retrieved or chunks or unit:
            raise UsageError(
                "a recorded run has its own questions and chunks, and is scored in both units",
                hint="give the run alone, or --questions and --retrieved",
            )
        _score_recorded(run, recorded, corpora, compat)
        return
    if questions is None or retrieved is None:
        raise UsageError(
            "nothing to score", hint="give a recorded run, or --questions and --retrieved"
        )
    _score_files(run, questions, retrieved, chunks, corpora, unit or "char", compat)


def _score_recorded(run: Run, path: Path, corpora: Path | None, compat: str | None) -> None:
    from eval.runs import read_run
    from eval.summary import summarize

    recorded = read_run(path)
    texts = _texts(run, recorded, corpora)
    scores = _scored(run, recorded, texts, compat)
    run.show(
        {**summarize(recorded, scores), "run": str(path)},
        lambda console: print_run(console, recorded, scores, path),
    )


def _score_files(
    run: Run,
    questions: Path,
    retrieved: Path,
    chunks: Path | None,
    corpora: Path | None,
    unit: str,
    compat: Any,
) -> None:
    from eval.datasets import read_chunks, read_questions, read_retrieved
    from eval.metrics.overlap import ChunkMap
    from eval.score import score_retrieval
    from eval.summary import summarize_retrieval

    texts = _texts_beside(run, questions, corpora)
    every = read_chunks(chunks, texts) if chunks else None
    known = ChunkMap(every) if every is not None else None
    asked = read_questions(questions, texts, known)
    found = read_retrieved(retrieved, asked, texts, known)
    if texts is None and known is None:
        run.warn("neither --corpora nor --chunks: names and ends of documents are not checked")
    ruler = None
    if unit == "token":
        if texts is None:
            raise UsageError("counting tokens needs the documents", hint="give --corpora DIR")
        ruler = _ruler(run, texts)
        known = ChunkMap(ruler.measure(every)) if every is not None else None
    scores = score_retrieval(asked, found, known, ruler=ruler, compat=compat)
    payload = summarize_retrieval(asked, found, scores, unit, ruler.name if ruler else None)
    run.show(payload, lambda console: print_scores(console, payload))


tune.register(app)


@command(app)
def fit(
    run: Run,
    questions: Annotated[Path, typer.Option("--questions", metavar="FILE", help="Question lines.")],
    corpora: Corpora = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where to write the scorer.")
    ] = Path("scorer.json"),
) -> None:
    """Fit the scorer of sentences to your questions, and say whether that helps.

    It learns from the questions about some documents and is tried on those about the others.
    """
    from eval.files import require_writable
    from pipelines.cli.progress import show_progress
    from pipelines.evaluate import Watch, prepare
    from pipelines.train.fit import fit_scorer

    require_writable(out)
    plan = prepare(run.settings, questions, corpora or questions.parent / "corpora", tuning=True)
    with show_progress(run.err, run.quiet, "documents") as documents:
        fitted = fit_scorer(plan, out, Watch(documents))
    payload = {
        "scorer": str(out),
        "questions": {"tune": fitted.learned, "test": fitted.tested},
        "iou": {"before": fitted.iou[0], "after": fitted.iou[1]},
        "recall": {"before": fitted.recall[0], "after": fitted.recall[1]},
        "iou_gain": {"low": fitted.gain.low, "high": fitted.gain.high},
    }

    run.show(payload, lambda console: print_fitted(console, fitted, out))


@command(app)
def compare(
    run: Run,
    a: Annotated[Path, typer.Argument(metavar="A", help="A recorded run.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another, on the same questions.")],
) -> None:
    """Say which differences between two runs are real, by a paired bootstrap."""
    from eval.compare import compare_runs, require_comparable
    from eval.runs import read_run
    from eval.score import score_run
    from eval.summary import summarize_differences

    one, other = read_run(a), read_run(b)
    require_comparable(one, other)
    differences = compare_runs(one, other, score_run(one), score_run(other))
    payload = {
        "a": {"run": str(a), "label": one.header.label, "config_hash": one.header.config_hash},
        "b": {"run": str(b), "label": other.header.label, "config_hash": other.header.config_hash},
        **summarize_differences(one, differences),
    }
    run.show(payload, lambda console: print_differences(console, payload))


@command(app)
def report(
    run: Run,
    runs: Runs,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where to write the page.")
    ] = Path("report.html"),
    corpora: Corpora = None,
    worst: Annotated[
        int, typer.Option("--worst", min=0, help="How many of the worst questions to show.")
    ] = 10,
) -> None:
    """Write one self-contained HTML page about one or more runs of the same questions."""
    from eval.compare import require_comparable
    from eval.files import require_writable
    from eval.report import Entry, write_report
    from eval.runs import read_run

    require_writable(out)
    recorded = [read_run(path) for path in runs]
    for each in recorded[1:]:
        require_comparable(recorded[0], each)
    texts = _texts(run, recorded[0], corpora)
    entries = [Entry(each, _scored(run, each, texts)) for each in recorded]
    write_report(out, entries, texts, worst=worst)
    run.show(
        {"report": str(out), "runs": len(entries)},
        lambda console: console.print(f"wrote {out}"),
    )


def _new_path(recorded: RecordedRun, questions: Path) -> Path:
    """`eval-runs/<folder of the questions>-<hash>-<when>.jsonl`."""
    header = recorded.header
    when = header.made.replace(":", "").replace("-", "").removesuffix("+0000")
    name = f"{questions.resolve().parent.name}-{header.config_hash}-{when}.jsonl"
    return Path("eval-runs") / name


def _texts_beside(run: Run, questions: Path, corpora: Path | None) -> Texts | None:
    """The documents, where they are named or lie beside the questions."""
    from pipelines.evaluate import read_corpus, texts_of

    folder = corpora or questions.parent / "corpora"
    if corpora is None and not folder.is_dir():
        return None
    return texts_of(read_corpus(folder, run.settings.ingest.ignore))


def _texts(run: Run, recorded: RecordedRun, corpora: Path | None) -> Texts | None:
    """The documents a run was made on, if they are still there and still the same."""
    from pipelines.evaluate import read_corpus, texts_of

    folder = corpora or Path(recorded.header.sources.get("corpora", ""))
    if corpora is None and not (recorded.header.sources.get("corpora") and folder.exists()):
        run.warn("the documents are not where they were: no figures per token, no text shown")
        return None
    texts = texts_of(read_corpus(folder, run.settings.ingest.ignore))
    try:
        recorded.require_texts(texts)
    except UsageError as error:
        if corpora is not None:  # they were named as the ones
            raise
        run.warn(f"{error.message}: no figures per token, no text shown")
        return None
    return texts


def _ruler(run: Run, texts: Texts) -> TokenRuler:
    from eval.units import TokenRuler
    from rag.embedding.registry import load_embedder

    settings = run.settings
    return TokenRuler(load_embedder(settings.embedding, offline=settings.offline).counter, texts)


def _scored(run: Run, recorded: RecordedRun, texts: Texts | None, compat: Any = None) -> RunScores:
    """Score a run, per token too where the documents and its tokenizer are at hand."""
    from eval.score import score_run

    ruler = _ruler(run, texts) if texts is not None else None
    if ruler is not None and ruler.name != recorded.header.token_unit:
        run.warn(
            f"the run counts {recorded.header.token_unit} tokens, the settings name {ruler.name}: "
            "no figures per token"
        )
        ruler = None
    return score_run(recorded, ruler=ruler, texts=texts, compat=compat)
