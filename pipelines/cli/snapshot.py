"""`rag snapshot`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipelines.cli.interrupt import interruptible
from pipelines.cli.run import Run, command

if TYPE_CHECKING:
    from pipelines.snapshot import SnapshotReport

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(snapshot)


def snapshot(
    run: Run,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As in backup.jsonl.gz.")],
    restore: Annotated[
        bool, typer.Option("--restore", help="Fill the index from the file; what is there is kept.")
    ] = False,
) -> None:
    """Write what the index serves to one file, or fill an index of any backend from one."""
    from pipelines.cli.progress import show_progress
    from pipelines.snapshot import restore as run_restore
    from pipelines.snapshot import take
    from rag.store import open_store

    with (
        show_progress(run.err, run.quiet, "chunks") as progress,
        interruptible() as stop,
    ):
        if restore:
            report = run_restore(
                partial(open_store, run.settings.store), file, progress=progress, stop=stop,
                optimize_chunks=run.settings.ingest.optimize_chunks,
            )  # fmt: skip
        else:
            with open_store(run.settings.store) as store:
                report = take(store, file, progress=progress, stop=stop)
    run.show(asdict(report), lambda console: _print(console, report, restored=restore))
    run.exit_code = 130 if report.interrupted else 0


def _print(console: Console, report: SnapshotReport, *, restored: bool) -> None:
    if report.interrupted:
        console.print("interrupted: nothing has changed; run it again to begin anew")
        return
    what = f"{report.chunks:,} chunks and {report.links:,} links of copies"
    where = f"from {report.file}" if restored else f"to {report.file}"
    console.print(f"wrote {what} {where} in {report.seconds:.1f} s")
    if report.kept:
        console.print(
            "kept what was served before: `rag reindex --rollback` serves it again, --forget "
            "deletes it"
        )
