"""`rag eval tune`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.interrupt import interruptible
from pipelines.cli.run import Run, command
from rag.errors import UsageError

if TYPE_CHECKING:  # the command line answers `--help` before any of this is read
    from pipelines.tune.bench import Figures
    from pipelines.tune.tuning import Asked, LeftOut, Outcome

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(tune)


def tune(
    run: Run,
    questions: Annotated[Path, typer.Option("--questions", metavar="FILE", help="Question lines.")],
    corpora: Annotated[
        Path | None,
        typer.Option(
            "--corpora",
            metavar="DIR",
            help="The documents (default: corpora beside the questions).",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where to write the profile.")
    ] = Path("tuned.toml"),
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="How many, those recorded before included.")
    ] = 50,
    trials_file: Annotated[
        Path | None,
        typer.Option(
            "--trials-file",
            metavar="FILE",
            help="Record of the trials (default: the profile's name and .trials.jsonl).",
        ),
    ] = None,
    target_recall: Annotated[
        float | None,
        typer.Option("--target-recall", min=0, max=1, help="The fewest tokens with this recall."),
    ] = None,
    max_tokens: Annotated[
        float | None,
        typer.Option("--max-tokens", min=1, help="The greatest recall in so many tokens."),
    ] = None,
    sizes: Annotated[
        str, typer.Option("--sizes", metavar="N,N,...", help="Sizes of chunk to try, in tokens.")
    ] = "",
    embedding: Annotated[
        list[str] | None,
        typer.Option(
            "--embedding",
            metavar="MODEL",
            help="An embedder to try, too: a folder, a name, or bundled. May be repeated.",
        ),
    ] = None,
    search_pruning: Annotated[
        bool, typer.Option("--search-pruning", help="Try pruning, too; slow without a GPU.")
    ] = False,
    search_reader: Annotated[
        bool, typer.Option("--search-reader", help="Try the joint reader, too; slow, likewise.")
    ] = False,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            "--fix",
            metavar="KEY",
            help="A setting to leave alone, as selection.whole_tables. May be repeated.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the search.")] = 0,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Ask only so many, always the same.")
    ] = None,
    report_questions: Annotated[
        Path | None,
        typer.Option(
            "--report-questions",
            metavar="FILE",
            help="Report on these, not on the testing side; without those about tuned documents.",
        ),
    ] = None,
    report_corpora: Annotated[
        Path | None,
        typer.Option("--report-corpora", metavar="DIR", help="Their documents, if others."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write a page about it (HTML).")
    ] = None,
) -> None:
    """Search chunks, retrieval and selection on one side of the questions; report on the other.

    Writes a profile. Every trial is recorded: run it again to go on, or to choose anew.
    """
    from eval.files import require_writable
    from pipelines.tune.tuning import Asked

    if report_corpora is not None and report_questions is None:
        raise UsageError("--report-corpora has no questions", hint="give --report-questions, too")
    for path in (out, report):
        if path is not None:
            require_writable(path)
    if report is not None:
        from eval.report.front import require_plots

        require_plots()  # now, not after an hour of search
    asked = Asked(
        questions,
        corpora or questions.parent / "corpora",
        trials_file or out.with_name(f"{out.name}.trials.jsonl"),
        trials=trials,
        target_recall=target_recall,
        max_tokens=max_tokens,
        embeddings=tuple(embedding or ()),
        pruning=search_pruning,
        reader=search_reader,
        fixed=_fixed(fix or []),
        seed=seed,
        sample=sample,
        report_questions=report_questions,
        report_corpora=report_corpora,
        **({"sizes": _sizes(sizes)} if sizes else {}),
    )
    _tune(run, asked, out, report)


def _fixed(keys: list[str]) -> frozenset[str]:
    from pipelines.tune.space import FIXABLE

    for key in keys:
        if key not in FIXABLE:
            raise UsageError(f"cannot fix {key}", hint=f"one of {', '.join(FIXABLE)}")
    return frozenset(keys)


def _tune(run: Run, asked: Asked, out: Path, report: Path | None) -> None:
    from pipelines.cli.progress import show_progress
    from pipelines.cli.tune_tables import print_tuned
    from pipelines.evaluate import Watch
    from pipelines.tune.page import write_page
    from pipelines.tune.profile import comments, outweighed, profile_values, write_profile
    from pipelines.tune.tuning import tune as run_tuning

    began = time.perf_counter()
    with (
        show_progress(run.err, run.quiet, "documents") as documents,
        show_progress(run.err, run.quiet, "trials") as tried,
        interruptible() as stop,
    ):
        watch = Watch(documents, tried)
        outcome = run_tuning(
            run.settings, asked, watch, stop, lambda each: _say_left_out(run, each)
        )
    searched = tuple(outcome.given.settings)
    values = profile_values(run.loaded, outcome.settings, searched)
    write_profile(out, values, comments(outcome, sys.argv[1:]))
    for key, origin in outweighed(run.loaded, outcome.settings, searched).items():
        run.warn(f"{key} is set by {origin}, which wins over a profile: take it out there")
    if report is not None:
        write_page(report, outcome, sys.argv[1:], out)
    payload = _payload(outcome, out, report, round(time.perf_counter() - began, 3))
    run.show(payload, lambda console: print_tuned(console, outcome, payload))


def _sizes(given: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(each) for each in given.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise UsageError(f"cannot read --sizes {given}", hint="write it as 50,100,200")
    return sizes


def _say_left_out(run: Run, left_out: LeftOut) -> None:
    sizes = ", ".join(map(str, left_out.sizes))
    run.warn(
        f"no chunks of {sizes} tokens: {left_out.embedder} reads {left_out.largest} of one at most"
    )


def _payload(outcome: Outcome, out: Path, report: Path | None, seconds: float) -> dict[str, Any]:
    given, chosen = outcome.given.figures, outcome.chosen.figures
    assert given is not None
    assert chosen is not None
    return {
        "profile": str(out),
        "trials": len(outcome.trials),
        "failed": sum(each.figures is None for each in outcome.trials),
        "goal": str(outcome.goal),
        "met": outcome.met,
        "chosen": dict(outcome.chosen.settings),
        "number": outcome.chosen.number,
        "tune": {"n": len(given.ids), "before": _means(given), "after": _means(chosen)},
        "test": {
            "n": len(outcome.before.ids),
            "before": _means(outcome.before),
            "after": _means(outcome.after),
            "worse": outcome.worse,
            "gain": {
                each.figure: {
                    "low": each.interval.low,
                    "high": each.interval.high,
                    "mean": each.difference,
                    "real": each.real,
                }
                for each in outcome.gain
            },
        },
        "front": [
            {"number": each.number, **each.means._asdict(), "settings": dict(each.settings)}
            for each in outcome.front
        ],
        "seconds": seconds,
        "report": None if report is None else str(report),
        "left_out": list(outcome.left_out),
        "sizes_left_out": [each._asdict() for each in outcome.too_large],
    }


def _means(figures: Figures) -> dict[str, float]:
    return {**figures.means._asdict(), "abstained": figures.abstention}
